"""What operators look at: usage by day, the jobs of all accounts, the queue, failures, callbacks, the workers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from service.jobs import store
from service.jobs.credits import Kind
from service.jobs.database import NOW_MS
from service.jobs.finalizer import host_of
from service.jobs.job import Job, State
from service.jobs.metrics import ALIVE_SECONDS
from service.jobs.tables import ACCOUNTS, ATTEMPTS, BATCHES, DELIVERIES, JOBS, LEDGER, WORKERS

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
SHOWN_CHARACTERS: Final = 500  # of a reason in a list
ENDS: Final = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Usage:
    """An account's use of the service on one day (UTC). Jobs count on the day on which they were accepted, or ended; credits when spent."""

    date: str  # such as 2026-11-29
    account_id: int
    account: str
    accepted_jobs: int = 0
    succeeded_jobs: int = 0
    failed_jobs: int = 0
    cancelled_jobs: int = 0
    spent_credits: int = 0
    processing_seconds: float = 0.0


@dataclass(frozen=True)
class WorkerHealth:
    """A worker as the database last heard of it. `silent_seconds`: since then; `running`: workflows that it has taken."""

    id: str
    host: str
    version: str | None
    silent_seconds: float
    running: int

    @property
    def alive(self) -> bool:
        return self.silent_seconds <= ALIVE_SECONDS


@dataclass(frozen=True)
class JobFilter:
    """Which jobs an operator asks for. None: any."""

    account_id: int | None = None
    state: State | None = None
    facade: str | None = None
    failure_kind: str | None = None


@dataclass(frozen=True)
class Backlog:
    """The unfinished jobs of an account."""

    account_id: int
    account: str
    queued_jobs: int
    running_jobs: int
    oldest_queued_seconds: float  # 0 without a waiting job


@dataclass(frozen=True)
class FailureKind:
    """Jobs that failed with the same kind of error, and the last of them."""

    kind: str
    jobs: int
    last_ms: int
    last_job_id: str
    last_account: str
    last_detail: str


@dataclass(frozen=True)
class CallbackInfo:
    """A callback of a job or of a batch. Of its address only the host is told: the rest may be a secret of the customer's.

    subject_id: the job's or the batch's; at_ms: of the last attempt, or of the job's end; due_ms: of the next attempt, if one waits.
    """

    subject_id: str
    account_id: int
    account: str
    host: str
    outcome: str
    attempts: int
    at_ms: int
    due_ms: int | None
    last_error: str | None


@dataclass(frozen=True)
class CallbackFilter:
    """Which callbacks an operator asks for. None: any."""

    account_id: int | None = None
    outcome: str | None = None


def usage(connection: sa.Connection, days: int, account_id: int | None = None) -> list[Usage]:
    """The use of each account on each of the last days that it has used the service, the latest first. `days`: today included.

    From the ledger, which is kept for ever, and from the jobs, which are kept for `keep_jobs_seconds`.
    """
    since_ms = (NOW_MS // DAY_MS - (days - 1)) * DAY_MS
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for statement in (_credits_by_day(since_ms), _ends_by_day(since_ms)):
        chosen = statement if account_id is None else statement.where(statement.selected_columns.account_id == account_id)
        for row in connection.execute(chosen):
            values = row._asdict()
            day, owner = int(values.pop("day")), int(values.pop("account_id"))
            found.setdefault((day, owner), {}).update(values)
    names = {row.id: row.name for row in connection.execute(sa.select(ACCOUNTS.c.id, ACCOUNTS.c.name))}
    return [_usage(day, owner, names[owner], found[day, owner]) for day, owner in sorted(found, key=lambda key: (-key[0], key[1]))]


def _usage(day: int, account_id: int, name: str, values: dict[str, Any]) -> Usage:
    date = datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()
    processing_seconds = round(int(values.pop("processing_ms", 0) or 0) / 1000, 1)
    return Usage(date, account_id, name, **{each: int(number) for each, number in values.items()}, processing_seconds=processing_seconds)


def _credits_by_day(since_ms: sa.ColumnElement[int]) -> sa.Select[Any]:
    day = (LEDGER.c.at_ms // DAY_MS).label("day")
    accepted = sa.func.count(sa.distinct(sa.case((LEDGER.c.kind == Kind.RESERVE, LEDGER.c.job_id))))
    spent = sa.func.coalesce(sa.func.sum(sa.case((LEDGER.c.kind == Kind.SETTLE, -LEDGER.c.held_credits), else_=0)), 0)
    columns = (day, LEDGER.c.account_id, accepted.label("accepted_jobs"), spent.label("spent_credits"))
    of_jobs = LEDGER.c.kind.in_([Kind.RESERVE, Kind.SETTLE])
    return sa.select(*columns).where(LEDGER.c.at_ms >= since_ms, of_jobs).group_by(day, LEDGER.c.account_id)


def _ends_by_day(since_ms: sa.ColumnElement[int]) -> sa.Select[Any]:
    day = (JOBS.c.finished_ms // DAY_MS).label("day")
    ends = (sa.func.sum(sa.case((JOBS.c.state == state, 1), else_=0)).label(f"{state}_jobs") for state in ENDS)
    processing = sa.func.sum(sa.case((JOBS.c.started_ms.is_not(None), JOBS.c.finished_ms - JOBS.c.started_ms), else_=0))
    columns = (day, JOBS.c.account_id, *ends, processing.label("processing_ms"))
    return sa.select(*columns).where(JOBS.c.finished_ms >= since_ms).group_by(day, JOBS.c.account_id)


def jobs(connection: sa.Connection, wanted: JobFilter, limit: int, before_ms: int | None = None) -> list[tuple[str, Job]]:
    """Jobs of all accounts with the names of these, newest first: at most `limit`, created before `before_ms`."""
    statement = sa.select(JOBS, ACCOUNTS.c.name.label("account_name")).join(ACCOUNTS, ACCOUNTS.c.id == JOBS.c.account_id)
    columns = {JOBS.c.account_id: wanted.account_id, JOBS.c.state: wanted.state, JOBS.c.facade: wanted.facade}
    columns[JOBS.c.failure_kind] = wanted.failure_kind
    chosen = [column == value for column, value in columns.items() if value is not None]
    if before_ms is not None:
        chosen.append(JOBS.c.created_ms < before_ms)
    newest = statement.where(*chosen).order_by(JOBS.c.created_ms.desc(), JOBS.c.id.desc()).limit(limit)
    return [(row.account_name, store.job_of(row)) for row in connection.execute(newest)]


def backlogs(connection: sa.Connection, limit: int) -> list[Backlog]:
    """The accounts with unfinished jobs, those with the most waiting ones first: at most `limit`."""
    waits = JOBS.c.state == State.QUEUED
    queued = sa.func.sum(sa.case((waits, 1), else_=0))
    waited_ms = NOW_MS - sa.func.min(sa.case((waits, JOBS.c.created_ms)))
    columns = (JOBS.c.account_id, ACCOUNTS.c.name, queued.label("queued"), sa.func.count().label("jobs"), waited_ms.label("waited_ms"))
    statement = sa.select(*columns).join(ACCOUNTS, ACCOUNTS.c.id == JOBS.c.account_id).where(sa.not_(JOBS.c.ended))
    rows = connection.execute(
        statement.group_by(JOBS.c.account_id, ACCOUNTS.c.name).order_by(queued.desc(), JOBS.c.account_id).limit(limit)
    )
    return [Backlog(row.account_id, row.name, row.queued, row.jobs - row.queued, max(0, row.waited_ms or 0) / 1000) for row in rows]


def failures(connection: sa.Connection, hours: int) -> list[FailureKind]:
    """The kinds of error with which jobs failed in the last hours, the most frequent first."""
    failed = sa.and_(JOBS.c.finished_ms >= NOW_MS - hours * HOUR_MS, JOBS.c.state == State.FAILED)
    place = sa.func.row_number().over(partition_by=JOBS.c.failure_kind, order_by=(JOBS.c.finished_ms.desc(), JOBS.c.id)).label("place")
    number = sa.func.count().over(partition_by=JOBS.c.failure_kind).label("number")
    columns = (JOBS.c.id, JOBS.c.account_id, JOBS.c.failure_kind, JOBS.c.failure_message, JOBS.c.finished_ms, place, number)
    ranked = sa.select(*columns).where(failed).subquery()
    last = sa.select(ranked, ACCOUNTS.c.name).join(ACCOUNTS, ACCOUNTS.c.id == ranked.c.account_id).where(ranked.c.place == 1)
    rows = connection.execute(last.order_by(ranked.c.number.desc(), ranked.c.failure_kind))
    return [
        FailureKind(row.failure_kind, row.number, row.finished_ms, row.id, row.name, (row.failure_message or "")[:SHOWN_CHARACTERS])
        for row in rows
    ]


def deliveries(connection: sa.Connection, wanted: CallbackFilter, limit: int, before_ms: int | None = None) -> list[CallbackInfo]:
    """Callbacks of all accounts, the last tried first: at most `limit`, tried before `before_ms`."""
    url = sa.func.coalesce(BATCHES.c.callback_url, JOBS.c.callback_url).label("url")
    of_last = sa.and_(ATTEMPTS.c.delivery_id == DELIVERIES.c.id, ATTEMPTS.c.number == DELIVERIES.c.attempts)
    columns = (DELIVERIES, JOBS.c.account_id, ACCOUNTS.c.name, url, ATTEMPTS.c.error)
    statement = sa.select(*columns).join(JOBS, JOBS.c.id == DELIVERIES.c.job_id).join(ACCOUNTS, ACCOUNTS.c.id == JOBS.c.account_id)
    statement = statement.outerjoin(BATCHES, BATCHES.c.id == DELIVERIES.c.batch_id).outerjoin(ATTEMPTS, of_last)
    chosen = {JOBS.c.account_id: wanted.account_id, DELIVERIES.c.outcome: wanted.outcome}
    conditions = [column == value for column, value in chosen.items() if value is not None]
    if before_ms is not None:
        conditions.append(DELIVERIES.c.at_ms < before_ms)
    last = statement.where(*conditions).order_by(DELIVERIES.c.at_ms.desc(), DELIVERIES.c.id.desc()).limit(limit)
    return [_callback_of(row) for row in connection.execute(last)]


def _callback_of(row: sa.Row[Any]) -> CallbackInfo:
    error = row.error[:SHOWN_CHARACTERS] if row.error else None
    host = host_of(row.url or "")
    return CallbackInfo(row.batch_id or row.job_id, row.account_id, row.name, host, row.outcome, row.attempts, row.at_ms, row.due_ms, error)


def workers(connection: sa.Connection, running: Iterable[str | None]) -> Sequence[WorkerHealth]:
    """The workers of the fleet, by id. `running`: the worker of each workflow that has been started and has not finished."""
    taken = list(running)
    silent_ms = (NOW_MS - WORKERS.c.beat_ms).label("silent_ms")
    rows = connection.execute(sa.select(WORKERS, silent_ms).order_by(WORKERS.c.id))
    return [WorkerHealth(row.id, row.host, row.version, max(0, row.silent_ms) / 1000, taken.count(row.id)) for row in rows]
