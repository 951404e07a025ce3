"""Jobs in the database. Every state change goes through `advance`, which checks that the transition is allowed."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa

from service.errors import UnknownJob
from service.jobs.database import NOW_MS
from service.jobs.job import FINAL, Export, Failure, Job, JobSpec, NewJob, Post, Result, State, may_follow
from service.jobs.tables import ACCOUNTS, EVENTS, IDEMPOTENCY, JOBS, TOTALS

JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")

# Columns that a new job leaves empty.
UNSET_COLUMNS: Final = (
    "started_ms", "finished_ms", "failure_kind", "failure_message", "result", "post", "cleared_ms", "step", "export"
)  # fmt: skip

# Statements that every request runs, built once: building one costs as much as running it.
OF_ACCOUNT: Final = {
    column.name: sa.select(column).where(ACCOUNTS.c.id == sa.bindparam("owner_id")).scalar_subquery()
    for column in (ACCOUNTS.c.rights, ACCOUNTS.c.digital_source_type)
}
INSERT_JOB: Final = (
    sa.insert(JOBS)
    .values(OF_ACCOUNT | {"rights": sa.func.coalesce(sa.bindparam("job_rights", type_=sa.Text), OF_ACCOUNT["rights"])})
    .values(created_ms=NOW_MS, updated_ms=NOW_MS)
    .returning(JOBS.c.rights, JOBS.c.digital_source_type, JOBS.c.created_ms, JOBS.c.updated_ms)
)
INSERT_EVENT: Final = sa.insert(EVENTS)
FIND: Final = sa.select(JOBS).where(JOBS.c.id == sa.bindparam("job_id"))
TRACE: Final = sa.select(JOBS.c.traceparent).where(JOBS.c.id == sa.bindparam("job_id"))
FIND_LOCKED: Final = FIND.with_for_update()
RUNNING: Final = sa.select(JOBS.c.ended, JOBS.c.cancel_asked, (NOW_MS - JOBS.c.started_ms).label("running_ms")).where(
    JOBS.c.id == sa.bindparam("job_id")
)
# Of all jobs by the totals: counting them would take longer with each job that waits.
COUNT_OPEN: Final = sa.select(
    sa.select(sa.func.count()).where(JOBS.c.account_id == sa.bindparam("account_id"), sa.not_(JOBS.c.ended)).scalar_subquery(),
    sa.select(sa.func.coalesce(sa.func.sum(TOTALS.c.number), 0))
    .where(TOTALS.c.name == "jobs", *(TOTALS.c.detail != state for state in sorted(FINAL)))
    .scalar_subquery(),
    sa.select(ACCOUNTS.c.queue_jobs).where(ACCOUNTS.c.id == sa.bindparam("account_id")).scalar_subquery(),
)


@dataclass(frozen=True)
class Running:
    """What a worker checks of its job. `seconds`: since its start."""

    ended: bool
    cancel_asked: bool
    seconds: float


@dataclass(frozen=True)
class Change:
    """What distinguishes a job from what it was before a change."""

    state: State
    progress_percent: int
    updated_ms: int

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(job.state, job.progress_percent, job.updated_ms)


@dataclass(frozen=True)
class Event:
    """A job's change of state. Numbers count from 1."""

    number: int
    state: State
    at_ms: int


@dataclass(frozen=True)
class Only:
    """Which jobs to list. `name`: a part of their file's name, in any case; `with_files`: only those whose files are still there."""

    client_reference: str | None = None
    name: str | None = None
    state: State | None = None
    with_files: bool = False

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The conditions in the database's terms."""
        conditions = [
            (self.client_reference is not None, JOBS.c.client_reference == self.client_reference),
            (self.name is not None, JOBS.c.name.icontains(self.name or "", autoescape=True)),
            (self.state is not None, JOBS.c.state == self.state),
            (self.with_files, JOBS.c.cleared_ms.is_(None)),
        ]
        return [condition for is_given, condition in conditions if is_given]


ANY_JOB: Final = Only()


def insert(connection: sa.Connection, new: NewJob, price_credits: int) -> Job:
    """Insert a queued job. Rights that it does not declare are the account's."""
    row: dict[str, Any] = {
        "id": new.id,
        "account_id": new.account_id,
        "facade": new.facade,
        "state": State.QUEUED,
        "ended": False,
        "wish": new.spec.to_json(),
        "request": dict(new.request),
        "callback_url": new.callback_url,
        "price_credits": price_credits,
        "priority": new.priority,
        "progress_percent": 0,
        "attempts": 0,
        "cancel_asked": False,
        "client_reference": new.client_reference,
        "metadata": dict(new.metadata) or None,
        "name": new.name,
        "traceparent": new.traceparent,
    }
    declared = connection.execute(INSERT_JOB, row | {"owner_id": new.account_id, "job_rights": new.rights}).one()
    connection.execute(INSERT_EVENT, {"job_id": new.id, "number": 1, "state": State.QUEUED, "at_ms": declared.created_ms})
    return _job_of(row | dict(declared._mapping) | dict.fromkeys(UNSET_COLUMNS))


def find(connection: sa.Connection, job_id: str, account_id: int | None = None) -> Job:
    """The job, if it belongs to the account (None: any account). Raises UnknownJob."""
    if not JOB_ID.fullmatch(job_id):  # such as a NUL, which PostgreSQL refuses even in a query
        raise UnknownJob("there is no such job")
    row = connection.execute(FIND, {"job_id": job_id}).first()
    if row is None or account_id not in (None, row.account_id):
        raise UnknownJob("there is no such job")
    return job_of(row)


def locked(connection: sa.Connection, job_id: str) -> Job:
    """The job, locked until this transaction ends. Raises UnknownJob."""
    row = connection.execute(FIND_LOCKED, {"job_id": job_id}).first()
    if row is None:
        raise UnknownJob("there is no such job")
    return job_of(row)


def running(connection: sa.Connection, job_id: str) -> Running:
    """Whether the job has ended or should, and how long it has run."""
    row = connection.execute(RUNNING, {"job_id": job_id}).one()
    return Running(row.ended, row.cancel_asked, (row.running_ms or 0) / 1000)


def trace_of(connection: sa.Connection, job_id: str) -> str | None:
    """The trace that the job is part of; None if there is none, or no such job."""
    return connection.execute(TRACE, {"job_id": job_id}).scalar()


def of_account(connection: sa.Connection, account_id: int, limit: int, before_ms: int | None = None, only: Only = ANY_JOB) -> list[Job]:
    """The account's jobs, newest first."""
    statement = sa.select(JOBS).where(JOBS.c.account_id == account_id).order_by(JOBS.c.created_ms.desc(), JOBS.c.id.desc()).limit(limit)
    if before_ms is not None:
        statement = statement.where(JOBS.c.created_ms < before_ms)
    return [job_of(row) for row in connection.execute(statement.where(*only.conditions))]


def count_open(connection: sa.Connection, account_id: int) -> tuple[int, int, int | None]:
    """The number of unfinished jobs: of the account, and in total; and the account's own limit of them, if it has one."""
    account_open, all_open, own_limit = connection.execute(COUNT_OPEN, {"account_id": account_id}).one()
    return int(account_open), int(all_open), own_limit


def advance(connection: sa.Connection, job: Job, state: State, **values: object) -> Job:
    """Move a locked job to its next state and record the event. Does nothing if the job is in that state already."""
    if job.state is state:
        return job
    assert may_follow(job.state, state), f"{job.state} -> {state}"
    changes: dict[str, object] = {"state": state, "updated_ms": NOW_MS, **values}
    if state in FINAL:
        changes |= {"ended": True, "finished_ms": NOW_MS}
    row = connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(changes).returning(JOBS)).one()
    number = sa.select(sa.func.count() + 1).select_from(EVENTS).where(EVENTS.c.job_id == job.id).scalar_subquery()
    connection.execute(sa.insert(EVENTS).values(job_id=job.id, number=number, state=state, at_ms=row.updated_ms))
    return job_of(row)


def update(connection: sa.Connection, job_id: str, **values: object) -> None:
    """Change columns other than the state: progress, attempts, result."""
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(updated_ms=NOW_MS, **values))


def changes(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, Change]:
    """The last change of each of these jobs, by id; those that do not exist are missing."""
    found = sa.select(JOBS.c.id, JOBS.c.state, JOBS.c.progress_percent, JOBS.c.updated_ms).where(JOBS.c.id.in_(job_ids))
    return {row.id: Change(State(row.state), row.progress_percent, row.updated_ms) for row in connection.execute(found)}


def events(connection: sa.Connection, job_id: str, after: int = 0) -> list[Event]:
    """The job's events with a number greater than `after`, oldest first."""
    rows = connection.execute(sa.select(EVENTS).where(EVENTS.c.job_id == job_id, EVENTS.c.number > after).order_by(EVENTS.c.number))
    return [Event(row.number, State(row.state), row.at_ms) for row in rows]


def find_by_idempotency_key(connection: sa.Connection, new: NewJob) -> Job | None:
    """The job of this idempotency key, unless the key has expired, the job failed or was cancelled, or its files are gone and wanted."""
    statement = (
        sa.select(JOBS, (NOW_MS - IDEMPOTENCY.c.at_ms).label("age_ms"))
        .join(IDEMPOTENCY, IDEMPOTENCY.c.job_id == JOBS.c.id)
        .where(IDEMPOTENCY.c.account_id == new.account_id, IDEMPOTENCY.c.key == new.idempotency_key)
    )
    row = connection.execute(statement).first()
    if row is None or row.age_ms > new.idempotent_seconds * 1000:
        return None
    job = job_of(row)
    is_lost = job.cleared_ms is not None and not new.reuse_cleared
    return None if is_lost or job.state in (State.FAILED, State.CANCELLED) else job


def store_idempotency_key(connection: sa.Connection, new: NewJob) -> None:
    """Assign the idempotency key to this job."""
    this_key = (IDEMPOTENCY.c.account_id == new.account_id, IDEMPOTENCY.c.key == new.idempotency_key)
    connection.execute(sa.delete(IDEMPOTENCY).where(*this_key))
    connection.execute(sa.insert(IDEMPOTENCY).values(account_id=new.account_id, key=new.idempotency_key, job_id=new.id, at_ms=NOW_MS))


def job_of(row: sa.Row[Any]) -> Job:
    return _job_of(row._mapping)


def _job_of(data: Mapping[str, Any] | sa.RowMapping) -> Job:
    plain = ("id", "account_id", "facade", "request", "callback_url", "price_credits", "priority", "progress_percent", "attempts")
    declared = ("rights", "digital_source_type", "cancel_asked", "client_reference", "name", "step")
    times = ("created_ms", "updated_ms", "started_ms", "finished_ms", "cleared_ms")
    return Job(
        **{name: data[name] for name in (*plain, *declared, *times)},
        state=State(data["state"]),
        spec=JobSpec.from_json(data["wish"]),
        failure=Failure(data["failure_kind"], data["failure_message"]) if data["failure_kind"] else None,
        result=Result.from_json(data["result"]) if data["result"] else None,
        post=Post(**data["post"]) if data["post"] else None,
        metadata=data["metadata"] or {},
        export=Export(**data["export"]) if data["export"] else None,
    )
