"""Delivers callbacks at least once, with retries at growing intervals, then gives up."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.disk import once_there_is_room
from service.errors import CleanplateError
from service.jobs import store
from service.jobs.database import NOW_MS, Database
from service.jobs.fence import Fence
from service.jobs.finalizer import host_of
from service.jobs.job import Job
from service.jobs.queues import Queues
from service.jobs.retry import callback_delay_seconds
from service.jobs.tables import ATTEMPTS, BATCHES, DELIVERIES, JOBS
from service.outside.post import ReceiverGone

log = logging.getLogger(__name__)

DUE_BATCH: Final = 100
SHOWN_ATTEMPTS: Final = 50  # the last ones: there may be more, as customers may ask for another at any time
DUE: Final = (
    sa.select(
        DELIVERIES.c.id,
        DELIVERIES.c.attempts,
        JOBS.c.account_id,
        sa.func.coalesce(BATCHES.c.callback_url, JOBS.c.callback_url).label("callback_url"),
    )
    .join(JOBS, JOBS.c.id == DELIVERIES.c.job_id)
    .outerjoin(BATCHES, BATCHES.c.id == DELIVERIES.c.batch_id)
    .where(DELIVERIES.c.due_ms <= NOW_MS)
    .order_by(DELIVERIES.c.due_ms)
    .limit(DUE_BATCH)
)


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver. `at_ms`: when it had ended; `error` None: delivered."""

    number: int
    at_ms: int
    took_ms: int
    error: str | None


@dataclass(frozen=True)
class Delivery:
    """How far the delivery of a callback is. `at_ms`: of the last attempt, or of the job's end; `due_ms`: of the next, if one waits.

    log: the last attempts, oldest first.
    """

    outcome: str  # pending | delivered | given_up
    attempts: int
    at_ms: int
    due_ms: int | None
    log: tuple[Attempt, ...] = ()


def deliver(fence: Fence, delivery_id: str, send: Callable[[Job], None], *, for_days: bool = False) -> str:
    """Make one attempt: send the job's outcome, record the delivery's outcome and when the next attempt is due. Return the outcome.

    A crash between sending and recording sends again, and so does a worker that is stopped between the last look at the fence and sending:
    receivers see the same event twice, and know it by its id. `send` raises a CleanplateError if the callback was not delivered.
    An attempt that is recorded already is not repeated. `for_days`: try for three days, also where a vendor documents less.
    """
    with fence.read() as connection:
        row = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.id == delivery_id)).one()
        job = store.find(connection, row.job_id)
    if row.outcome != "pending" or row.attempts >= _attempt_of(fence.workflow_id):
        return str(row.outcome)
    number = row.attempts + 1
    outcome, delay_seconds, error = "delivered", None, None
    began = time.monotonic()
    try:
        send(job)
    except CleanplateError as failed:
        error = str(failed)
        delay_seconds = None if isinstance(failed, ReceiverGone) else callback_delay_seconds(number, job.facade, for_days=for_days)
        outcome = "pending" if delay_seconds is not None else "given_up"
        log.warning("callback %s, attempt %d: %s", delivery_id, number, error)
    took_ms = round((time.monotonic() - began) * 1000)
    this_attempt = sa.update(DELIVERIES).where(DELIVERIES.c.id == delivery_id, DELIVERIES.c.attempts == row.attempts)
    due_ms = None if delay_seconds is None else NOW_MS + int(delay_seconds * 1000)
    line = {"delivery_id": delivery_id, "number": number, "at_ms": NOW_MS, "took_ms": took_ms, "error": error}

    def record() -> None:
        with fence.write() as connection:
            changed = connection.execute(this_attempt.values(outcome=outcome, attempts=number, at_ms=NOW_MS, due_ms=due_ms))
            if changed.rowcount:  # otherwise it is recorded already
                connection.execute(sa.insert(ATTEMPTS).values(line))

    once_there_is_room(record)  # a full disk must not send it again
    return outcome


def _attempt_of(workflow_id: str) -> int:
    """The number of the attempt that a workflow makes: see `Queues.enqueue_callback`."""
    return int(workflow_id.rpartition(".")[2])


def trace_of(connection: sa.Connection, delivery_id: str) -> str | None:
    """The trace of the job, or of the batch and its jobs, that a delivery reports; None if there is none."""
    of_job = sa.select(JOBS.c.traceparent).join(DELIVERIES, DELIVERIES.c.job_id == JOBS.c.id)
    return connection.execute(of_job.where(DELIVERIES.c.id == delivery_id)).scalar()


def find(connection: sa.Connection, subject_id: str) -> Delivery | None:
    """The delivery of the callback of a job or a batch; None if it has none, or has not ended."""
    row = connection.execute(sa.select(DELIVERIES).where(_of(subject_id))).first()
    if row is None:
        return None
    latest = sa.select(ATTEMPTS).where(ATTEMPTS.c.delivery_id == row.id).order_by(ATTEMPTS.c.number.desc()).limit(SHOWN_ATTEMPTS)
    attempts = [Attempt(each.number, each.at_ms, each.took_ms, each.error) for each in connection.execute(latest)]
    return Delivery(row.outcome, row.attempts, row.at_ms, row.due_ms, tuple(reversed(attempts)))


def redeliver(connection: sa.Connection, subject_id: str) -> None:
    """Have the callback sent again, at once: whether it was delivered, given up, or waits for its next attempt. One in progress goes on."""
    is_idle = sa.or_(DELIVERIES.c.outcome != "pending", DELIVERIES.c.due_ms.is_not(None))
    connection.execute(sa.update(DELIVERIES).where(_of(subject_id), is_idle).values(outcome="pending", due_ms=NOW_MS))


def redeliver_given_up(connection: sa.Connection) -> int:
    """Have all callbacks sent again, at once, that were given up; return their number."""
    given_up = sa.update(DELIVERIES).where(DELIVERIES.c.outcome == "given_up")
    return connection.execute(given_up.values(outcome="pending", due_ms=NOW_MS)).rowcount


def _of(subject_id: str) -> sa.ColumnElement[bool]:
    """The delivery of a job or a batch. That of a batch also has a job, whose retention it shares."""
    of_job = sa.and_(DELIVERIES.c.job_id == subject_id, DELIVERIES.c.batch_id.is_(None))
    return sa.or_(of_job, DELIVERIES.c.id == ended_id(subject_id))


def ended_id(batch_id: str) -> str:
    """The id of the delivery of a batch's end."""
    return f"{batch_id}.ended"


def enqueue_due(database: Database, queues: Queues) -> int:
    """Enqueue the next attempts whose time has come by the database's clock; return their number. Several workers may do so at once.

    The engine has delays of its own, but by the clocks of the workers: one that is ten minutes off delays every callback by as much.
    """
    with database.read() as connection:
        if connection.execute(DUE).first() is None:
            return 0
    with database.write() as connection:
        rows = connection.execute(DUE.with_for_update(skip_locked=True, of=DELIVERIES)).all()
        for row in rows:
            connection.execute(sa.update(DELIVERIES).where(DELIVERIES.c.id == row.id).values(due_ms=None))
            queues.enqueue_callback(connection, row.id, row.attempts + 1, (row.account_id, host_of(row.callback_url or "")))
    return len(rows)
