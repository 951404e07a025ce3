"""The workers' leases in the database, and taking over the jobs of dead workers.

A worker renews its lease by writing the database's time into its row. Each worker watches the others: one whose row has not
changed for `ALIVE_SECONDS` of the watcher's steady clock has lost its lease. No wall clock is compared with another, so a wrong
or jumping clock, of a worker or of the database, kills nobody; nor does a pause of the watcher, as only the time between its own
looks counts. A worker that lives on without its lease, because it was stopped or cut off, is kept from doing harm by
`service/jobs/fence.py`.
"""

import logging
import os
import platform
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from dbos import WorkflowStatus

from service.errors import InternalError
from service.jobs import store
from service.jobs.database import NOW_MS, Database
from service.jobs.finalizer import JobFinalizer
from service.jobs.job import Failure
from service.jobs.metrics import ALIVE_SECONDS
from service.jobs.queues import Queues
from service.jobs.tables import JOBS, WORKERS
from service.version import VERSION

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 8.0  # at most so much of the time between two looks counts as silence: the watcher may have been stopped itself
LOST_SECONDS: Final = 60.0  # an open job unchanged for this long whose workflow has ended is lost


class Leases:
    """Tells which workers have lost their lease, from what this process sees of them. `clock`: a steady one, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked = clock()
        self._silent: dict[str, tuple[int, float]] = {}  # by worker: its last heartbeat, and the seconds without another

    def lost(self, beats: Mapping[str, int]) -> set[str]:
        """The workers whose heartbeat has been the same for longer than `ALIVE_SECONDS`. `beats`: all others' heartbeats now."""
        before, self._looked = self._looked, self._clock()
        passed = min(self._looked - before, LOOK_SECONDS)
        silent = {worker: seconds + passed for worker, (beat, seconds) in self._silent.items() if beats.get(worker) == beat}
        self._silent = {worker: (beat, silent.get(worker, 0.0)) for worker, beat in beats.items()}
        return {worker for worker, seconds in silent.items() if seconds > ALIVE_SECONDS}


class Member:
    """This process as a worker of the fleet."""

    def __init__(self, database: Database, queues: Queues, finalizer: JobFinalizer, clock: Callable[[], float] = time.monotonic) -> None:
        self.id = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._database = database
        self._queues = queues
        self._finalizer = finalizer
        self._leases = Leases(clock)

    def beat(self) -> None:
        """Renew the lease. The first comes before the worker takes any job."""
        row = {"host": platform.node(), "process_id": os.getpid(), "process_started": start_ticks(os.getpid()), "beat_ms": NOW_MS}
        row["version"] = VERSION
        with self._database.write() as connection:
            updated = connection.execute(sa.update(WORKERS).where(WORKERS.c.id == self.id).values(beat_ms=NOW_MS)).rowcount
            if not updated:
                connection.execute(sa.insert(WORKERS).values(id=self.id, **row))

    def leave(self) -> None:
        """Requeue what this worker still runs, so that another can start at once, and remove it from the fleet."""
        for workflow in self._queues.running():
            if workflow.executor_id == self.id:
                self._requeue(workflow)
        with self._database.write() as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.id == self.id))

    def take_over(self) -> list[str]:
        """Requeue the workflows that dead workers still have; return their ids. However many workers do so, each is requeued once."""
        running = self._queues.running()  # read before the heartbeats: whoever runs a workflow has sent one
        with self._database.read() as connection:
            rows = {row.id: row for row in connection.execute(sa.select(WORKERS).where(WORKERS.c.id != self.id))}
        strangers = {workflow.executor_id for workflow in running} - {self.id, None} - set(rows)
        dead = self._leases.lost({name: row.beat_ms for name, row in rows.items()} | dict.fromkeys(strangers, 0))
        dead |= {name for name, row in rows.items() if row.host == platform.node() and not is_running(row.process_id, row.process_started)}
        orphans = [workflow for workflow in running if workflow.executor_id in dead and self._requeue(workflow)]
        for workflow in orphans:
            log.warning("taking over %s from %s", workflow.workflow_id, workflow.executor_id)
        if dead:
            with self._database.write() as connection:
                connection.execute(sa.delete(WORKERS).where(WORKERS.c.id.in_(dead)))
        return [workflow.workflow_id for workflow in orphans]

    def _requeue(self, workflow: WorkflowStatus) -> bool:
        with self._database.write() as connection:
            return self._queues.requeue(connection, workflow)

    def fail_lost_jobs(self) -> int:
        """Fail and refund jobs left open by a finished workflow, which no known bug causes; return their number."""
        with self._database.read() as connection:
            unchanged = JOBS.c.updated_ms < NOW_MS - int(LOST_SECONDS * 1000)
            stale = sa.select(JOBS.c.id).where(sa.not_(JOBS.c.ended), unchanged).limit(500)
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
