"""What operators look at: usage by day, the jobs of all accounts, the workers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from service.jobs import store
from service.jobs.credits import Kind
from service.jobs.database import NOW_MS
from service.jobs.job import Job, State
from service.jobs.metrics import ALIVE_SECONDS
from service.jobs.tables import ACCOUNTS, JOBS, LEDGER, WORKERS

DAY_MS: Final = 86_400_000
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


def workers(connection: sa.Connection, running: Iterable[str | None]) -> Sequence[WorkerHealth]:
    """The workers of the fleet, by id. `running`: the worker of each workflow that has been started and has not finished."""
    taken = list(running)
    silent_ms = (NOW_MS - WORKERS.c.beat_ms).label("silent_ms")
    rows = connection.execute(sa.select(WORKERS, silent_ms).order_by(WORKERS.c.id))
    return [WorkerHealth(row.id, row.host, row.version, max(0, row.silent_ms) / 1000, taken.count(row.id)) for row in rows]
