"""The durable queues of fetches, jobs and callbacks; entries are added within our own transactions.

A job whose source is on the web is fetched first, by a workflow of its own: sources arrive at the pace of their hosts, and no cleaning slot
waits for one.
"""

from typing import Final

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus

from service.jobs import tables
from service.jobs.database import NOW_MS, Database, workflow_table
from service.jobs.job import Job, NewJob

APPLICATION: Final = "cleanplate"
VERSION: Final = "1"  # of the workflows; increase it when workflows in progress could not continue with a change
JOBS: Final = "jobs"
FETCHES: Final = "fetches"
CALLBACKS: Final = "callbacks"
JOB_WORKFLOW: Final = "clean_job"
FETCH_WORKFLOW: Final = "fetch_job"
CALLBACK_WORKFLOW: Final = "deliver_callback"
FETCH_SUFFIX: Final = ".fetch"
POLL_SECONDS: Final = 0.25
CONCURRENT_CALLBACKS: Final = 64  # per worker; they mostly wait for remote hosts
CALLBACKS_PER_HOST: Final = 4  # per account and host, so that a host that never responds delays no other
# The columns of the engine's that say which worker has a workflow, and what they contain when none has it.
NOT_STARTED: Final = {"owner_xid": None, "recovery_attempts": 0, "workflow_deadline_epoch_ms": None, "started_at_epoch_ms": None}
WORKFLOW_COLUMNS: Final = ("workflow_uuid", "status", "executor_id", "updated_at", *NOT_STARTED)


class Queues:
    """Enqueues jobs and callbacks, from any process that can reach the database."""

    def __init__(self, database: Database) -> None:
        self._workflows = workflow_table(database.is_sqlite, *WORKFLOW_COLUMNS)
        self._client = DBOSClient(
            system_database_url=database.url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION, lazy=True
        )

    def enqueue_job(self, connection: sa.Connection, new: NewJob | Job) -> None:
        """Enqueue a job: to be fetched, or to be cleaned if its files are in our storage.

        Each account has its own partition, so that no customer waits behind another's backlog.
        """
        if new.spec.is_fetched:
            options = _options(JOBS, JOB_WORKFLOW, new.id, str(new.account_id))
        else:
            options = _options(FETCHES, FETCH_WORKFLOW, fetch_id(new.id), str(new.account_id))
        options["priority"] = new.priority
        self._client.enqueue_in_transaction(connection, options, new.id)

    def enqueue_callback(self, connection: sa.Connection, delivery_id: str, attempt: int, partition: tuple[int, str]) -> None:
        """Enqueue one attempt. `partition`: account id and host; each pair is limited separately."""
        options = _options(CALLBACKS, CALLBACK_WORKFLOW, f"{delivery_id}.{attempt}", "{} {}".format(*partition))
        self._client.enqueue_in_transaction(connection, options, delivery_id)

    def running(self) -> list[WorkflowStatus]:
        """The workflows that a worker has started and not finished."""
        return self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False, queue_name=[FETCHES, JOBS, CALLBACKS]
        )

    def finished(self, job_ids: list[str]) -> list[str]:
        """Those of these jobs whose workflows have all finished or are unknown."""
        if not job_ids:
            return []
        workflow_ids = [*job_ids, *map(fetch_id, job_ids)]  # in one query: a job has one or both at any moment
        workflows = self._client.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
        open_ids = {workflow.workflow_id for workflow in workflows if workflow.status in ("DELAYED", "ENQUEUED", "PENDING")}
        return [job_id for job_id in job_ids if not {job_id, fetch_id(job_id)} & open_ids]

    def requeue(self, connection: sa.Connection, workflow: WorkflowStatus) -> bool:
        """Let another worker continue a started workflow; whether its worker still had it. The time of its job starts again.

        The engine's own `resume_workflow` would also take it from another worker that has it by now.
        """
        table, job_id = self._workflows, workflow.workflow_id.removesuffix(FETCH_SUFFIX)
        still = (table.c.workflow_uuid == workflow.workflow_id, table.c.status == "PENDING", table.c.executor_id == workflow.executor_id)
        requeued = sa.update(table).where(*still).values(status="ENQUEUED", updated_at=NOW_MS, **NOT_STARTED)
        if not connection.execute(requeued).rowcount:
            return False
        open_job = (tables.JOBS.c.id == job_id, sa.not_(tables.JOBS.c.ended))
        connection.execute(sa.update(tables.JOBS).where(*open_job).values(started_ms=None))
        return True

    def delete(self, workflow_ids: list[str]) -> None:
        """Delete finished workflows and their steps."""
        self._client.delete_workflows(workflow_ids)

    def close(self) -> None:
        self._client.destroy()


def fetch_id(job_id: str) -> str:
    """The id of the workflow that fetches a job's source; the one that cleans it has the job's own id."""
    return f"{job_id}{FETCH_SUFFIX}"


def register(worker_jobs: int, account_jobs: int, worker_fetches: int, account_fetches: int) -> None:
    """Register the queues with the running engine: how many jobs and fetches run at once per worker, and per account in the whole fleet."""
    DBOS.register_queue(
        FETCHES,
        worker_concurrency=worker_fetches,
        partition_concurrency=account_fetches,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
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
