"""Logs: one line a record on stderr, as JSON for machines or as text for people; secrets are taken out, the job's id is put in.

`bound(job_id=...)` holds for all that is logged within its block, in the threads that are handed its context as well.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

REDACTED: Final = "[redacted]"
SECRETS: Final = (
    # The value of a parameter by its name, in a query, a header or JSON: `api_key=...`, `X-Amz-Signature=...`, `"secret": "..."`.
    re.compile(
        r"""([\w-]*(?:api_?key|webhook_?key|token|secret|signature|password|credential|authorization)|\bsign)(["']?\s*[=:]\s*["']?)[^\s"'&,;)}]+""",
        re.IGNORECASE,
    ),
    re.compile(r"\b(Bearer|Basic)(\s+)[^\s\"',;)}]+", re.IGNORECASE),
    re.compile(r"(\w+)(://)[^\s/@\"']+(?=@)"),  # user and password of an address
    re.compile(r"\b(cp)(_)[\w-]{16,}"),  # our own keys, wherever they stand
)
# Of the libraries: uvicorn's access lines are ours already, with less in them; httpx would tell whole addresses, queries too.
LEVELS: Final = dict.fromkeys(("alembic", "dbos", "httpcore", "httpx", "sqlalchemy"), "WARNING") | {"uvicorn.access": "CRITICAL"}
OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy", "alembic")
ENGINE: Final = "dbos"  # adds a handler of its own where it finds none
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
FOREIGN: Final = frozenset({"color_message", "applicationID", "applicationVersion", "executorID", "operationUUID", "traceId"})
NOTHING_BOUND: Final[Mapping[str, str]] = MappingProxyType({})

_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=NOTHING_BOUND)


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Put these fields, such as `job_id`, on every record within the block."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def redacted(text: str) -> str:
    """The text without keys, tokens, signatures and passwords."""
    text = SECRETS[1].sub(rf"\1\2{REDACTED}", text)  # before the names: `Authorization: Bearer x` has its secret in the second word
    for pattern in SECRETS:
        text = pattern.sub(rf"\1\2{REDACTED}", text)
    return text


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        line |= _extras(record)
        if record.exc_info and record.exc_info[0]:
            kind, error, _ = record.exc_info
            trace = redacted("".join(traceback.format_exception(*record.exc_info)))
            line["exception"] = {"type": kind.__name__, "message": redacted(str(error)), "trace": trace}
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A record as a line for a terminal, with its trace below."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        line = f"{time} {record.levelname:<7} {record.name}: {redacted(record.getMessage())}{extras}"
        if record.exc_info and record.exc_info[0]:
            line += "\n" + redacted("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return line


def setup(level: str = "INFO", text: bool = False) -> None:
    """Send all logs of this process through one handler, those of the libraries too; call it before they start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    for name, quietest in LEVELS.items():
        logging.getLogger(name).setLevel(quietest)
    engine = logging.getLogger(ENGINE)
    engine.handlers[:] = [handler]
    engine.propagate = False
    logging.captureWarnings(True)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """What is bound, and what the call gave as `extra`."""
    given = {name: value for name, value in vars(record).items() if name not in STANDARD | FOREIGN}
    return {name: redacted(value) if isinstance(value, str) else value for name, value in {**_fields.get(), **given}.items()}
