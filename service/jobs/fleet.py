"""The workers' heartbeats in the database, and taking over the jobs of dead workers."""

import logging
import os
import platform
import secrets
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from service.errors import InternalError
from service.jobs import store
from service.jobs.database import Database, now_ms
from service.jobs.finalizer import JobFinalizer
from service.jobs.job import Failure
from service.jobs.metrics import ALIVE_SECONDS
from service.jobs.queues import Queues
from service.jobs.tables import JOBS, WORKERS

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 2.0
LOST_SECONDS: Final = 60.0  # an open job unchanged for this long whose workflow has ended is lost


class Member:
    """This process as a worker of the fleet."""

    def __init__(self, database: Database, queues: Queues, finalizer: JobFinalizer) -> None:
        self.id = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._database = database
        self._queues = queues
        self._finalizer = finalizer

    def beat(self) -> None:
        """Record a heartbeat. The first comes before the worker takes any job."""
        row = {"host": platform.node(), "process_id": os.getpid(), "process_started": start_ticks(os.getpid()), "beat_ms": now_ms()}
        with self._database.write() as connection:
            updated = connection.execute(sa.update(WORKERS).where(WORKERS.c.id == self.id).values(beat_ms=row["beat_ms"])).rowcount
            if not updated:
                connection.execute(sa.insert(WORKERS).values(id=self.id, **row))

    def leave(self) -> None:
        """Requeue what this worker still runs, so that another can start at once, and remove it from the fleet."""
        for workflow in self._queues.running():
            if workflow.executor_id == self.id:
                self._queues.requeue(workflow)
        with self._database.write() as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.id == self.id))

    def take_over(self) -> list[str]:
        """Requeue the workflows of dead workers; return their ids. The queue gives each to one worker only."""
        running = self._queues.running()  # read before the heartbeats: whoever runs a workflow has sent one
        with self._database.read() as connection:
            rows = connection.execute(sa.select(WORKERS)).all()
        dead = [row.id for row in rows if row.id != self.id and _is_dead(row)]
        alive = {row.id for row in rows} - set(dead) | {self.id}
        orphans = [workflow for workflow in running if workflow.executor_id not in alive]
        for workflow in orphans:
            log.warning("taking over %s from %s", workflow.workflow_id, workflow.executor_id)
            self._queues.requeue(workflow)
        if dead:
            with self._database.write() as connection:
                connection.execute(sa.delete(WORKERS).where(WORKERS.c.id.in_(dead)))
        return [workflow.workflow_id for workflow in orphans]

    def fail_lost_jobs(self) -> int:
        """Fail and refund jobs left open by a finished workflow, which no known bug causes; return their number."""
        with self._database.read() as connection:
            stale = sa.select(JOBS.c.id).where(sa.not_(JOBS.c.ended), JOBS.c.updated_ms < now_ms() - LOST_SECONDS * 1000).limit(500)
            ids = list(connection.execute(stale).scalars())
        lost = self._queues.finished(ids)
        for job_id in lost:
            log.error("job %s is open, but its workflow has ended", job_id)
            with self._database.write() as connection:
                self._finalizer.fail_and_refund(connection, store.locked(connection, job_id), Failure.of(InternalError("internal error")))
        return len(lost)


def is_running(process_id: int, started_ticks: int) -> bool:
    """Whether this process on this machine still runs. `started_ticks` distinguishes it from a later process with the same id."""
    return start_ticks(process_id) == started_ticks


def start_ticks(process_id: int) -> int:
    """When a process started, in clock ticks since boot; -1 if there is no such process or it is a zombie."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])


def _is_dead(row: sa.Row[Any]) -> bool:
    """Whether the worker's process is gone, if it is on this machine, or its last heartbeat is too old."""
    if row.host == platform.node() and not is_running(row.process_id, row.process_started):
        return True
    return bool(row.beat_ms < now_ms() - ALIVE_SECONDS * 1000)
