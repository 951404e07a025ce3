"""Ends jobs: the final state, the settlement or refund of credits, and the callback, in one transaction."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import sqlalchemy as sa

from service.jobs import credits, destinations, exports, ledger, store
from service.jobs.credits import Entry
from service.jobs.database import NOW_MS
from service.jobs.job import Failure, Job, State
from service.jobs.queues import Queues
from service.jobs.tables import DELIVERIES

CloseReservation = Callable[[Sequence[Entry]], list[Entry]]


class JobFinalizer:
    """Ends each job once.

    with_callbacks: names of the facades that send callbacks. charge_unmarked: of those that charge for a job that removed nothing.
    """

    def __init__(self, queues: Queues, with_callbacks: Collection[str], charge_unmarked: Collection[str] = ()) -> None:
        self._queues = queues
        self._with_callbacks = with_callbacks
        self._charge_unmarked = charge_unmarked

    def succeed(self, connection: sa.Connection, job: Job) -> Job:
        """End the job as succeeded; its held credits are spent, or refunded if it removed nothing and its facade is not to charge then."""
        if job.result is None or not job.removed_nothing or job.facade in self._charge_unmarked:
            return self._end(connection, job, State.SUCCEEDED, credits.settle, progress_percent=100)
        free = replace(job.result, charged=False).to_json()
        return self._end(connection, job, State.SUCCEEDED, credits.refund, progress_percent=100, result=free)

    def fail_and_refund(self, connection: sa.Connection, job: Job, failure: Failure) -> Job:
        """End the job as failed; its held credits are refunded."""
        return self._end(connection, job, State.FAILED, credits.refund, failure_kind=failure.kind, failure_message=failure.message)

    def cancel_and_refund(self, connection: sa.Connection, job: Job) -> Job:
        """End the job as cancelled; its held credits are refunded."""
        reason = {"failure_kind": "JobCancelled", "failure_message": "the job was cancelled"}
        return self._end(connection, job, State.CANCELLED, credits.refund, **reason)

    def ask_to_cancel(self, connection: sa.Connection, job: Job) -> Job:
        """Cancel a queued job and refund it; ask a running one to stop. A job that has ended is unchanged."""
        if job.state is State.QUEUED:
            return self.cancel_and_refund(connection, job)
        if not job.ended:
            store.update(connection, job.id, cancel_asked=True)
        return store.find(connection, job.id)

    def _end(self, connection: sa.Connection, job: Job, state: State, close: CloseReservation, **values: object) -> Job:
        if job.ended:  # the step is repeated after a crash, or another process ended the job first
            return job
        ledger.write(connection, job.account_id, close(ledger.reserved(connection, job.id)))
        if state is State.SUCCEEDED and job.spec.kind == "clean" and destinations.has_one(connection, job.account_id):
            values |= exports.is_due()
        ended = store.advance(connection, job, state, **values)
        if ended.callback_url and ended.facade in self._with_callbacks:
            self._enqueue_callback(connection, ended, ended.callback_url)
        return ended

    def _enqueue_callback(self, connection: sa.Connection, job: Job, url: str) -> None:
        delivery_id = f"{job.id}.{job.state}"
        row = {"id": delivery_id, "job_id": job.id, "outcome": "pending", "attempts": 0, "at_ms": NOW_MS}
        connection.execute(sa.insert(DELIVERIES).values(row))
        self._queues.enqueue_callback(connection, delivery_id, 1, (job.account_id, host_of(url)))


def host_of(url: str) -> str:
    """The host of a URL; empty if the URL is malformed."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
