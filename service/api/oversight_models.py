"""What the admin API shows of the whole service: usage, jobs, queue, failures, callbacks, the audit log, workers, disks."""

from dataclasses import asdict
from typing import Literal, Self

from pydantic import BaseModel, Field

from service.api.times import rfc3339
from service.jobs.audit import Line
from service.jobs.job import Job, Kind, Media, State
from service.jobs.oversight import Backlog, CallbackInfo, FailureKind, WorkerHealth


class UsageView(BaseModel):
    """An account's use of the service on one day (UTC)."""

    date: str = Field(json_schema_extra={"format": "date"})
    account_id: int
    account: str
    accepted_jobs: int
    succeeded_jobs: int
    failed_jobs: int
    cancelled_jobs: int
    spent_credits: int
    processing_seconds: float = Field(description="From the start of its jobs to their ends.")


class UsageList(BaseModel):
    """The use on each day on which there was any, the latest first."""

    data: list[UsageView]


class AdminJobView(BaseModel):
    """A job as an operator sees it: without the addresses and files of the customer."""

    id: str
    account_id: int
    account: str
    facade: str
    state: State
    kind: Kind
    media: Media
    progress_percent: int
    attempts: int
    price_credits: int
    credits_used: int
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    started_at: str | None = None
    finished_at: str | None = None
    failure: str | None = Field(None, description="The kind of error, as `failure` of the list takes it.")
    detail: str | None = None

    @classmethod
    def of(cls, account: str, job: Job) -> Self:
        return cls(
            id=job.id,
            account_id=job.account_id,
            account=account,
            facade=job.facade,
            state=job.state,
            kind=job.spec.kind,
            media=job.spec.media,
            progress_percent=job.progress_percent,
            attempts=job.attempts,
            price_credits=job.price_credits,
            credits_used=job.credits_used,
            created_at=rfc3339(job.created_ms),
            started_at=None if job.started_ms is None else rfc3339(job.started_ms),
            finished_at=None if job.finished_ms is None else rfc3339(job.finished_ms),
            failure=job.failure.kind if job.failure else None,
            detail=job.failure.message if job.failure else None,
        )


class AdminJobPage(BaseModel):
    """A page of jobs, newest first."""

    data: list[AdminJobView]
    next_cursor: str | None = None


class WorkerView(BaseModel):
    """A worker as the database last heard of it."""

    id: str
    host: str
    version: str | None = None
    alive: bool
    silent_seconds: float
    running: int = Field(description="Fetches, jobs and callbacks that it has taken.")

    @classmethod
    def of(cls, worker: WorkerHealth) -> Self:
        return cls(
            id=worker.id,
            host=worker.host,
            version=worker.version,
            alive=worker.alive,
            silent_seconds=round(worker.silent_seconds, 1),
            running=worker.running,
        )


class BacklogView(BaseModel):
    """An account's unfinished jobs."""

    account_id: int
    account: str
    queued_jobs: int
    running_jobs: int
    oldest_queued_seconds: float

    @classmethod
    def of(cls, backlog: Backlog) -> Self:
        return cls.model_validate(asdict(backlog) | {"oldest_queued_seconds": round(backlog.oldest_queued_seconds, 1)})


class QueueView(BaseModel):
    """The queue now."""

    queued_jobs: int
    oldest_queued_seconds: float
    data: list[BacklogView] = Field(description="Of each account with unfinished jobs, the one with the most waiting jobs first.")


class FailureView(BaseModel):
    """Jobs that failed with the same kind of error, and the last of them."""

    kind: str = Field(description="As `failure` of the list of jobs takes it.")
    jobs: int
    last_at: str = Field(json_schema_extra={"format": "date-time"})
    last_job_id: str
    last_account: str
    last_detail: str

    @classmethod
    def of(cls, failure: FailureKind) -> Self:
        return cls(
            kind=failure.kind,
            jobs=failure.jobs,
            last_at=rfc3339(failure.last_ms),
            last_job_id=failure.last_job_id,
            last_account=failure.last_account,
            last_detail=failure.last_detail,
        )


class FailureList(BaseModel):
    """Kinds of error, the most frequent first."""

    data: list[FailureView]


class AdminCallbackView(BaseModel):
    """A callback as an operator sees it: of its address only the host."""

    id: str = Field(description="Of its job or batch.")
    account_id: int
    account: str
    host: str
    outcome: Literal["pending", "delivered", "given_up"]
    attempts: int
    at: str = Field(description="Of the last attempt, or of the job's end.", json_schema_extra={"format": "date-time"})
    next_attempt_at: str | None = None
    last_error: str | None = None

    @classmethod
    def of(cls, info: CallbackInfo) -> Self:
        return cls(
            id=info.subject_id,
            account_id=info.account_id,
            account=info.account,
            host=info.host,
            outcome=info.outcome,
            attempts=info.attempts,
            at=rfc3339(info.at_ms),
            next_attempt_at=None if info.due_ms is None else rfc3339(info.due_ms),
            last_error=info.last_error,
        )


class AdminCallbackPage(BaseModel):
    """A page of callbacks, the last tried first."""

    data: list[AdminCallbackView]
    next_cursor: str | None = None


class RedeliveredView(BaseModel):
    """How many callbacks are sent again."""

    callbacks: int


class AuditView(BaseModel):
    """A line of the audit log."""

    id: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    actor: str | None = Field(None, description="The account of the key; null: a command.")
    key_id: str | None = None
    action: str
    subject: str = Field(description="What was changed: an account's name, a key's id, a job.")
    given: str = Field(description="What was asked for, as JSON; empty for nothing. No secret is in it.")
    outcome: str = Field(description="`done`; the kind of error that refused it; `begun` where the process died meanwhile.")

    @classmethod
    def of(cls, line: Line) -> Self:
        values = asdict(line)
        return cls(at=rfc3339(values.pop("at_ms")), **values)


class AuditPage(BaseModel):
    """A page of the audit log, newest line first."""

    data: list[AuditView]
    next_before: int | None = Field(None, description="`before` of the next page; null on the last.")


class DiskView(BaseModel):
    """The disk of a folder of this process."""

    name: Literal["data", "files"]
    free_bytes: int
    total_bytes: int
    floor_bytes: int = Field(description="With less free, files are refused.")


class StatusView(BaseModel):
    """The service now. `recent_`: of the last hour."""

    versions: dict[str, str]
    queued_jobs: int
    oldest_queued_seconds: float
    jobs: dict[str, int] = Field(description="By state, of those that are kept.")
    recent_jobs: dict[str, int] = Field(description="By state, of those that ended.")
    recent_failures: dict[str, int] = Field(description="By kind of error.")
    recent_callbacks: dict[str, int] = Field(description="By outcome of the last attempt.")
    callbacks: dict[str, int] = Field(description="By outcome.")
    held_credits: int
    disks: list[DiskView]
    workers: list[WorkerView]
