"""Measures a long queue, half of it from one account: throughput, completeness and fairness.

The account with the backlog orders half of all jobs first; the others share the rest. The networks are fakes. Where a worker's cleaning is
stubbed, each account orders equally many jobs of a file that it has uploaded, all accounts at the same time, and the jobs fail at once.
"""

import asyncio
import statistics
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from benchmarks.fleet import Fleet, within
from benchmarks.invariants import all_jobs, ledger_violations
from benchmarks.loopback_host import LoopbackHost, files
from benchmarks.orders import Customer
from benchmarks.wire import REQUESTS, connected
from service.jobs.job import Job, State
from service.jobs.tables import JOBS

SECONDS_A_JOB = 10.0  # timeout per job
LOOK_SECONDS = 0.5
CREDITS = 10**6
SETTINGS = {"networks": "fake", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}
STUBBED_SETTINGS = SETTINGS | {"worker_jobs": "16", "bootstrap_credits": "0"}  # as the engine looks for jobs four times a second
LEAST_WAIT_SECONDS = 1.0  # below it a wait is compared with this
ENDS = (State.SUCCEEDED, State.FAILED)


@dataclass(frozen=True)
class Drain:
    """Waits: median time from acceptance to start, for the account with the backlog (big) and the others (small); shares are of the total.

    If accounts take turns, the shares approach 3/4 and 1/4; in a single queue it is the reverse. `begun_at_turn`: how many jobs had started
    when every account had started one. Turns are random, so twenty accounts need about 20 * (1 + 1/2 + ... + 1/20) = 72 draws, plus the
    jobs that started before all had ordered; a single queue needs more than 500. `worst_wait`, `best_wait`: the largest and the smallest,
    over the accounts, of the mean wait divided by what it would be if accounts took turns exactly (`fair_waits`).
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
    worst_wait: float
    best_wait: float


def measure(fleet: Fleet, host: LoopbackHost, dialect: str, accounts: int, jobs: int, *, stubbed: bool = False) -> Drain:
    """Order all jobs, and wait until the last has ended. `stubbed`: by a worker that cleans nothing; all accounts are alike."""
    customers = [Customer.new(fleet.core, f"drain {number}", CREDITS) for number in range(accounts)]
    if stubbed:
        links = [uploaded(customer, fleet) for customer in customers]
        shares = [jobs // accounts + (number < jobs % accounts) for number in range(accounts)]
        own = zip(customers, links, shares, strict=True)
        in_turn = [[REQUESTS[dialect](customer, link, link) for _ in range(share)] for customer, link, share in own]
    else:
        turns = [customers[1 + number % (accounts - 1)] for number in range(jobs - jobs // 2)]
        video_url, picture_url = f"{host.url}/marked.mp4", f"{host.url}/picture.png"
        in_turn = [[REQUESTS[dialect](customer, video_url, picture_url) for customer in [customers[0]] * (jobs // 2) + turns]]
    asyncio.run(_order(int(fleet.url.rpartition(":")[2]), in_turn))
    within(SECONDS_A_JOB * jobs, lambda: not _open(fleet), LOOK_SECONDS)
    found = all_jobs(fleet.core)
    return summary(found, customers[0].id, jobs, len(list(ledger_violations(fleet.core, found))), ENDS if stubbed else ENDS[:1])


def uploaded(customer: Customer, fleet: Fleet) -> str:
    """The link of a file of the account's own."""
    answer = fleet.client.post(
        "/api/file-stream-upload",
        headers={"Authorization": f"Bearer {customer.key}"},
        files={"file": ("clip.mp4", files()["marked.mp4"])},
    )
    return str(answer.json()["data"]["downloadUrl"])


def summary(found: Sequence[Job], big_account: int, ordered: int, charged_wrong: int, ends: Sequence[State] = (State.SUCCEEDED,)) -> Drain:
    """The metrics of the jobs that were found, of `ordered` jobs. `ends`: how they may end."""
    ended = [job for job in found if job.state in ends and job.started_ms is not None]
    waits, fair = mean_waits(ended), fair_waits(ended)
    ratios = [max(waits[account], LEAST_WAIT_SECONDS) / max(fair[account], LEAST_WAIT_SECONDS) for account in waits]
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
        worst_wait=round(max(ratios), 2),
        best_wait=round(min(ratios), 2),
    )


def mean_waits(jobs: Sequence[Job]) -> Mapping[int, float]:
    """Of each account, the mean seconds from a job's acceptance to its start."""
    waits: dict[int, list[float]] = defaultdict(list)
    for job in jobs:
        waits[job.account_id].append(_wait_seconds(job))
    return {account: statistics.mean(seconds) for account, seconds in waits.items()}


def fair_waits(jobs: Sequence[Job]) -> Mapping[int, float]:
    """The same if at each moment at which a job started, it had been the next one of the account that was longest without a turn."""
    arriving = deque(sorted(jobs, key=lambda job: job.created_ms))
    waiting: dict[int, deque[Job]] = defaultdict(deque)
    turn_of: dict[int, int] = {}  # the last
    waits: dict[int, list[float]] = defaultdict(list)
    for turn, moment_ms in enumerate(sorted(job.started_ms or 0 for job in jobs)):
        while arriving and arriving[0].created_ms <= moment_ms:
            waiting[arriving[0].account_id].append(arriving.popleft())
        account = min((each for each, jobs_left in waiting.items() if jobs_left), key=lambda each: (turn_of.get(each, -1), each))
        turn_of[account] = turn
        waits[account].append((moment_ms - waiting[account].popleft().created_ms) / 1000)
    return {account: statistics.mean(seconds) for account, seconds in waits.items()}


def _begun_at_turn(jobs: Sequence[Job]) -> int:
    """How many jobs had started when each account had started one."""
    firsts: dict[int, int] = {}
    for number, job in enumerate(sorted(jobs, key=lambda job: job.started_ms or 0), 1):
        firsts.setdefault(job.account_id, number)
    return max(firsts.values())


def _wait_seconds(job: Job) -> float:
    assert job.started_ms is not None
    return (job.started_ms - job.created_ms) / 1000


async def _order(port: int, in_turn: Sequence[Sequence[bytes]]) -> None:
    """Send these requests: those of each list one after the other, on a connection of their own."""
    await asyncio.gather(*(_order_on_one(port, requests) for requests in in_turn))


async def _order_on_one(port: int, requests: Sequence[bytes]) -> None:
    async with connected(port) as connection:
        for request in requests:
            answer = await connection.send(request)
            if not answer.accepted:
                raise RuntimeError(f"an order was refused: {answer}")


def _open(fleet: Fleet) -> int:
    with fleet.core.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(JOBS).where(sa.not_(JOBS.c.ended))).scalar_one())
