"""kill -9 at random moments: every accepted job and batch must end, be charged once, send its callback, and leave no files behind.

    python -m benchmarks.crash --runs 100                                # SQLite: one `serve`; kills the API, the worker or both
    python -m benchmarks.crash --runs 50 --database postgresql+psycopg://...   # `serve --no-worker` and two workers, an empty database
    python -m benchmarks.crash --runs 50 --database ... --storage s3://bucket/prefix    # uploads by signed links too; AWS_* name the server
    python -m benchmarks.crash --seed 1234 --runs 1                      # repeats one run

Prints a line per run and a summary, which is appended to results/crash.jsonl. A series goes on with the next `--seed`.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from benchmarks import results
from benchmarks.fleet import READY_SECONDS, Fleet, within
from benchmarks.invariants import CLEAN_SECONDS, Violation, age_staging_files, check, dead_folders, wait_for_end
from benchmarks.loopback_host import LoopbackHost, files, loopback_host
from benchmarks.machine import RESULTS, stamp
from benchmarks.orders import BATCH_KINDS, BUCKET_KINDS, KINDS, UPLOAD_KINDS, Customer, Order, Placed, place
from service.core import Core
from service.jobs.database import now_ms
from service.jobs.tables import JOBS

MAX_DELAY_SECONDS = 4.0  # before a kill
MOMENT_TIMEOUT_SECONDS = 10.0  # how long a kill waits for its moment
MOMENTS = ("any", "any", "order", "publishing", "ended")
CREDITS = 400  # of each customer in each fund; more than all orders of a run cost


@dataclass(frozen=True)
class Kill:
    """Kill a victim, and restart it `down_seconds` later.

    `moment`: `any` is `after_seconds` after the first order or the previous kill; `order` is while a request is in flight; `publishing` and
    `ended` are as soon as a job of the run is in that state.
    """

    victim: str
    after_seconds: float
    down_seconds: float
    moment: str = "any"

    def __str__(self) -> str:
        return f"{self.victim} at {self.after_seconds:.2f} s" if self.moment == "any" else f"{self.victim} at {self.moment}"


@dataclass(frozen=True)
class Plan:
    """A run, determined by its seed. `orders`: kind, customer 0 or 1, flaky, longer, and the pause before the order in seconds."""

    seed: int
    orders: tuple[tuple[str, int, bool, bool, float], ...]
    kills: tuple[Kill, ...]

    @classmethod
    def of(cls, seed: int, victims: Sequence[str], with_bucket: bool = False) -> "Plan":
        """5 to 7 orders of different kinds, including the failing one, a batch and an upload, and one or two kills."""
        rng = random.Random(seed)
        known = [*KINDS, *(BUCKET_KINDS if with_bucket else ())]
        always = ["missing", rng.choice(BATCH_KINDS), rng.choice([kind for kind in UPLOAD_KINDS if kind in known])]
        kinds = [*always, *rng.sample([kind for kind in known if kind not in always], rng.randint(2, 4))]
        rng.shuffle(kinds)
        orders = tuple((kind, rng.randrange(2), rng.random() < 0.2, rng.random() < 0.3, rng.uniform(0, 0.4)) for kind in kinds)
        count = 2 if rng.random() < 0.3 else 1
        kills = [Kill(rng.choice(victims), rng.uniform(0, MAX_DELAY_SECONDS), rng.uniform(0, 1), rng.choice(MOMENTS)) for _ in range(count)]
        return cls(seed, orders, tuple(kills))


@dataclass
class Run:
    """The outcome of a plan."""

    plan: Plan
    started_ms: int = field(default_factory=now_ms)
    sent: list[Order] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    jobs: int = 0  # of single orders
    batch_jobs: int = 0
    callbacks: int = 0  # received, repeated ones included
    ready_seconds: float = 0.0  # from the last kill until the API answers and a worker sends heartbeats
    ended_seconds: float = 0.0  # from the last kill until the last job has ended and its callback was delivered
    staging_files: int = 0
    violations: list[Violation] = field(default_factory=list)

    def line(self) -> str:
        """The run in one line."""
        victims = " + ".join(map(str, self.plan.kills))
        outcome = "; ".join(map(str, self.violations)) or "ok"
        times = f"ready {self.ready_seconds:.1f} s, ended {self.ended_seconds:.1f} s"
        done = f"{len(self.placed)} orders, {self.jobs} + {self.batch_jobs} jobs, {self.callbacks} callbacks"
        return f"seed {self.plan.seed}: {done}, killed {victims}, {times}: {outcome}"


@dataclass(frozen=True)
class Summary:
    """All runs on one kind of database. Seconds are the median and the 95th percentile."""

    runs: int
    jobs: int
    batch_jobs: int
    callbacks: int
    orders: dict[str, int]
    kills: dict[str, int]
    lost_answers: int
    violations: dict[str, int]
    staging_files: int
    ready_seconds: tuple[float, float]
    ended_seconds: tuple[float, float]


def crash(plan: Plan, fleet: Fleet, host: LoopbackHost) -> Run:
    """Order, kill, restart, wait and check."""
    run = Run(plan)
    name = f"{plan.seed}-{time.time_ns() // 1_000_000}"
    customers = [Customer.new(fleet.core, f"{name}-{number}", CREDITS) for number in range(2)]
    orders = [
        (Order(kind, f"{name}-{number}", customers[which], host, flaky, longer), pause)
        for number, (kind, which, flaky, longer, pause) in enumerate(plan.orders)
    ]
    faults: list[Exception] = []
    ordering = threading.Thread(target=_order, args=(orders, fleet, run, faults))
    ordering.start()
    killed = _kill_and_restart(run, fleet)
    fleet.wait_until_ready()
    run.ready_seconds = time.monotonic() - killed
    ordering.join()
    ended = wait_for_end(fleet.core)
    run.ended_seconds = (ended or time.monotonic()) - killed
    run.violations = [Violation("order", str(fault)) for fault in faults] + check(fleet, run.placed)
    run.jobs = sum(not placed.order.batch_urls for placed in run.placed)
    run.batch_jobs = sum(len(placed.order.batch_urls) for placed in run.placed)
    run.callbacks = sum(len(host.posts(order.callback_path)) for order in run.sent if order.callback_path)
    run.staging_files = age_staging_files(fleet.folder)
    if not within(CLEAN_SECONDS, lambda: not dead_folders(fleet)):
        run.violations += [Violation("file", f"scratch/{name}") for name in dead_folders(fleet)]
    return run


def _order(orders: list[tuple[Order, float]], fleet: Fleet, run: Run, faults: list[Exception]) -> None:
    for order, pause_seconds in orders:
        time.sleep(pause_seconds)
        run.sent.append(order)
        try:
            run.placed.append(place(order, fleet.client))
        except Exception as error:
            faults.append(error)


def _kill_and_restart(run: Run, fleet: Fleet) -> float:
    """Kill and restart as planned; return the time of the last kill."""
    killed = time.monotonic()
    for kill in run.plan.kills:
        _wait(kill, run, fleet.core)
        fleet.kill(kill.victim)
        killed = time.monotonic()
        time.sleep(kill.down_seconds)
        fleet.restart_dead()
    return killed


def _wait(kill: Kill, run: Run, core: Core) -> None:
    """Wait for the kill's moment, or until the timeout."""
    if kill.moment == "any":
        time.sleep(kill.after_seconds)
    elif kill.moment == "order":
        within(MOMENT_TIMEOUT_SECONDS, lambda: len(run.sent) > len(run.plan.orders) // 2)
        time.sleep(kill.after_seconds / 50)  # a request takes 10 to 80 ms
    else:
        reached = JOBS.c.ended if kill.moment == "ended" else JOBS.c.state == kill.moment
        query = sa.select(JOBS.c.id).where(reached, JOBS.c.created_ms > run.started_ms).limit(1)
        within(MOMENT_TIMEOUT_SECONDS, lambda: _any(core, query), pause_seconds=0.001)


def _any(core: Core, query: sa.Select[tuple[str]]) -> bool:
    with core.database.read() as connection:
        return connection.execute(query).first() is not None


def check_sweep(fleet: Fleet) -> list[Violation]:
    """A starting worker deletes old unfinished writes: age them, kill a worker once more, and none may remain."""
    age_staging_files(fleet.folder)
    fleet.kill("worker")
    fleet.restart_dead()
    fleet.wait_until_ready()
    swept = within(READY_SECONDS, lambda: not age_staging_files(fleet.folder))
    return [] if swept else [Violation("file", f"{age_staging_files(fleet.folder)} unfinished writes")]


def summarise(runs: Sequence[Run], last: Sequence[Violation]) -> Summary:
    """The summary of the runs; `last`: violations found after them."""
    return Summary(
        runs=len(runs),
        jobs=sum(run.jobs for run in runs),
        batch_jobs=sum(run.batch_jobs for run in runs),
        callbacks=sum(run.callbacks for run in runs),
        orders=dict(Counter(placed.order.kind for run in runs for placed in run.placed)),
        kills=dict(Counter(kill.victim for run in runs for kill in run.plan.kills)),
        lost_answers=sum(placed.job_id is None for run in runs for placed in run.placed),
        violations=dict(Counter(found.kind for found in [*(found for run in runs for found in run.violations), *last])),
        staging_files=sum(run.staging_files for run in runs),
        ready_seconds=_spread([run.ready_seconds for run in runs]),
        ended_seconds=_spread([run.ended_seconds for run in runs]),
    )


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    ordered = sorted(seconds)
    return round(statistics.median(ordered), 2), round(ordered[int(0.95 * (len(ordered) - 1))], 2)


def main(
    runs: Annotated[int, typer.Option(min=1)] = 100,
    database: Annotated[str, typer.Option(help="URL of an empty PostgreSQL database; default: SQLite.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the first run; the next runs count up.")] = 1,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "crash.jsonl",
    folder: Annotated[Path | None, typer.Option(help="Data folder to keep; default: a temporary one.")] = None,
    storage: Annotated[str, typer.Option(help="URL of a bucket; default: the data folder.")] = "",
) -> None:
    """Run all plans and print the summary; exit with status 1 if there was a violation."""
    files()  # created before anything is timed
    stamped, done = stamp(), list[Run]()
    more = {"storage_url": storage} if storage else {}
    with ExitStack() as stack:
        made, host = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(loopback_host())
        fleet = stack.enter_context(Fleet.running(folder or made, database or None, **more))
        for number in range(seed, seed + runs):
            done.append(crash(Plan.of(number, fleet.victims, bool(storage)), fleet, host))
            print(done[-1].line(), flush=True)
        metrics = summarise(done, check_sweep(fleet))
    print(metrics)
    kind = sa.make_url(database).get_backend_name() if database else "sqlite"
    results.append(path, {"database": kind, "storage": "bucket" if storage else "folder", "seed": seed}, dict(vars(metrics)), stamped)
    sys.exit(1 if metrics.violations else 0)


if __name__ == "__main__":
    typer.run(main)
