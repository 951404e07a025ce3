"""Which workers live, and who takes over from the dead: a beating heart in the database, and the engine's public calls."""

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
LOST_SECONDS: Final = 60.0  # an open job older than this whose workflow is over is mended


class Member:
    """This process as a worker of the fleet."""

    def __init__(self, database: Database, queues: Queues, finalizer: JobFinalizer) -> None:
        self.id = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._database = database
        self._queues = queues
        self._finalizer = finalizer

    def beat(self) -> None:
        """Say that this worker lives; the first beat comes before it takes any job."""
        me = {"host": platform.node(), "process_id": os.getpid(), "process_started": started(os.getpid()), "beat_ms": now_ms()}
        with self._database.write() as connection:
            known = connection.execute(sa.update(WORKERS).where(WORKERS.c.id == self.id).values(beat_ms=me["beat_ms"])).rowcount
            if not known:
                connection.execute(sa.insert(WORKERS).values(id=self.id, **me))

    def leave(self) -> None:
        """Hand back what this worker still runs, and go: another may begin with it at once."""
        for workflow in self._queues.running():
            if workflow.executor_id == self.id:
                self._queues.put_back(workflow)
        with self._database.write() as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.id == self.id))

    def take_over(self) -> list[str]:
        """Put back what dead workers ran; their workflows' ids. The queue lets one worker alone go on with each."""
        running = self._queues.running()  # before the hearts: whoever runs something has beaten already
        with self._database.read() as connection:
            rows = connection.execute(sa.select(WORKERS)).all()
        dead = [row.id for row in rows if row.id != self.id and _is_dead(row)]
        alive = {row.id for row in rows} - set(dead) | {self.id}
        orphans = [workflow for workflow in running if workflow.executor_id not in alive]
        for workflow in orphans:
            log.warning("taking over %s from %s", workflow.workflow_id, workflow.executor_id)
            self._queues.put_back(workflow)
        if dead:
            with self._database.write() as connection:
                connection.execute(sa.delete(WORKERS).where(WORKERS.c.id.in_(dead)))
        return [workflow.workflow_id for workflow in orphans]

    def mend(self) -> int:
        """Fail open jobs whose workflow is over, which nothing we know of brings about; how many there were."""
        with self._database.read() as connection:
            old = sa.select(JOBS.c.id).where(sa.not_(JOBS.c.ended), JOBS.c.updated_ms < now_ms() - LOST_SECONDS * 1000).limit(500)
            ids = list(connection.execute(old).scalars())
        lost = self._queues.over(ids)
        for job_id in lost:
            log.error("job %s was lost by its workflow", job_id)
            with self._database.write() as connection:
                self._finalizer.fail(connection, store.locked(connection, job_id), Failure.of(InternalError("internal error")))
        return len(lost)


def is_running(process_id: int, began: int) -> bool:
    """Whether this process of this machine still runs; `began` tells it from a later one of the same number."""
    return started(process_id) == began


def started(process_id: int) -> int:
    """When a process began, in the kernel's ticks; -1 when there is none. A zombie is none: it only waits to be buried."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])


def _is_dead(row: sa.Row[Any]) -> bool:
    """Its process is gone, as we see on the same machine, or its heart has not beaten for long."""
    if row.host == platform.node() and not is_running(row.process_id, row.process_started):
        return True
    return bool(row.beat_ms < now_ms() - ALIVE_SECONDS * 1000)
