"""The end of a job: its last state, its credits and its callback are one transaction."""

from collections.abc import Collection
from urllib.parse import urlsplit

import sqlalchemy as sa

from service.jobs import credits, ledger, store
from service.jobs.database import now_ms
from service.jobs.job import Failure, Job, State
from service.jobs.queues import Queues
from service.jobs.tables import DELIVERIES


class JobFinalizer:
    """Ends jobs. `with_callbacks`: the facades that call back."""

    def __init__(self, queues: Queues, with_callbacks: Collection[str]) -> None:
        self._queues = queues
        self._with_callbacks = with_callbacks

    def succeed(self, connection: sa.Connection, job: Job) -> Job:
        """Spend what the job holds."""
        return self._end(connection, job, State.SUCCEEDED, progress_percent=100)

    def fail(self, connection: sa.Connection, job: Job, failure: Failure) -> Job:
        """Give back what the job holds."""
        return self._end(connection, job, State.FAILED, failure_kind=failure.kind, failure_message=failure.message)

    def cancel(self, connection: sa.Connection, job: Job) -> Job:
        """Give back what the job holds."""
        return self._end(connection, job, State.CANCELLED, failure_kind="JobCancelled", failure_message="the job was cancelled")

    def _end(self, connection: sa.Connection, job: Job, state: State, **values: object) -> Job:
        if job.ended:  # the step is repeated after a crash, or someone else was faster
            return job
        held = ledger.reserved(connection, job.id)
        ledger.write(connection, job.account_id, credits.settle(held) if state is State.SUCCEEDED else credits.refund(held))
        ended = store.advance(connection, job, state, **values)
        if ended.callback_url and ended.facade in self._with_callbacks:
            self._call_back(connection, ended, ended.callback_url)
        return ended

    def _call_back(self, connection: sa.Connection, job: Job, url: str) -> None:
        delivery_id = f"{job.id}.{job.state}"
        row = {"id": delivery_id, "job_id": job.id, "outcome": "pending", "attempts": 0, "at_ms": now_ms()}
        connection.execute(sa.insert(DELIVERIES).values(row))
        self._queues.put_callback(connection, delivery_id, 1, (job.account_id, host_of(url)))


def host_of(url: str) -> str:
    """The host of an address, however odd; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
