"""Logging to stderr, one record per line, as JSON or as text. Secrets are redacted, and context fields such as the job's id are added.

`log_fields(job_id=...)` applies to everything logged within its block, and in threads that run with its context.
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
from types import MappingProxyType, NoneType, TracebackType
from typing import Any, Final

REDACTED: Final = "[redacted]"
SECRETS: Final = (
    # Strangers choose the text, so each takes time linear in it: none begins with a repetition, and repetitions give nothing back.
    # The value of a parameter by the end of its name, in a query, a header or JSON: `X-Amz-Signature=...`, `"secret": "..."`.
    re.compile(
        r"""(api_?key|webhook_?key|token|secret|signature|password|credential|authorization|\bsign)(["']?\s*+[=:]\s*+["']?)[^\s"'&,;)}]++""",
        re.IGNORECASE,
    ),
    re.compile(r"\b(Bearer|Basic)(\s++)[^\s\"',;)}]++", re.IGNORECASE),
    re.compile(r"(\w)(://)[^\s/@\"']++(?=@)"),  # user and password in a URL
    re.compile(r"\b(cp)(_)[\w-]{16,}+"),  # our own keys, anywhere in the text
)
MAX_CHARACTERS: Final = 2048  # of a message or a field
MAX_TRACE_CHARACTERS: Final = 65_536
# How much more than is logged is redacted: a secret at the cut is recognised by what follows, such as the `@` after a password.
MARGIN_CHARACTERS: Final = 256
# Libraries: we write our own access log, with less in it than uvicorn's; httpx would log whole URLs with their queries.
LEVELS: Final = dict.fromkeys(("alembic", "dbos", "httpcore", "httpx", "sqlalchemy"), "WARNING") | {"uvicorn.access": "CRITICAL"}
OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy", "alembic")
ENGINE: Final = "dbos"  # adds its own handler if it finds none
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
FOREIGN: Final = frozenset({"color_message", "applicationID", "applicationVersion", "executorID", "operationUUID", "traceId"})
NOT_EXTRA: Final = STANDARD | FOREIGN
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})

_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=NO_FIELDS)


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """Add these fields, such as `job_id`, to every record logged within the block."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def redact(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    """The text, cut at about `max_characters`, with keys, tokens, signatures and passwords replaced."""
    if len(text) > max_characters + MARGIN_CHARACTERS:
        seen = _redact(text[: max_characters + MARGIN_CHARACTERS])
        return f"{seen[:-MARGIN_CHARACTERS]}... (cut, {len(text)} characters)"
    return _redact(text)


def _redact(text: str) -> str:
    if text.isalnum():  # as most fields are: each secret stands beside one of `=`, `:`, `_` and a space
        return text
    text = SECRETS[1].sub(rf"\1\2{REDACTED}", text)  # first: `Authorization: Bearer x` has its secret in the second word
    for pattern in SECRETS:
        text = pattern.sub(rf"\1\2{REDACTED}", text)
    return text


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        line |= _extras(record)
        if record.exc_info and record.exc_info[0]:
            kind, error, _ = record.exc_info
            line["exception"] = {"type": kind.__name__, "message": redact(str(error)), "trace": _trace(record.exc_info)}
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Formats a record as a line for a terminal, followed by its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        line = f"{time} {record.levelname:<7} {record.name}: {redact(record.getMessage())}{extras}"
        if record.exc_info and record.exc_info[0]:
            line += "\n" + _trace(record.exc_info).rstrip()
        return line


def setup(level: str = "INFO", text: bool = False) -> None:
    """Send all logs of this process, the libraries' included, through one handler. Call it before the libraries start logging."""
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
    """The fields of the context and of the call's `extra`, redacted."""
    extra = {name: value for name, value in vars(record).items() if name not in NOT_EXTRA}
    return {name: _loggable(value) for name, value in {**_fields.get(), **extra}.items()}


def _loggable(value: object) -> object:
    """Numbers and None as they are; anything else as redacted text, since a list or an address may contain a secret too."""
    return value if isinstance(value, (int, float, NoneType)) else _text(value)


def _text(value: object) -> str:
    return redact(str(value))


def _trace(error: ExceptionInfo) -> str:
    return redact("".join(traceback.format_exception(*error)), MAX_TRACE_CHARACTERS)
