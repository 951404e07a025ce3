"""The durable queues of jobs and callbacks; entries are added within our own transactions."""

from typing import Final

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus

from service.jobs.database import Database
from service.jobs.job import NewJob

APPLICATION: Final = "cleanplate"
VERSION: Final = "1"  # of the workflows; increase it when workflows in progress could not continue with a change
JOBS: Final = "jobs"
CALLBACKS: Final = "callbacks"
JOB_WORKFLOW: Final = "clean_job"
CALLBACK_WORKFLOW: Final = "deliver_callback"
POLL_SECONDS: Final = 0.25
CONCURRENT_CALLBACKS: Final = 64  # per worker; they mostly wait for remote hosts
CALLBACKS_PER_HOST: Final = 4  # per account and host, so that a host that never responds delays no other


class Queues:
    """Enqueues jobs and callbacks, from any process that can reach the database."""

    def __init__(self, database: Database) -> None:
        self._client = DBOSClient(
            system_database_url=database.url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION, lazy=True
        )

    def enqueue_job(self, connection: sa.Connection, new: NewJob) -> None:
        """Enqueue a job. Each account has its own partition, so that no customer waits behind another's backlog."""
        options = _options(JOBS, JOB_WORKFLOW, new.id, str(new.account_id))
        options["priority"] = new.priority
        self._client.enqueue_in_transaction(connection, options, new.id)

    def enqueue_callback(self, connection: sa.Connection, delivery_id: str, attempt: int, partition: tuple[int, str]) -> None:
        """Enqueue one attempt. `partition`: account id and host; each pair is limited separately."""
        options = _options(CALLBACKS, CALLBACK_WORKFLOW, f"{delivery_id}.{attempt}", "{} {}".format(*partition))
        self._client.enqueue_in_transaction(connection, options, delivery_id)

    def running(self) -> list[WorkflowStatus]:
        """The workflows that a worker has started and not finished."""
        return self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False, queue_name=[JOBS, CALLBACKS]
        )

    def finished(self, workflow_ids: list[str]) -> list[str]:
        """Those of these workflow ids that have finished or are unknown."""
        if not workflow_ids:
            return []
        workflows = self._client.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
        open_ids = {workflow.workflow_id for workflow in workflows if workflow.status in ("DELAYED", "ENQUEUED", "PENDING")}
        return [workflow_id for workflow_id in workflow_ids if workflow_id not in open_ids]

    def requeue(self, workflow: WorkflowStatus) -> None:
        """Let another worker continue a started workflow."""
        self._client.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)

    def delete(self, workflow_ids: list[str]) -> None:
        """Delete finished workflows and their steps."""
        self._client.delete_workflows(workflow_ids)

    def close(self) -> None:
        self._client.destroy()


def register(worker_jobs: int, account_jobs: int) -> None:
    """Register the queues with the running engine: how many jobs run at once per worker, and per account in the whole fleet."""
    DBOS.register_queue(
        JOBS,
        worker_concurrency=worker_jobs,
        partition_concurrency=account_jobs,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    DBOS.register_queue(
        CALLBACKS,
        worker_concurrency=CONCURRENT_CALLBACKS,
        partition_concurrency=CALLBACKS_PER_HOST,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )


def _options(queue: str, workflow: str, workflow_id: str, partition: str) -> EnqueueOptions:
    return {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": workflow_id,
        "queue_partition_key": partition,
        "app_version": VERSION,
    }
