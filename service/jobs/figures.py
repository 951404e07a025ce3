"""Sums over all accounts and jobs, for operators and their dashboards."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.jobs.database import now_ms
from service.jobs.job import State
from service.jobs.tables import DELIVERIES, JOBS, LEDGER, WORKERS

ALIVE_SECONDS: Final = 15.0  # a worker that has not been heard of for longer counts as dead


@dataclass(frozen=True)
class Figures:
    """`jobs`: by facade and state. `credits`: free and held sums by kind and fund. `deliveries`: callbacks by outcome."""

    jobs: dict[tuple[str, str], int]
    oldest_queued_seconds: float
    free_credits: dict[tuple[str, str], int]
    held_credits: int
    deliveries: dict[str, int]
    workers: int


def read(connection: sa.Connection) -> Figures:
    """The sums, now."""
    counted = sa.select(JOBS.c.facade, JOBS.c.state, sa.func.count()).group_by(JOBS.c.facade, JOBS.c.state)
    oldest = connection.execute(
        sa.select(sa.func.min(JOBS.c.created_ms)).where(JOBS.c.state == State.QUEUED, sa.not_(JOBS.c.ended))
    ).scalar()
    sums = sa.select(LEDGER.c.kind, LEDGER.c.fund, sa.func.sum(LEDGER.c.free_credits)).group_by(LEDGER.c.kind, LEDGER.c.fund)
    held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(LEDGER.c.held_credits), 0))).scalar_one()
    outcomes = sa.select(DELIVERIES.c.outcome, sa.func.count().label("number")).group_by(DELIVERIES.c.outcome)
    alive = sa.select(sa.func.count()).select_from(WORKERS).where(WORKERS.c.beat_ms > now_ms() - ALIVE_SECONDS * 1000)
    return Figures(
        jobs={(facade, state): count for facade, state, count in connection.execute(counted)},
        oldest_queued_seconds=max(0.0, (now_ms() - oldest) / 1000) if oldest is not None else 0.0,
        free_credits={(kind, fund): int(total) for kind, fund, total in connection.execute(sums)},
        held_credits=int(held),
        deliveries={row.outcome: row.number for row in connection.execute(outcomes)},
        workers=int(connection.execute(alive).scalar_one()),
    )
