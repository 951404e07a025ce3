"""kill -9 at random moments: does every accepted job end, is nothing charged twice, is every callback told, is nothing left behind?

    python -m benchmarks.crash --runs 100                                # SQLite: one `serve`; API, worker or both are killed
    python -m benchmarks.crash --runs 50 --database postgresql+psycopg://...   # `serve --no-worker` and two workers, an empty database
    python -m benchmarks.crash --seed 1234 --runs 1                      # one run again

One line a run, and at the end a summary, which is added to results/crash.jsonl.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from benchmarks import results
from benchmarks.fleet import READY_SECONDS, Fleet, within
from benchmarks.invariants import CLEAN_SECONDS, Violation, age_staging_files, check, dead_folders, wait_for_end
from benchmarks.machine import RESULTS, stamp
from benchmarks.orders import KINDS, Customer, Order, Placed, place
from benchmarks.stranger import Stranger, files, stranger
from service.core import Core
from service.jobs.database import now_ms
from service.jobs.tables import JOBS

MOST_SECONDS = 4.0  # of a blow's delay
AIM_SECONDS = 10.0  # how long a blow waits for its moment
MOMENTS = ("any", "any", "order", "publishing", "ended")
CREDITS = 100  # of each customer of a run, in each fund: more than all its orders cost


@dataclass(frozen=True)
class Blow:
    """Kill a victim, and start it again `down_seconds` later.

    `moment`: `any`, `after_seconds` after the first order or the blow before; `order`, while a request is on its way; `publishing` or
    `ended`, as soon as some job of the run is seen so.
    """

    victim: str
    after_seconds: float
    down_seconds: float
    moment: str = "any"

    def __str__(self) -> str:
        return f"{self.victim} at {self.after_seconds:.2f} s" if self.moment == "any" else f"{self.victim} at {self.moment}"


@dataclass(frozen=True)
class Plan:
    """A run, decided by its seed. `orders`: kind, customer 0 or 1, moody, longer, and the pause before it in seconds."""

    seed: int
    orders: tuple[tuple[str, int, bool, bool, float], ...]
    blows: tuple[Blow, ...]

    @classmethod
    def of(cls, seed: int, victims: Sequence[str]) -> "Plan":
        """4 to 6 orders of different kinds, the failing one among them, and one blow or two."""
        chance = random.Random(seed)
        kinds = ["missing", *chance.sample([kind for kind in KINDS if kind != "missing"], chance.randint(3, 5))]
        chance.shuffle(kinds)
        orders = tuple((kind, chance.randrange(2), chance.random() < 0.2, chance.random() < 0.3, chance.uniform(0, 0.4)) for kind in kinds)
        count = 2 if chance.random() < 0.3 else 1
        blows = [
            Blow(chance.choice(victims), chance.uniform(0, MOST_SECONDS), chance.uniform(0, 1), chance.choice(MOMENTS))
            for _ in range(count)
        ]
        return cls(seed, orders, tuple(blows))


@dataclass
class Run:
    """What came of a plan."""

    plan: Plan
    began_ms: int = field(default_factory=now_ms)
    begun: list[Order] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    jobs: int = 0
    ready_seconds: float = 0.0  # from the last kill until the API answers and a worker beats
    ended_seconds: float = 0.0  # from the last kill until the last job has ended, and its callback was told
    staging_files: int = 0
    violations: list[Violation] = field(default_factory=list)

    def line(self) -> str:
        victims = " + ".join(map(str, self.plan.blows))
        outcome = "; ".join(map(str, self.violations)) or "ok"
        times = f"ready {self.ready_seconds:.1f} s, ended {self.ended_seconds:.1f} s"
        return f"seed {self.plan.seed}: {len(self.placed)} orders, {self.jobs} jobs, killed {victims}, {times}: {outcome}"


@dataclass(frozen=True)
class Figures:
    """All runs on one kind of database. Seconds: median and 95th percentile."""

    runs: int
    jobs: int
    kills: dict[str, int]
    lost_answers: int
    violations: dict[str, int]
    staging_files: int
    ready_seconds: tuple[float, float]
    ended_seconds: tuple[float, float]


def crash(plan: Plan, fleet: Fleet, host: Stranger) -> Run:
    """Order, kill, start again, wait, check."""
    run = Run(plan)
    name = f"{plan.seed}-{time.time_ns() // 1_000_000}"
    customers = [Customer.new(fleet.core, f"{name}-{number}", CREDITS) for number in range(2)]
    orders = [
        (Order(kind, f"{name}-{number}", customers[which], host, moody, longer), pause)
        for number, (kind, which, moody, longer, pause) in enumerate(plan.orders)
    ]
    faults: list[Exception] = []
    ordering = threading.Thread(target=_order, args=(orders, fleet, run, faults))
    ordering.start()
    killed = _strike(run, fleet)
    fleet.wait_until_ready()
    run.ready_seconds = time.monotonic() - killed
    ordering.join()
    ended = wait_for_end(fleet.core)
    run.ended_seconds = (ended or time.monotonic()) - killed
    run.violations = [Violation("order", str(fault)) for fault in faults] + check(fleet, run.placed)
    run.jobs = len(run.placed)
    run.staging_files = age_staging_files(fleet.folder)
    if not within(CLEAN_SECONDS, lambda: not dead_folders(fleet)):
        run.violations += [Violation("file", f"scratch/{name}") for name in dead_folders(fleet)]
    return run


def _order(orders: list[tuple[Order, float]], fleet: Fleet, run: Run, faults: list[Exception]) -> None:
    for order, pause_seconds in orders:
        time.sleep(pause_seconds)
        run.begun.append(order)
        try:
            run.placed.append(place(order, fleet.client))
        except Exception as error:
            faults.append(error)


def _strike(run: Run, fleet: Fleet) -> float:
    """Kill and start again; when the last kill was."""
    killed = time.monotonic()
    for blow in run.plan.blows:
        _wait(blow, run, fleet.core)
        fleet.kill(blow.victim)
        killed = time.monotonic()
        time.sleep(blow.down_seconds)
        fleet.mend()
    return killed


def _wait(blow: Blow, run: Run, core: Core) -> None:
    """Until the blow's moment, or for long enough."""
    if blow.moment == "any":
        time.sleep(blow.after_seconds)
    elif blow.moment == "order":
        within(AIM_SECONDS, lambda: len(run.begun) > len(run.plan.orders) // 2)
        time.sleep(blow.after_seconds / 50)  # a request takes 10 to 80 ms
    else:
        is_there = JOBS.c.ended if blow.moment == "ended" else JOBS.c.state == blow.moment
        question = sa.select(JOBS.c.id).where(is_there, JOBS.c.created_ms > run.began_ms).limit(1)
        within(AIM_SECONDS, lambda: _any(core, question), pause_seconds=0.001)


def _any(core: Core, question: sa.Select[tuple[str]]) -> bool:
    with core.database.read() as connection:
        return connection.execute(question).first() is not None


def last_look(fleet: Fleet) -> list[Violation]:
    """A worker that starts sweeps all halves of writes, now old; so after one more blow to a worker there must be none."""
    age_staging_files(fleet.folder)
    fleet.kill("worker")
    fleet.mend()
    fleet.wait_until_ready()
    gone = within(READY_SECONDS, lambda: not age_staging_files(fleet.folder))
    return [] if gone else [Violation("file", f"{age_staging_files(fleet.folder)} halves of writes")]


def figures_of(runs: Sequence[Run], last: Sequence[Violation]) -> Figures:
    return Figures(
        runs=len(runs),
        jobs=sum(run.jobs for run in runs),
        kills=dict(Counter(blow.victim for run in runs for blow in run.plan.blows)),
        lost_answers=sum(placed.job_id is None for run in runs for placed in run.placed),
        violations=dict(Counter(said.kind for said in [*(said for run in runs for said in run.violations), *last])),
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
    database: Annotated[str, typer.Option(help="Address of an empty PostgreSQL database; SQLite without it.")] = "",
    seed: Annotated[int, typer.Option(help="Of the first run; the next ones count up.")] = 1,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "crash.jsonl",
    folder: Annotated[Path | None, typer.Option(help="Data folder, kept; else a temporary one.")] = None,
) -> None:
    """Crash, look, tell; ends with status 1 if anything was violated."""
    files()  # made before anything is timed
    mark, done = stamp(), list[Run]()
    with tempfile.TemporaryDirectory() as made, stranger() as host, Fleet.running(folder or Path(made), database or None) as fleet:
        for number in range(seed, seed + runs):
            done.append(crash(Plan.of(number, fleet.victims), fleet, host))
            print(done[-1].line(), flush=True)
        figures = figures_of(done, last_look(fleet))
    print(figures)
    kind = sa.make_url(database).get_backend_name() if database else "sqlite"
    results.append(path, {"database": kind, "seed": seed}, dict(vars(figures)), mark)
    sys.exit(1 if figures.violations else 0)


if __name__ == "__main__":
    typer.run(main)
