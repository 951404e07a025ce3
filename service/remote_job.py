"""Parses what the native API sends to its clients: jobs, events and problems, all treated as untrusted input."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from service import errors
from service.errors import (
    Busy,
    CleanplateError,
    FetchRefused,
    FetchUnavailable,
    InsufficientCredits,
    InternalError,
    JobCancelled,
    ParameterError,
)
from service.jobs.job import FINAL, State

PROBLEM: Final = "urn:cleanplate:problem:"
MAX_MESSAGE_CHARACTERS: Final = 500  # characters
ORDER: Final = tuple(State)  # the order in which a job passes through its states


@dataclass(frozen=True)
class RemoteJob:
    """A job as the service reports it. If it failed, `failure_kind` names a class in `service/errors.py`.

    created_at: RFC 3339. source_url: None for a file that was sent along.
    """

    id: str
    state: State
    progress_percent: int
    failure_kind: str | None = None
    message: str | None = None
    result_url: str | None = None
    kind: str = "clean"
    media: str | None = None
    created_at: str | None = None
    source_url: str | None = None
    credits_used: int = 0

    @property
    def ended(self) -> bool:
        return self.state in FINAL

    @property
    def error(self) -> CleanplateError | None:
        """The error to raise for a job that failed or was cancelled; None otherwise."""
        if self.state is State.FAILED:
            return _kind_of(self.failure_kind, InternalError)(self.message or "the job failed")
        return JobCancelled("the job was cancelled") if self.state is State.CANCELLED else None

    def after(self, event: Mapping[str, Any]) -> "RemoteJob":
        """The job after an event; replayed events do not move its state back. Raises ValueError for a malformed event."""
        state = max(self.state, State(event.get("state", self.state)), key=ORDER.index)
        return replace(self, state=state, progress_percent=int(event.get("progress_percent", self.progress_percent)))


@dataclass(frozen=True)
class Estimate:
    """What a job would cost and take. None: the service cannot know yet."""

    credits: int
    seconds: float | None
    wait_seconds: float | None


def estimate_of(response: httpx.Response) -> Estimate:
    """The estimate in a response. Raises the error that the response reports, or FetchRefused for a response of another kind."""
    if not response.is_success:
        raise error_of(response)
    try:
        body = response.json()
        seconds, wait_seconds = (None if body[name] is None else float(body[name]) for name in ("seconds", "wait_seconds"))
        return Estimate(int(body["credits"]), seconds, wait_seconds)
    except (KeyError, TypeError, ValueError):
        raise FetchRefused(f"{response.url.host} answered with something other than an estimate") from None


def ignore(_job: RemoteJob) -> None:
    """Ignore progress."""


def job_of(response: httpx.Response) -> RemoteJob:
    """The job in a response. Raises the error that the response reports, or FetchRefused for a response of another kind."""
    if not response.is_success:
        raise error_of(response)
    try:
        return _job_in(response.json())
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _another_service(response) from None


def page_of(response: httpx.Response) -> tuple[list[RemoteJob], str | None]:
    """The jobs of a page, and the cursor of the next one. Raises as `job_of` does."""
    if not response.is_success:
        raise error_of(response)
    try:
        body = response.json()
        cursor = body["next_cursor"]
        return [_job_in(entry) for entry in body["data"]], None if cursor is None else str(cursor)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _another_service(response) from None


def done(response: httpx.Response) -> None:
    """Nothing, for a response that says it is done. Raises the error that it reports."""
    if not response.is_success:
        raise error_of(response)


def _job_in(entry: Mapping[str, Any]) -> RemoteJob:
    failure, result = entry["error"] or {}, entry["result"] or {}
    return RemoteJob(
        id=str(entry["id"]),
        state=State(entry["state"]),
        progress_percent=int(entry["progress_percent"]),
        failure_kind=_kind_name(failure.get("type")),
        message=_line(failure.get("detail")),
        result_url=result.get("url"),
        kind=str(entry.get("kind", "clean")),
        media=_line(entry.get("media")),
        created_at=_line(entry.get("created_at")),
        source_url=_line(entry.get("source_url")),
        credits_used=_whole_number(entry.get("credits_used")),
    )


def _another_service(response: httpx.Response) -> FetchRefused:
    return FetchRefused(f"{response.url.host} does not respond like this service; check its address")


class EventReader:
    """Reads server-sent events line by line and keeps the job's latest state."""

    def __init__(self, job: RemoteJob) -> None:
        self.job = job
        self._data = ""

    def read(self, line: str) -> bool:
        """Whether this line completes an event that changes the job. Raises ValueError for a malformed event."""
        if line.startswith("data:"):
            self._data += line.removeprefix("data:")
        if line or not self._data:
            return False
        event = json.loads(self._data)
        if not isinstance(event, dict):
            raise ValueError("not an event")
        self._data, before, self.job = "", self.job, self.job.after(event)
        return self.job != before


def error_of(response: httpx.Response) -> CleanplateError:
    """The error in a response: one of our problems (RFC 9457), or only a status, for instance from a proxy."""
    problem = _problem(response)
    kind = _kind_of(_kind_name(problem.get("type")), ParameterError if response.status_code < 500 else FetchUnavailable)
    if kind is InsufficientCredits:
        return kind(_whole_number(problem.get("current_credits")), _whole_number(problem.get("required_credits")))
    message = _line(problem.get("detail")) or f"{response.url.host} answered with status {response.status_code}"
    if issubclass(kind, Busy):
        return kind(message, _whole_number(response.headers.get("Retry-After")))
    return kind(message)


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _kind_name(problem_type: object) -> str | None:
    """`TooLarge` for a problem's type that ends in `too-large`."""
    if not isinstance(problem_type, str) or not problem_type.startswith(PROBLEM):
        return None
    return "".join(word.capitalize() for word in problem_type.removeprefix(PROBLEM).split("-"))


def _kind_of(name: str | None, default: type[CleanplateError]) -> type[CleanplateError]:
    """The error class of this name, or the default for a name that this version does not know."""
    kind = getattr(errors, name or "", default)
    return kind if isinstance(kind, type) and issubclass(kind, CleanplateError) else default


def _line(text: object) -> str | None:
    """A text as one line of limited length; None if empty."""
    return " ".join(str(text).split())[:MAX_MESSAGE_CHARACTERS] if text else None


def _whole_number(value: object) -> int:
    """A non-negative integer; 0 if the value is not one."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else 0
