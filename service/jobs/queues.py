"""The durable queues: what waits, for whom, and how it is put there within a transaction of ours."""

from typing import Final

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus

from service.jobs.database import Database
from service.jobs.job import NewJob

APPLICATION: Final = "cleanplate"
VERSION: Final = "1"  # of the workflows: a change that started ones could not go on with needs another
JOBS: Final = "jobs"
CALLBACKS: Final = "callbacks"
JOB_WORKFLOW: Final = "clean_job"
CALLBACK_WORKFLOW: Final = "deliver_callback"
POLL_SECONDS: Final = 0.25
CALLBACKS_AT_A_TIME: Final = 64  # of a worker; they wait for hosts and hardly work
CALLBACKS_PER_HOST: Final = 4  # of an account's: a host that never answers holds up no other


class Queues:
    """Puts jobs and callbacks in line, from any process that reaches the database."""

    def __init__(self, database: Database) -> None:
        self._client = DBOSClient(
            system_database_url=database.url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION, lazy=True
        )

    def put_job(self, connection: sa.Connection, new: NewJob) -> None:
        """One line for each account: no customer waits behind another's backlog."""
        options = _options(JOBS, JOB_WORKFLOW, new.id, str(new.account_id))
        options["priority"] = new.priority
        self._client.enqueue_in_transaction(connection, options, new.id)

    def put_callback(
        self, connection: sa.Connection, delivery_id: str, attempt: int, line: tuple[int, str], delay_seconds: float | None = None
    ) -> None:
        """One attempt, now or later. `line`: account and host; each such pair waits for itself alone."""
        options = _options(CALLBACKS, CALLBACK_WORKFLOW, f"{delivery_id}.{attempt}", "{} {}".format(*line))
        if delay_seconds is not None:
            options["delay_seconds"] = delay_seconds
        self._client.enqueue_in_transaction(connection, options, delivery_id)

    def running(self) -> list[WorkflowStatus]:
        """The workflows that some worker has begun and not finished."""
        return self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False, queue_name=[JOBS, CALLBACKS]
        )

    def over(self, workflow_ids: list[str]) -> list[str]:
        """Those of these workflows that are finished, or unknown."""
        if not workflow_ids:
            return []
        found = self._client.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
        at_work = {workflow.workflow_id for workflow in found if workflow.status in ("DELAYED", "ENQUEUED", "PENDING")}
        return [workflow_id for workflow_id in workflow_ids if workflow_id not in at_work]

    def put_back(self, workflow: WorkflowStatus) -> None:
        """Let another worker go on with a workflow that one began."""
        self._client.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)

    def forget(self, workflow_ids: list[str]) -> None:
        """Delete finished workflows and all their steps."""
        self._client.delete_workflows(workflow_ids)

    def close(self) -> None:
        self._client.destroy()


def register(worker_jobs: int, account_jobs: int) -> None:
    """Tell the launched engine of the queues: how many jobs a worker, and an account in the whole fleet, runs at a time."""
    DBOS.register_queue(
        JOBS,
        worker_concurrency=worker_jobs,
        partition_concurrency=account_jobs,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    DBOS.register_queue(
        CALLBACKS,
        worker_concurrency=CALLBACKS_AT_A_TIME,
        partition_concurrency=CALLBACKS_PER_HOST,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )


def _options(queue: str, workflow: str, workflow_id: str, line: str) -> EnqueueOptions:
    return {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": workflow_id,
        "queue_partition_key": line,
        "app_version": VERSION,
    }
