"""Which results are to be put into their account's own bucket, and how far that is: at least once, retried for three days."""

from dataclasses import dataclass
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


@dataclass
class Claim:
    """A job whose result is this exporter's to deliver until `due_ms`, by the database's clock; then another may claim it.

    What an exporter records after another has claimed the job, or the customer has asked for it again, is lost: it was too slow.
    """

    job: Job
    due_ms: int


def claim(database: Database, busy_accounts: set[int]) -> Claim | None:
    """A job whose result is due, of an account that is not busy; as long as it is renewed nobody else gets it. None if there is none."""
    due = sa.select(JOBS.c.id).where(JOBS.c.export_due_ms <= NOW_MS, JOBS.c.account_id.not_in(busy_accounts))
    with database.read() as connection:
        if connection.execute(due.limit(1)).first() is None:
            return None
    with database.write() as connection:
        row = connection.execute(due.order_by(JOBS.c.export_due_ms).limit(1).with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        later = sa.update(JOBS).where(JOBS.c.id == row.id).values(export_due_ms=_in(2 * BEAT_SECONDS)).returning(JOBS.c.export_due_ms)
        return Claim(store.find(connection, row.id), connection.execute(later).scalar_one())


def renew(database: Database, mine: Claim) -> bool:
    """The attempt is still in progress; whether it is still ours."""
    return _set(database, mine, export_due_ms=_in(2 * BEAT_SECONDS))


def give_back(database: Database, mine: Claim) -> None:
    """The attempt was interrupted, and does not count."""
    _set(database, mine, export_due_ms=NOW_MS)


def delivered(database: Database, mine: Claim, url: str) -> bool:
    """The result is in the bucket, at this address; whether that is recorded. The job stays claimed until it is `finished`."""
    done = Export("delivered", _attempts(mine.job) + 1, url)
    return _set(database, mine, export=done.to_json(), export_due_ms=_in(2 * BEAT_SECONDS))


def finished(database: Database, mine: Claim) -> None:
    """Nothing is left to do for a result that was delivered."""
    _set(database, mine, export_due_ms=None)


def failed(database: Database, mine: Claim, reason: str, is_final: bool = False) -> None:
    """An attempt failed: the next one is due later, or it is given up."""
    attempts = _attempts(mine.job) + 1
    gives_up = is_final or attempts > len(THREE_DAYS_SECONDS)
    tried = Export("given_up" if gives_up else "pending", attempts, None, reason)
    due_ms = None if gives_up else _in(THREE_DAYS_SECONDS[attempts - 1])
    _set(database, mine, export=tried.to_json(), export_due_ms=due_ms)


def _attempts(job: Job) -> int:
    return job.export.attempts if job.export else 0


def _set(database: Database, mine: Claim, **values: object) -> bool:
    """Change columns of a job that is still ours; whether it was."""
    ours = sa.update(JOBS).where(JOBS.c.id == mine.job.id, JOBS.c.export_due_ms == mine.due_ms)
    with database.write() as connection:
        row = connection.execute(ours.values(values).returning(JOBS.c.export_due_ms)).first()
    if row is not None:
        mine.due_ms = row.export_due_ms
    return row is not None


def _in(seconds: float) -> sa.ColumnElement[int]:
    return NOW_MS + int(seconds * 1000)
