"""A queue that is long, and one account's in half of it: how fast is it worked off, is all of it, and who waits for whom?

The account with the backlog comes first, with half of all jobs; the others order what is left. The networks are the stand-ins.
"""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from benchmarks.fleet import Fleet, within
from benchmarks.invariants import all_jobs, ledger_violations
from benchmarks.orders import Customer
from benchmarks.stranger import Stranger
from benchmarks.wire import ASK, connected
from service.jobs.job import Job, State
from service.jobs.tables import JOBS

SECONDS_A_JOB = 10.0  # then it is given up
LOOK_SECONDS = 0.5
CREDITS = 10**6
SETTINGS = {"networks": "fake", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}


@dataclass(frozen=True)
class Drain:
    """Waits: medians from a job's acceptance to its start, of the account with the backlog and of the others; shares are of the whole time.

    Where every account's line has its turn the shares come near to 3/4 and 1/4; where the queue is one line, the reverse.
    `begun_at_turn`: how many jobs had begun when the last account had begun its first. Turns are drawn by lot, so that twenty accounts
    need about 20 * (1 + 1/2 + ... + 1/20) = 72 draws, and what began before all had ordered comes on top; one line needs more than 500.
    """

    jobs: int
    lost: int  # did not end, or not well
    charged_wrong: int  # jobs and accounts whose lines in the ledger are not exactly what they must be
    seconds: float
    per_second: float
    wait_big_seconds: float
    wait_small_seconds: float
    share_big: float
    share_small: float
    begun_at_turn: int


def measure(fleet: Fleet, host: Stranger, dialect: str, accounts: int, jobs: int) -> Drain:
    """Order all, and wait until the last has ended."""
    customers = [Customer.new(fleet.core, f"drain {number}", CREDITS) for number in range(accounts)]
    turns = [customers[1 + number % (accounts - 1)] for number in range(jobs - jobs // 2)]
    video_url, picture_url = f"{host.url}/marked.mp4", f"{host.url}/picture.png"
    requests = [ASK[dialect](customer, video_url, picture_url) for customer in [customers[0]] * (jobs // 2) + turns]
    asyncio.run(_order(int(fleet.url.rpartition(":")[2]), requests))
    within(SECONDS_A_JOB * jobs, lambda: not _open(fleet), LOOK_SECONDS)
    found = all_jobs(fleet.core)
    return summary(found, customers[0].id, jobs, len(list(ledger_violations(fleet.core, found))))


def summary(found: Sequence[Job], big_account: int, ordered: int, charged_wrong: int) -> Drain:
    """The figures of the jobs that were found, of so many that were ordered."""
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
    """How many jobs had begun when each account had begun one."""
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
            answer = await connection.ask(request)
            if not answer.accepted:
                raise RuntimeError(f"an order was refused: {answer}")


def _open(fleet: Fleet) -> int:
    with fleet.core.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(JOBS).where(sa.not_(JOBS.c.ended))).scalar_one())
