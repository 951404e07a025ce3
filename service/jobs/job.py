"""A job as data: what to do, its outcome, and the allowed state transitions. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Final, Literal, Self

from service import errors, tracing
from service.errors import CleanplateError, InternalError
from service.jobs.names import name_in_url, result_name
from service.timed_box import TimedBox

Media = Literal["video", "image"]
Rights = Literal["owner", "licensed"]  # why the customer may edit the picture: they own it, or its owner permits it
Kind = Literal["clean", "detect"]
Price = Mapping[Media, int]  # credits
NEWER: Final = frozenset(
    {"keep", "reject", "kind", "detection_key", "marks", "preview_seconds", "preview_first_seconds", "deinterlace"}
)  # since 0.3
RANDOM_BYTES: Final = 12  # in a job's id, so that nobody can guess another's


class State(StrEnum):
    """The state of a job. Every job ends in one of the last three."""

    QUEUED = "queued"  # accepted, its credits held; waits for a worker: to be fetched, and then to be cleaned
    FETCHING = "fetching"  # its source comes from the web; one in our storage is cleaned at once
    CLEANING = "cleaning"
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # credits refunded
    CANCELLED = "cancelled"  # credits refunded


FINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
NEXT: Final[dict[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.FETCHING, State.CLEANING, State.FAILED, State.CANCELLED}),
    State.FETCHING: frozenset({State.QUEUED, State.CLEANING, State.FAILED, State.CANCELLED}),
    State.CLEANING: frozenset({State.PUBLISHING, State.FAILED, State.CANCELLED}),
    State.PUBLISHING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def may_follow(state: State, following: State) -> bool:
    """Whether a job may go from `state` to `following`."""
    return following in NEXT[state]


@dataclass(frozen=True)
class JobSpec:
    """What a job is to do. Exactly one of `source_url` and `source_key` (a storage key) is set; of the mask's, at most one."""

    media: Media
    source_url: str | None = None
    source_key: str | None = None
    mask_url: str | None = None
    mask_key: str | None = None
    mask_is_smear: bool = False  # strokes in any colour but black and white; otherwise white = remove
    boxes: tuple[TimedBox, ...] = ()
    classes: tuple[str, ...] = ("overlay",)
    detect: bool = True
    remove_audio: bool = False
    keep: tuple[TimedBox, ...] = ()  # nothing changes in these boxes
    reject: tuple[str, ...] = ()  # ids of marks that stay
    kind: Kind = "clean"  # detect: find the marks and remove none
    detection_key: str | None = None  # marks that an earlier job found in the same source; it is not looked at again
    marks: tuple[str, ...] = ()  # ids of those of them to remove; empty: all
    preview_seconds: float | None = None  # clean only so much of a video; None: all of it
    preview_first_seconds: float = 0.0  # where that begins
    deinterlace: bool = False  # if it is an interlaced video

    @property
    def is_fetched(self) -> bool:
        """Whether all its files are in our storage."""
        return self.source_key is not None and (self.mask_url is None or self.mask_key is not None)

    def to_json(self) -> dict[str, Any]:
        """JSON values. Those that workers of 0.2 do not know are left out where they say nothing: they may run beside newer processes."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        said = {name: value for name, value in said.items() if name not in NEWER or value != getattr(type(self), name)}
        return said | {name: [box.to_json() for box in said[name]] for name in ("boxes", "keep") if name in said}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        boxes = {name: tuple(TimedBox.from_json(box) for box in data.get(name, ())) for name in ("boxes", "keep")}
        words = {name: tuple(data.get(name, ())) for name in ("classes", "reject", "marks")}
        return cls(**{**data, **boxes, **words})


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the name of a class in `service/errors.py`, and its message."""

    kind: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The failure for an error. Errors that are not ours become an InternalError without details."""
        if isinstance(error, CleanplateError):
            return cls(type(error).__name__, str(error))
        return cls(InternalError.__name__, "internal error")

    @property
    def error_kind(self) -> type[CleanplateError]:
        kind = getattr(errors, self.kind, InternalError)
        return kind if isinstance(kind, type) and issubclass(kind, CleanplateError) else InternalError


@dataclass(frozen=True)
class Post:
    """What a share page says about its video."""

    post_id: str
    prompt: str
    thumbnail_url: str | None


@dataclass(frozen=True)
class Result:
    """The storage keys of a job's files, and what the run found. `frames`: number of pictures in the source; `seconds`: processing time.

    clean_key: of a job that detects, what it found, as JSON; detection_key: the same for a later job, exact to the bit.
    not_kept: what the source carries and the result does not, each as `what` and `reason`.
    """

    clean_key: str
    source_key: str
    thumbnail_key: str
    content_type: str
    bytes: int
    frames: int
    mark_found: bool
    seconds: float
    report_key: str | None = None
    report_page_key: str | None = None
    detection_key: str | None = None
    charged: bool = True  # False: nothing was removed, so the credits came back
    not_kept: tuple[Mapping[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON values. What processes of 0.3 do not know is left out where it says nothing."""
        values = asdict(self)
        if not self.not_kept:
            del values["not_kept"]
        return values

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**data, "not_kept": tuple(data.get("not_kept", ()))})


@dataclass(frozen=True)
class Export:
    """How far a result's way to the account's own bucket is. `url`: where it is there; `error`: why the last attempt failed."""

    outcome: str = "pending"  # -> delivered | given_up
    attempts: int = 0
    url: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class NewJob:
    """A job before it is accepted. `request`: what the facade repeats in its responses; it never contains a key."""

    id: str
    account_id: int
    facade: str
    spec: JobSpec
    request: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    idempotency_key: str | None = None  # per account: the same key again finds the same job
    idempotent_seconds: float = 24 * 3600.0
    reuse_cleared: bool = True  # False: the key does not find a job whose files were deleted
    priority: int = 100  # lower numbers first, within the account
    rights: Rights | None = None  # None: the account's
    client_reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None  # of its file, as the customer knows it
    traceparent: str | None = field(default_factory=tracing.traceparent)  # the trace that it is part of


@dataclass(frozen=True)
class Job:
    """An accepted job. Times are milliseconds since 1970, UTC."""

    id: str
    account_id: int
    facade: str
    state: State
    spec: JobSpec
    request: Mapping[str, Any]
    callback_url: str | None
    price_credits: int
    progress_percent: int
    attempts: int
    created_ms: int
    updated_ms: int
    started_ms: int | None
    finished_ms: int | None
    failure: Failure | None
    result: Result | None
    post: Post | None
    cancel_asked: bool = False
    rights: Rights | None = None  # None if neither the request nor the account declared any
    digital_source_type: str | None = None  # as the account declared it when the job was accepted
    priority: int = 100  # lower numbers first, within the account
    client_reference: str | None = None  # as the customer calls it
    metadata: Mapping[str, str] = field(default_factory=dict)  # what else the customer said of it
    cleared_ms: int | None = None  # when its files were deleted
    name: str | None = None  # of its file, as the customer knows it
    step: str | None = None  # of the pipeline, that it was last seen at
    export: Export | None = None  # None: its result is only here

    @property
    def ended(self) -> bool:
        return self.state in FINAL

    @property
    def keys(self) -> frozenset[str]:
        """The storage keys of all its files."""
        result = self.result
        pages = (result.report_key, result.report_page_key) if result else ()
        of_result = (result.clean_key, result.thumbnail_key, result.detection_key, *pages) if result else ()
        return frozenset(key for key in (self.spec.source_key, self.spec.mask_key, self.spec.detection_key, *of_result) if key)

    @property
    def shown_name(self) -> str | None:
        """What its file is called: as the customer said, or in its URL."""
        return self.name or name_in_url(self.spec.source_url)

    @property
    def result_name(self) -> str | None:
        """What its result is called: `holiday_clean.mp4`; None if its file has no name, or there is no result to keep."""
        if self.result is None or self.shown_name is None or self.spec.kind == "detect":
            return None
        return result_name(self.shown_name, PurePosixPath(self.result.clean_key).suffix)

    @property
    def removed_nothing(self) -> bool:
        """Whether it ran to its end and the file is unchanged: no mark was found, and nothing else was to be done."""
        return self.result is not None and not (self.result.mark_found or self.spec.remove_audio or self.spec.deinterlace)

    @property
    def charged(self) -> bool:
        """Whether its credits are spent: it succeeded, and was not free for having removed nothing."""
        return self.state is State.SUCCEEDED and (self.result is None or self.result.charged)

    @property
    def credits_used(self) -> int:
        """The job's cost: 0 unless it was charged."""
        return self.price_credits if self.charged else 0

    @property
    def seconds(self) -> float:
        """Seconds from acceptance to the end, or to the last change."""
        return ((self.finished_ms or self.updated_ms) - self.created_ms) / 1000


def new_id(prefix: str, now_ms: int) -> str:
    """An unguessable id that sorts by time within its prefix: `job_1765183831860_9f...`."""
    return f"{prefix}{now_ms}_{secrets.token_hex(RANDOM_BYTES)}"
