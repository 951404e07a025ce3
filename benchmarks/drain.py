"""Measures a long queue, half of it from one account: throughput, completeness and fairness.

The account with the backlog orders half of all jobs first; the others share the rest. The networks are fakes.
"""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from benchmarks.fleet import Fleet, within
from benchmarks.invariants import all_jobs, ledger_violations
from benchmarks.loopback_host import LoopbackHost
from benchmarks.orders import Customer
from benchmarks.wire import REQUESTS, connected
from service.jobs.job import Job, State
from service.jobs.tables import JOBS

SECONDS_A_JOB = 10.0  # timeout per job
LOOK_SECONDS = 0.5
CREDITS = 10**6
SETTINGS = {"networks": "fake", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}


@dataclass(frozen=True)
class Drain:
    """Waits: median time from acceptance to start, for the account with the backlog (big) and the others (small); shares are of the total.

    If accounts take turns, the shares approach 3/4 and 1/4; in a single queue it is the reverse. `begun_at_turn`: how many jobs had started
    when every account had started one. Turns are random, so twenty accounts need about 20 * (1 + 1/2 + ... + 1/20) = 72 draws, plus the
    jobs that started before all had ordered; a single queue needs more than 500.
    """

    jobs: int
    lost: int  # did not end, or failed
    charged_wrong: int  # jobs and accounts with wrong ledger lines
    seconds: float
    per_second: float
    wait_big_seconds: float
    wait_small_seconds: float
    share_big: float
    share_small: float
    begun_at_turn: int


def measure(fleet: Fleet, host: LoopbackHost, dialect: str, accounts: int, jobs: int) -> Drain:
    """Order all jobs, and wait until the last has ended."""
    customers = [Customer.new(fleet.core, f"drain {number}", CREDITS) for number in range(accounts)]
    turns = [customers[1 + number % (accounts - 1)] for number in range(jobs - jobs // 2)]
    video_url, picture_url = f"{host.url}/marked.mp4", f"{host.url}/picture.png"
    requests = [REQUESTS[dialect](customer, video_url, picture_url) for customer in [customers[0]] * (jobs // 2) + turns]
    asyncio.run(_order(int(fleet.url.rpartition(":")[2]), requests))
    within(SECONDS_A_JOB * jobs, lambda: not _open(fleet), LOOK_SECONDS)
    found = all_jobs(fleet.core)
    return summary(found, customers[0].id, jobs, len(list(ledger_violations(fleet.core, found))))


def summary(found: Sequence[Job], big_account: int, ordered: int, charged_wrong: int) -> Drain:
    """The metrics of the jobs that were found, of `ordered` jobs."""
    ended = [job for job in found if job.state is State.SUCCEEDED]
    seconds = (max(job.finished_ms or 0 for job in ended) - min(job.created_ms for job in found)) / 1000
    big = statistics.median(_wait_seconds(job) for job in ended if job.account_id == big_account)
    small = statistics.median(_wait_seconds(job) for job in ended if job.account_id != big_account)
    return Drain(
        jobs=ordered,
        lost=ordered - len(ended),
        charged_wrong=charged_wrong,
        seconds=round(seconds, 1),
        per_second=round(len(ended) / seconds, 2),
        wait_big_seconds=round(big, 1),
        wait_small_seconds=round(small, 1),
        share_big=round(big / seconds, 2),
        share_small=round(small / seconds, 2),
        begun_at_turn=_begun_at_turn(ended),
    )


def _begun_at_turn(jobs: Sequence[Job]) -> int:
    """How many jobs had started when each account had started one."""
    firsts: dict[int, int] = {}
    for number, job in enumerate(sorted(jobs, key=lambda job: job.started_ms or 0), 1):
        firsts.setdefault(job.account_id, number)
    return max(firsts.values())


def _wait_seconds(job: Job) -> float:
    assert job.started_ms is not None
    return (job.started_ms - job.created_ms) / 1000


async def _order(port: int, requests: Sequence[bytes]) -> None:
    async with connected(port) as connection:
        for request in requests:
            answer = await connection.send(request)
            if not answer.accepted:
                raise RuntimeError(f"an order was refused: {answer}")


def _open(fleet: Fleet) -> int:
    with fleet.core.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(JOBS).where(sa.not_(JOBS.c.ended))).scalar_one())
