"""Sums over all accounts and jobs, for operators and their dashboards."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.jobs.database import now_ms
from service.jobs.job import State
from service.jobs.tables import DELIVERIES, JOBS, LEDGER, WORKERS

ALIVE_SECONDS: Final = 15.0  # a worker that has not been heard of for longer counts as dead
RECENT_SECONDS: Final = 3600.0  # what is recent is counted here and not in each process: counters there end with it
BOUNDS_SECONDS: Final = (1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 3600)  # of how long jobs take
OUTCOMES: Final = ("pending", "delivered", "given_up")  # of callbacks


@dataclass(frozen=True)
class Distribution:
    """How long jobs took: how many up to each of `BOUNDS_SECONDS`, and in all, and their sum."""

    counts: tuple[int, ...]
    total_seconds: float

    def __post_init__(self) -> None:
        if len(self.counts) != len(BOUNDS_SECONDS) + 1 or list(self.counts) != sorted(self.counts):
            raise ValueError("each count holds those before it, and the last one all")


@dataclass(frozen=True)
class Recent:
    """Of the jobs that ended within `RECENT_SECONDS`: by facade and state; failures by kind; from submit to end, and to the start."""

    jobs: dict[tuple[str, str], int]
    failures: dict[str, int]
    seconds: Distribution  # of those that succeeded
    wait_seconds: Distribution  # of those that were begun
    deliveries: dict[str, int]  # callbacks whose last attempt is recent, by outcome


@dataclass(frozen=True)
class JobMetrics:
    """`jobs`: by facade and state. `credits`: free and held sums by kind and fund. `deliveries`: callbacks by outcome."""

    jobs: dict[tuple[str, str], int]
    oldest_queued_seconds: float
    free_credits: dict[tuple[str, str], int]
    held_credits: int
    deliveries: dict[str, int]
    workers: int
    recent: Recent

    @property
    def queued_jobs(self) -> int:
        return sum(count for (_, state), count in self.jobs.items() if state == State.QUEUED)


def read(connection: sa.Connection) -> JobMetrics:
    """The sums, now."""
    counted = sa.select(JOBS.c.facade, JOBS.c.state, sa.func.count()).group_by(JOBS.c.facade, JOBS.c.state)
    oldest = connection.execute(
        sa.select(sa.func.min(JOBS.c.created_ms)).where(JOBS.c.state == State.QUEUED, sa.not_(JOBS.c.ended))
    ).scalar()
    sums = sa.select(LEDGER.c.kind, LEDGER.c.fund, sa.func.sum(LEDGER.c.free_credits)).group_by(LEDGER.c.kind, LEDGER.c.fund)
    held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(LEDGER.c.held_credits), 0))).scalar_one()
    alive = sa.select(sa.func.count()).select_from(WORKERS).where(WORKERS.c.beat_ms > now_ms() - ALIVE_SECONDS * 1000)
    return JobMetrics(
        jobs={(facade, state): count for facade, state, count in connection.execute(counted)},
        oldest_queued_seconds=max(0.0, (now_ms() - oldest) / 1000) if oldest is not None else 0.0,
        free_credits={(kind, fund): int(total) for kind, fund, total in connection.execute(sums)},
        held_credits=int(held),
        deliveries=_deliveries(connection, since_ms=0),
        workers=int(connection.execute(alive).scalar_one()),
        recent=_recent(connection, since_ms=now_ms() - int(RECENT_SECONDS * 1000)),
    )


def _recent(connection: sa.Connection, since_ms: int) -> Recent:
    ended = JOBS.c.finished_ms >= since_ms  # which has an index
    states = sa.select(JOBS.c.facade, JOBS.c.state, sa.func.count()).where(ended).group_by(JOBS.c.facade, JOBS.c.state)
    kinds = sa.select(JOBS.c.failure_kind, sa.func.count().label("number")).where(ended, JOBS.c.state == State.FAILED)
    succeeded = sa.and_(ended, JOBS.c.state == State.SUCCEEDED)
    begun = sa.and_(ended, JOBS.c.started_ms.is_not(None))
    return Recent(
        jobs={(facade, state): count for facade, state, count in connection.execute(states)},
        failures={row.failure_kind: row.number for row in connection.execute(kinds.group_by(JOBS.c.failure_kind))},
        seconds=_distribution(connection, JOBS.c.finished_ms - JOBS.c.created_ms, succeeded),
        wait_seconds=_distribution(connection, JOBS.c.started_ms - JOBS.c.created_ms, begun),
        deliveries=_deliveries(connection, since_ms),
    )


def _deliveries(connection: sa.Connection, since_ms: int) -> dict[str, int]:
    number = sa.select(DELIVERIES.c.outcome, sa.func.count().label("number")).where(DELIVERIES.c.at_ms >= since_ms)
    return {row.outcome: row.number for row in connection.execute(number.group_by(DELIVERIES.c.outcome))}


def _distribution(connection: sa.Connection, span_ms: sa.ColumnElement[int], which: sa.ColumnElement[bool]) -> Distribution:
    """How long these jobs' spans are."""
    place = sa.case(*((span_ms <= bound * 1000, number) for number, bound in enumerate(BOUNDS_SECONDS)), else_=len(BOUNDS_SECONDS))
    placed = sa.select(place.label("place"), sa.func.count().label("number"), sa.func.sum(span_ms).label("total_ms"))
    rows = connection.execute(placed.where(which).group_by("place")).all()
    counts = tuple(sum(row.number for row in rows if row.place <= number) for number in range(len(BOUNDS_SECONDS) + 1))
    return Distribution(counts, sum(int(row.total_ms) for row in rows) / 1000)
