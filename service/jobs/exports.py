"""Which results are to be put into their account's own bucket, and how far that is: at least once, retried for three days."""

from typing import Any, Final

import sqlalchemy as sa

from service.jobs import store
from service.jobs.database import NOW_MS, Database
from service.jobs.job import Export, Job
from service.jobs.retry import THREE_DAYS_SECONDS
from service.jobs.tables import JOBS

BEAT_SECONDS: Final = 30.0  # between two signs of an attempt in progress; after twice as long without one, another worker tries


def is_due(export: Export | None = None) -> dict[str, Any]:
    """The columns of a job whose result is to be delivered at once."""
    return {"export": (export or Export()).to_json(), "export_due_ms": NOW_MS}


def claim(database: Database, busy_accounts: set[int]) -> Job | None:
    """A job whose result is due, of an account that is not busy; as long as it is renewed nobody else gets it. None if there is none."""
    due = sa.select(JOBS.c.id).where(JOBS.c.export_due_ms <= NOW_MS, JOBS.c.account_id.not_in(busy_accounts))
    with database.read() as connection:
        if connection.execute(due.limit(1)).first() is None:
            return None
    with database.write() as connection:
        row = connection.execute(due.order_by(JOBS.c.export_due_ms).limit(1).with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        _set(connection, row.id, export_due_ms=_in(2 * BEAT_SECONDS))
        return store.find(connection, row.id)


def renew(database: Database, job_id: str) -> None:
    """The attempt is still in progress."""
    with database.write() as connection:
        _set(connection, job_id, export_due_ms=_in(2 * BEAT_SECONDS))


def give_back(database: Database, job_id: str) -> None:
    """The attempt was interrupted, and does not count."""
    with database.write() as connection:
        _set(connection, job_id, export_due_ms=NOW_MS)


def delivered(database: Database, job: Job, url: str) -> None:
    """The result is in the bucket, at this address."""
    done = Export("delivered", _attempts(job) + 1, url)
    with database.write() as connection:
        _set(connection, job.id, export=done.to_json(), export_due_ms=None)


def failed(database: Database, job: Job, reason: str, is_final: bool = False) -> None:
    """An attempt failed: the next one is due later, or it is given up."""
    attempts = _attempts(job) + 1
    gives_up = is_final or attempts > len(THREE_DAYS_SECONDS)
    tried = Export("given_up" if gives_up else "pending", attempts, None, reason)
    due_ms = None if gives_up else _in(THREE_DAYS_SECONDS[attempts - 1])
    with database.write() as connection:
        _set(connection, job.id, export=tried.to_json(), export_due_ms=due_ms)


def _attempts(job: Job) -> int:
    return job.export.attempts if job.export else 0


def _set(connection: sa.Connection, job_id: str, **values: object) -> None:
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(values))


def _in(seconds: float) -> sa.ColumnElement[int]:
    return NOW_MS + int(seconds * 1000)
