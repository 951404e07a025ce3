"""Delivers callbacks at least once, with retries at growing intervals, then gives up."""

import logging
from collections.abc import Callable

import sqlalchemy as sa

from service.disk import once_there_is_room
from service.errors import CleanplateError
from service.jobs import store
from service.jobs.database import Database, now_ms
from service.jobs.finalizer import host_of
from service.jobs.job import Job
from service.jobs.queues import Queues
from service.jobs.retry import callback_delay_seconds
from service.jobs.tables import DELIVERIES

log = logging.getLogger(__name__)


def deliver(database: Database, queues: Queues, delivery_id: str, send: Callable[[Job], None]) -> str:
    """Make one attempt: send the job's outcome, record the delivery's outcome, and enqueue the next attempt. Return the delivery's outcome.

    A crash between sending and recording sends again. `send` raises a CleanplateError if the callback was not delivered.
    """
    with database.read() as connection:
        row = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.id == delivery_id)).one()
        job = store.find(connection, row.job_id)
    if row.outcome != "pending":
        return str(row.outcome)
    attempts = row.attempts + 1
    delay_seconds: float | None = None
    try:
        send(job)
        outcome = "delivered"
    except CleanplateError as error:
        delay_seconds = callback_delay_seconds(attempts)
        outcome = "pending" if delay_seconds is not None else "given_up"
        log.warning("callback %s, attempt %d: %s", delivery_id, attempts, error)
    this_attempt = sa.update(DELIVERIES).where(DELIVERIES.c.id == delivery_id, DELIVERIES.c.attempts == row.attempts)

    def record() -> None:
        with database.write() as connection:
            recorded = connection.execute(this_attempt.values(outcome=outcome, attempts=attempts, at_ms=now_ms())).rowcount
            if recorded and delay_seconds is not None:
                partition = (job.account_id, host_of(job.callback_url or ""))
                queues.enqueue_callback(connection, delivery_id, attempts + 1, partition, delay_seconds)

    once_there_is_room(record)  # a full disk must not send it again
    return outcome
