"""A batch as data: many jobs that are ordered, followed, cancelled and reported as one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from service import tracing
from service.jobs.job import Job, JobSpec, Rights, State

MAX_JOBS: Final = 1000
WAITING: Final = "waiting"  # not yet a job, as the account has as many unfinished ones as it may


@dataclass(frozen=True)
class NewItem:
    """One source of a batch. `job_id`: of the job that it will be; its credits are held from the beginning."""

    job_id: str
    spec: JobSpec
    price_credits: int
    client_reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NewBatch:
    """A batch before it is accepted. `digest`: equal for equal requests."""

    id: str
    account_id: int
    items: Sequence[NewItem]
    digest: str
    callback_url: str | None = None
    idempotency_key: str | None = None
    idempotent_seconds: float = 24 * 3600.0
    priority: int = 100
    rights: Rights | None = None
    client_reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = field(default_factory=tracing.traceparent)  # the trace that it and its jobs are part of

    @property
    def prices_credits(self) -> dict[str, int]:
        """The price of each of its jobs, by the job's id."""
        return {item.job_id: item.price_credits for item in self.items}


@dataclass(frozen=True)
class Batch:
    """An accepted batch. Times are milliseconds since 1970, UTC."""

    id: str
    account_id: int
    jobs: int
    digest: str
    callback_url: str | None
    priority: int
    rights: Rights | None
    client_reference: str | None
    metadata: Mapping[str, str]
    created_ms: int
    cancelled_ms: int | None
    finished_ms: int | None
    traceparent: str | None = None

    @property
    def ended(self) -> bool:
        return self.finished_ms is not None


@dataclass(frozen=True)
class Item:
    """One source of an accepted batch. `job` is None before it is submitted."""

    number: int  # in the order of the request, from 0
    job_id: str
    spec: JobSpec
    client_reference: str | None
    metadata: Mapping[str, str]
    submitted: bool
    job: Job | None

    def state(self, batch: Batch) -> str:
        """The state of its job; before there is one `waiting`, or `cancelled` with the batch."""
        if self.job is not None:
            return self.job.state
        return State.CANCELLED if batch.cancelled_ms is not None else WAITING


@dataclass(frozen=True)
class Progress:
    """How far a batch is: its jobs by state, `waiting` among them, and the credits that they have cost so far."""

    states: Mapping[str, int]
    used_credits: int
