"""Workers whose clocks are ten minutes off are stopped and woken at random moments: each job's steps must take effect once.

    python -m benchmarks.fence --runs 100                                      # SQLite
    python -m benchmarks.fence --runs 100 --database postgresql+psycopg://...  # an empty database
    python -m benchmarks.fence --seed 1234 --runs 1                            # repeats one run

An API and two workers run as real processes. The wall clock of each worker is wrong. In each run one or both workers are
stopped (SIGSTOP) and woken (SIGCONT): some before the others give them up, some while a successor works, some after it has
finished. What has ended when a worker wakes must be the same, row by row and file by file, when all is quiet again; and no worker
may be given up that was not stopped. Prints a line per run and a summary, which is appended to results/fence.jsonl.
"""

import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from benchmarks import results
from benchmarks.fleet import Fleet, within
from benchmarks.invariants import Violation, all_jobs, check, wait_for_end
from benchmarks.loopback_host import LoopbackHost, files, loopback_host
from benchmarks.machine import RESULTS, stamp
from benchmarks.orders import Customer, Order, Placed, place
from service.jobs.database import now_ms_of
from service.jobs.job import State
from service.jobs.tables import EVENTS, JOBS, LEDGER

CLOCKS_SECONDS = (600.0, -600.0)  # by how much the workers' clocks are off
MOMENTS = ("any", State.FETCHING, State.CLEANING, State.CLEANING, State.CLEANING, State.PUBLISHING, "ended")
MOMENT_TIMEOUT_SECONDS = 5.0
VIDEOS = ("kie", "native", "aidge", "upload")
SHORT_SECONDS = (0.5, 8.0)  # nobody is given up
LONG_SECONDS = (14.0, 22.0)  # the lease is 15 s; whoever watches looks every 4 s
END_SECONDS = 600.0  # for all jobs of a run; a machine under load takes long for each
CREDITS = 100
PARTS = ("row", "events", "ledger lines", "files")
Frozen = tuple[str, ...]  # these parts of a job, as text
TAKEN_OVER = re.compile(r"taking over (\S+) from \S+-(\d+)-[0-9a-f]+")


@dataclass(frozen=True)
class Stop:
    """Stop a worker and wake it `seconds` later. `moment`: soon after the first order, or when a job is in this state.

    The worker is one that has a job then, or else the one with this number.
    """

    worker: int
    moment: str
    seconds: float

    @property
    def loses_lease(self) -> bool:
        """Whether the others may give the worker up."""
        return self.seconds > LONG_SECONDS[0] - 1

    def __str__(self) -> str:
        return f"a worker at {self.moment} for {self.seconds:.1f} s"


@dataclass(frozen=True)
class Plan:
    """A run, determined by its seed. `orders`: kind, flaky, longer, pause before it in seconds."""

    seed: int
    orders: tuple[tuple[str, bool, bool, float], ...]
    stops: tuple[Stop, ...]

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Two orders, and one or two stops of different workers."""
        rng = random.Random(seed)
        kinds = rng.sample(("kaze", "missing", rng.choice(VIDEOS)), 2)
        orders = tuple((kind, rng.random() < 0.2, rng.random() < 0.3, rng.uniform(0, 0.3)) for kind in kinds)
        workers = rng.sample(range(len(CLOCKS_SECONDS)), 2 if rng.random() < 0.3 else 1)
        spans = [rng.uniform(*(LONG_SECONDS if rng.random() < 0.75 else SHORT_SECONDS)) for _ in workers]
        return cls(seed, orders, tuple(Stop(worker, rng.choice(MOMENTS), span) for worker, span in zip(workers, spans, strict=True)))


@dataclass
class Run:
    """The outcome of a plan. `stopped`: by process id; `repeated`: callbacks that were received more often than sent on purpose."""

    plan: Plan
    started_ms: int
    stopped: dict[int, Stop] = field(default_factory=dict)
    choosing: threading.Lock = field(default_factory=threading.Lock)
    placed: list[Placed] = field(default_factory=list)
    takeovers: int = 0
    repeated: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    def line(self) -> str:
        """The run in one line."""
        stops, outcome = " + ".join(map(str, self.plan.stops)), "; ".join(map(str, self.violations)) or "ok"
        counts = f"{len(self.placed)} orders, {self.takeovers} takeovers, {self.repeated} repeated callbacks"
        return f"seed {self.plan.seed}: {counts}, stopped {stops}, {self.seconds:.1f} s: {outcome}"


def fence(plan: Plan, fleet: Fleet, host: LoopbackHost) -> Run:
    """Order, stop, wake, wait and check."""
    with fleet.core.database.read() as connection:
        run = Run(plan, now_ms_of(connection))
    logged, began, name = _log_sizes(fleet), time.monotonic(), f"{plan.seed}-{time.time_ns() // 1_000_000}"
    customer = Customer.new(fleet.core, name, CREDITS)
    orders = [
        (Order(kind, f"{name}-{number}", customer, host, flaky, longer), pause)
        for number, (kind, flaky, longer, pause) in enumerate(plan.orders)
    ]
    with ThreadPoolExecutor() as pool:
        stops = [pool.submit(_stop_and_wake, stop, run, fleet) for stop in plan.stops]
        for order, pause_seconds in orders:
            time.sleep(pause_seconds)
            run.placed.append(place(order, fleet.client))
    before = [stop.result() for stop in stops]
    if wait_for_end(fleet.core, END_SECONDS) is None:
        run.violations.append(Violation("lost", "not all jobs ended in time"))
    run.violations += check(fleet, run.placed)
    run.violations += [found for frozen in before for found in _changes(frozen, snapshot(fleet, list(frozen)))]
    run.violations += _unknown_files(run, fleet)
    _count_takeovers(run, logged)
    run.repeated = sum(_repeated(order, host) for order, _ in orders)
    run.seconds = time.monotonic() - began
    return run


def _stop_and_wake(stop: Stop, run: Run, fleet: Fleet) -> dict[str, Frozen]:
    """Stop a worker at its moment, and wake it; what had ended when it woke."""
    _wait_for(stop.moment, run, fleet)
    with run.choosing:
        pid = _choose(stop, run, fleet)
        run.stopped[pid] = stop
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(stop.seconds)
        with fleet.core.database.read() as connection:
            recent = sa.select(JOBS.c.id).where(JOBS.c.ended, JOBS.c.created_ms >= run.started_ms)
            ended = list(connection.execute(recent).scalars())
        return snapshot(fleet, ended)
    finally:
        os.kill(pid, signal.SIGCONT)


def _choose(stop: Stop, run: Run, fleet: Fleet) -> int:
    """The id of the worker to stop: one that works, and that no other stop has chosen."""
    pids = [part.pid for part in fleet.parts[1 + stop.worker :] + fleet.parts[1 : 1 + stop.worker] if part.pid not in (None, *run.stopped)]
    busy = {workflow.executor_id for workflow in fleet.core.queues.running()}
    return next((pid for pid in pids for name in busy if f"-{pid}-" in str(name)), pids[0])


def _wait_for(moment: str, run: Run, fleet: Fleet) -> None:
    """Wait for a stop's moment, or until the timeout; `any` is up to two seconds after the first order."""
    rng = random.Random(f"{run.plan.seed} {moment}")
    if moment == "any":
        time.sleep(rng.uniform(0, 2))
        return
    reached = JOBS.c.ended if moment == "ended" else JOBS.c.state == moment
    query = sa.select(JOBS.c.id).where(reached, JOBS.c.created_ms >= run.started_ms).limit(1)

    def found() -> bool:
        with fleet.core.database.read() as connection:
            return connection.execute(query).first() is not None

    within(MOMENT_TIMEOUT_SECONDS, found, pause_seconds=0.002)
    time.sleep(rng.uniform(0, 0.3))


def snapshot(fleet: Fleet, job_ids: Sequence[str]) -> dict[str, Frozen]:
    """Everything that is stored of these jobs: rows, ledger lines and files, by job."""
    found: dict[str, Frozen] = {}
    with fleet.core.database.read() as connection:
        for job_id in job_ids:
            parts = [sa.select(JOBS).where(JOBS.c.id == job_id)]
            parts += [sa.select(table).where(table.c.job_id == job_id) for table in (EVENTS, LEDGER)]
            rows = [str(sorted(map(str, connection.execute(part)))) for part in parts]
            stored = (fleet.folder / "files" / "jobs" / job_id).glob("*/*")
            found[job_id] = (*rows, str(sorted((path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in stored)))
    return found


def _changes(before: dict[str, Frozen], after: dict[str, Frozen]) -> Iterator[Violation]:
    for job_id, parts in before.items():
        for name, old, new in zip(PARTS, parts, after[job_id], strict=True):
            if old != new:
                yield Violation("changed", f"the {name} of {job_id} after its end: {old} became {new}")


def _unknown_files(run: Run, fleet: Fleet) -> Iterator[Violation]:
    """Files of jobs that succeeded which nothing refers to."""
    placed = {order.job_id for order in run.placed}
    root = fleet.folder / "files"
    for job in all_jobs(fleet.core):
        if job.id in placed and job.state is State.SUCCEEDED:
            keys = {str(path.relative_to(root)) for path in (root / "jobs" / job.id).glob("*/*")}
            yield from (Violation("file", f"{key} is left") for key in sorted(keys - job.keys))


def _log_sizes(fleet: Fleet) -> dict[Path, int]:
    return {part.log: part.log.stat().st_size for part in fleet.parts}


def _count_takeovers(run: Run, logged: dict[Path, int]) -> None:
    """Count who was given up; that is a violation for a worker that was not stopped for as long as a lease."""
    silent = {pid for pid, stop in run.stopped.items() if stop.loses_lease}
    for log, size in logged.items():
        for workflow, pid in TAKEN_OVER.findall(log.read_text(errors="replace")[size:]):
            run.takeovers += 1
            if int(pid) not in silent:
                run.violations.append(Violation("clock", f"{workflow} was taken from a worker that lived"))


def _repeated(order: Order, host: LoopbackHost) -> int:
    """How many callbacks of an order came more often than its receiver asked for."""
    return max(0, len(host.posts(order.callback_path)) - 1 - order.flaky) if order.callback_path else 0


def main(
    runs: Annotated[int, typer.Option(min=1)] = 100,
    database: Annotated[str, typer.Option(help="URL of an empty PostgreSQL database; default: SQLite.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the first run; the next runs count up.")] = 1,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "fence.jsonl",
) -> None:
    """Run all plans and print the summary; exit with status 1 if there was a violation."""
    files()  # created before anything is timed
    stamped, done = stamp(), list[Run]()
    with ExitStack() as stack:
        folder, host = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(loopback_host())
        fleet = stack.enter_context(Fleet.running(folder, database or None, clocks=CLOCKS_SECONDS))
        for number in range(seed, seed + runs):
            done.append(fence(Plan.of(number), fleet, host))
            print(done[-1].line(), flush=True)
    kind = sa.make_url(database).get_backend_name() if database else "sqlite"
    figures = summarise(done)
    print(kind, figures)
    results.append(path, {"database": kind, "seed": seed}, figures, stamped)
    sys.exit(1 if figures["violations"] else 0)


def summarise(runs: Sequence[Run]) -> dict[str, object]:
    """All runs on one kind of database."""
    stops = [stop for run in runs for stop in run.plan.stops]
    return {
        "runs": len(runs),
        "jobs": sum(len(run.placed) for run in runs),
        "stops": len(stops),
        "stops_beyond_lease": sum(stop.loses_lease for stop in stops),
        "takeovers": sum(run.takeovers for run in runs),
        "repeated_callbacks": sum(run.repeated for run in runs),
        "violations": dict(Counter(found.kind for run in runs for found in run.violations)),
    }


if __name__ == "__main__":
    typer.run(main)
