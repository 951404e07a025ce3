"""Totals over all accounts and jobs, for operators and dashboards."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.jobs.database import NOW_MS
from service.jobs.job import State
from service.jobs.tables import ACCOUNTS, DELIVERIES, JOBS, TOTALS, WORKERS

ALIVE_SECONDS: Final = 15.0  # a worker without a heartbeat for longer counts as dead
LIVE_WORKERS: Final = sa.select(sa.func.count()).select_from(WORKERS).where(WORKERS.c.beat_ms > NOW_MS - int(ALIVE_SECONDS * 1000))
RECENT_SECONDS: Final = 3600.0  # counted here and not per process, whose counters end with it
BOUNDS_SECONDS: Final = (1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 3600)  # histogram bounds of job durations
OUTCOMES: Final = ("pending", "delivered", "given_up")  # of callbacks


@dataclass(frozen=True)
class Distribution:
    """A cumulative histogram of durations: the count up to each of `BOUNDS_SECONDS`, then the total count; and the sum in seconds."""

    counts: tuple[int, ...]
    total_seconds: float

    def __post_init__(self) -> None:
        if len(self.counts) != len(BOUNDS_SECONDS) + 1 or list(self.counts) != sorted(self.counts):
            raise ValueError("counts must be cumulative, one per bound and one for all")


@dataclass(frozen=True)
class Recent:
    """Of the jobs that ended within `RECENT_SECONDS`: counts by (facade, state), failures by kind, and durations since submission."""

    jobs: dict[tuple[str, str], int]
    failures: dict[str, int]
    seconds: Distribution  # to the end, of those that succeeded
    wait_seconds: Distribution  # to the start, of those that were started
    deliveries: dict[str, int]  # callbacks whose last attempt is recent, by outcome


@dataclass(frozen=True)
class JobMetrics:
    """Counts of `jobs` by (facade, state); sums of `free_credits` by (kind, fund); `deliveries`: callbacks by outcome; live `workers`."""

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
    """Read all metrics as they are now, from the totals, the accounts, the open jobs and the last hour."""
    totals = _totals(connection)
    waited_ms = connection.execute(
        sa.select(NOW_MS - sa.func.min(JOBS.c.created_ms)).where(JOBS.c.state == State.QUEUED, sa.not_(JOBS.c.ended))
    ).scalar()
    held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(ACCOUNTS.c.held_credits), 0))).scalar_one()
    return JobMetrics(
        jobs=totals["jobs"],
        oldest_queued_seconds=max(0, waited_ms or 0) / 1000,
        free_credits=totals["credits"],
        held_credits=int(held),
        deliveries={outcome: number for (outcome, _), number in totals["deliveries"].items()},
        workers=int(connection.execute(LIVE_WORKERS).scalar_one()),
        recent=_recent(connection),
    )


def _recent(connection: sa.Connection) -> Recent:
    since_ms = NOW_MS - int(RECENT_SECONDS * 1000)
    ended = JOBS.c.finished_ms >= since_ms  # uses an index
    states = sa.select(JOBS.c.facade, JOBS.c.state, sa.func.count()).where(ended).group_by(JOBS.c.facade, JOBS.c.state)
    kinds = sa.select(JOBS.c.failure_kind, sa.func.count().label("number")).where(ended, JOBS.c.state == State.FAILED)
    succeeded = sa.and_(ended, JOBS.c.state == State.SUCCEEDED)
    begun = sa.and_(ended, JOBS.c.started_ms.is_not(None))
    return Recent(
        jobs={(facade, state): count for facade, state, count in connection.execute(states)},
        failures={row.failure_kind: row.number for row in connection.execute(kinds.group_by(JOBS.c.failure_kind))},
        seconds=_distribution(connection, JOBS.c.finished_ms - JOBS.c.created_ms, succeeded),
        wait_seconds=_distribution(connection, JOBS.c.started_ms - JOBS.c.created_ms, begun),
        deliveries=_recent_deliveries(connection, since_ms),
    )


def _totals(connection: sa.Connection) -> dict[str, dict[tuple[str, str], int]]:
    """The totals that are not zero, by name and by (kind, detail)."""
    labels = TOTALS.c.name, TOTALS.c.kind, TOTALS.c.detail
    found: dict[str, dict[tuple[str, str], int]] = {name: {} for name in ("credits", "jobs", "deliveries")}
    for name, kind, detail, number in connection.execute(sa.select(*labels, sa.func.sum(TOTALS.c.number)).group_by(*labels)):
        if number:
            found[name][kind, detail] = int(number)
    return found


def _recent_deliveries(connection: sa.Connection, since_ms: sa.ColumnElement[int]) -> dict[str, int]:
    number = sa.select(DELIVERIES.c.outcome, sa.func.count().label("number")).where(DELIVERIES.c.at_ms >= since_ms)
    return {row.outcome: row.number for row in connection.execute(number.group_by(DELIVERIES.c.outcome))}


def _distribution(connection: sa.Connection, span_ms: sa.ColumnElement[int], which: sa.ColumnElement[bool]) -> Distribution:
    """The distribution of these jobs' durations."""
    bucket = sa.case(*((span_ms <= bound * 1000, number) for number, bound in enumerate(BOUNDS_SECONDS)), else_=len(BOUNDS_SECONDS))
    by_bucket = sa.select(bucket.label("bucket"), sa.func.count().label("number"), sa.func.sum(span_ms).label("total_ms"))
    rows = connection.execute(by_bucket.where(which).group_by("bucket")).all()
    counts = tuple(sum(row.number for row in rows if row.bucket <= number) for number in range(len(BOUNDS_SECONDS) + 1))
    return Distribution(counts, sum(int(row.total_ms) for row in rows) / 1000)
