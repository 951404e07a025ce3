"""Log lines: their fields, and redaction of secrets."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.concurrency import run_in_threadpool

from service.logs import MAX_CHARACTERS, JsonFormatter, TextFormatter, log_fields, redact
from tests.conftest import ROOT

SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~", min_size=12, max_size=60)


def record(message: str = "hello", *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("service.test").makeRecord("service.test", logging.INFO, __file__, 1, message, args, None, extra=extra)


def line(of: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(of)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_line_has_time_level_logger_and_message() -> None:
    fields = line(record("cleaned %d frames", 7, seconds=1.5))
    assert fields["time"].endswith("Z")
    assert len(fields["time"]) == len("2025-12-08T08:50:31.860Z")
    assert {name: fields[name] for name in ("level", "logger", "message", "seconds")} == {
        "level": "info",
        "logger": "service.test",
        "message": "cleaned 7 frames",
        "seconds": 1.5,
    }


def test_a_line_stays_one_line() -> None:
    assert line(record("two\nlines", name_of_file="a\nb"))["message"] == "two\nlines"


def test_an_error_comes_with_its_trace() -> None:
    try:
        raise ValueError("token=verysecrettoken")
    except ValueError:
        of = record("it failed")
        of.exc_info = sys.exc_info()
    fields = line(of)["exception"]
    assert fields["type"] == "ValueError"
    assert "test_an_error_comes_with_its_trace" in fields["trace"]
    assert "verysecrettoken" not in str(fields)
    text = TextFormatter().format(of)
    assert "ValueError" in text
    assert "verysecrettoken" not in text


def test_context_fields_are_on_every_line_of_the_block() -> None:
    with log_fields(job_id="job_1"):
        with log_fields(request_id="r"):
            assert {"job_id": "job_1", "request_id": "r"}.items() <= line(record()).items()
        assert "request_id" not in line(record())
        assert " job_id=job_1" in TextFormatter().format(record())
    assert "job_id" not in line(record())


def test_context_fields_reach_worker_threads_and_nothing_else() -> None:
    async def handler() -> dict[str, Any]:
        with log_fields(job_id="job_1"):
            return await run_in_threadpool(lambda: line(record()))

    assert asyncio.run(handler())["job_id"] == "job_1"
    others: list[dict[str, Any]] = []
    with log_fields(job_id="job_1"):
        thread = threading.Thread(target=lambda: others.append(line(record())))
        thread.start()
        thread.join()
    assert "job_id" not in others[0]


@pytest.mark.parametrize(
    "form",
    [
        "GET http://example.com/a?b=1&api_key={}&c=2",
        "http://example.com/files/a?X-Amz-Credential={}&X-Amz-Date=1",
        "http://example.com/files/a?X-Amz-Signature={}",
        "http://example.com/files/a?expires=1&signature={}",
        "partner_id=aidge&app_key=name&sign={}&sign_ver=v2",
        '{{"api_key": "{}", "video_url": "http://example.com"}}',
        "{{'secret': '{}'}}",
        "Authorization: Bearer {}",
        "authorization={}",
        "bearer {}",
        "postgresql+psycopg://user:{}@db/name failed",
        "AWS_SECRET_TOKEN={}",
        "password: {}",
        "webhook_key={}",
        "the key cp_{} was refused",
    ],
)
@given(secret=SECRET)
def test_secrets_are_redacted(form: str, secret: str) -> None:
    # A prefix found nowhere else in the line; our own keys are longer and use fewer characters.
    hidden = "Zq" + ("".join(filter(str.isalnum, secret)) + "x" * 16 if "cp_" in form else secret)
    assert hidden not in redact(form.format(hidden))


@pytest.mark.parametrize(
    "text", ["the design: good", "tokens 5", "job job_1_ab succeeded", "http://example.com/a?b=1", "key uploads/1/a.mp4"]
)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_extras_are_redacted_too() -> None:
    assert "verysecret" not in JsonFormatter().format(record(url="http://example.com/?token=verysecret"))


def test_long_text_is_cut_before_it_is_redacted() -> None:
    logged = line(record("x" * 10_000_000, path="/" + "y" * 8000))
    assert len(logged["message"]) < MAX_CHARACTERS + 100
    assert logged["message"].endswith("(cut, 10000000 characters)")
    assert len(logged["path"]) < MAX_CHARACTERS + 100


@pytest.mark.parametrize("form", ["api_key={}&c=2", "the key cp_{} was refused", "postgresql://user:{}@db/name"])
def test_no_part_of_a_secret_at_the_cut_is_logged(form: str) -> None:
    secret = "Zq" * 20
    for distance in range(-60, 120):
        assert "Zq" not in redact(" " * (MAX_CHARACTERS - distance) + form.format(secret) + "/" * 10_000)


def test_values_that_are_not_text_are_redacted_too() -> None:
    assert "verysecret" not in JsonFormatter().format(record(urls=["http://example.com/?token=verysecret"]))
    assert line(record(seconds=0.5, job=None))["seconds"] == 0.5


SETUP = """
import logging, sys, warnings
from service import logs
logs.setup("INFO", text=sys.argv[1] == "text")
from dbos import DBOS
import uvicorn
DBOS(config={"name": "logs", "system_database_url": "sqlite:///:memory:", "run_admin_server": False})
uvicorn.Config(app=None, log_config=None)
for name in ("dbos", "uvicorn.error", "sqlalchemy.engine", "service.worker"):
    logging.getLogger(name).warning("from %s", name)
logging.getLogger("uvicorn.access").info("from uvicorn.access")
logging.getLogger("httpx").info("from httpx")
warnings.warn("from warnings")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_all_loggers_use_one_format(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", SETUP, form], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for name in ("dbos", "uvicorn.error", "sqlalchemy.engine", "service.worker", "warnings"):
        assert done.stderr.count(f"from {name}") == 1
    assert "uvicorn.access" not in done.stderr
    assert "httpx" not in done.stderr
    if form == "json":
        fields = [json.loads(each) for each in done.stderr.splitlines()]
        assert {"dbos", "uvicorn.error", "sqlalchemy.engine", "service.worker", "py.warnings"} <= {each["logger"] for each in fields}
