"""How long orders take to be accepted while a worker is busy with real jobs on the same machine.

`paced`: each client orders at the documented rate, once in each half second, at a random moment of it. `closed`: each client orders
again as soon as it is answered, which finds the most that can be accepted; how long that takes is then clients / orders a second.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import sqlalchemy as sa
import uvloop

from benchmarks.fleet import Fleet, within
from benchmarks.memory import tree
from benchmarks.orders import Customer
from benchmarks.stranger import Stranger
from benchmarks.wire import ASK, Answer, connected
from service.jobs.job import State
from service.jobs.tables import JOBS

Pace = Literal["paced", "closed"]
INTERVAL_SECONDS = 0.5  # kie documents 20 orders in 10 seconds
WARM_UP_SECONDS = 2.0
BUSY_JOBS = 40  # more than a worker ends before the clients do
BUSY_SECONDS = 120.0  # for the first of them to be decoded
CREDITS = 10**7
SETTINGS = {"networks": "shipped", "stop_seconds": "0", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}
TICKS = os.sysconf("SC_CLK_TCK")

clock = time.perf_counter


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. A paced one that had to wait for the answer before it began when it was due."""

    began: float
    ended: float
    answer: Answer


@dataclass(frozen=True)
class Latency:
    """Of the answers, in milliseconds. Cores: what each side took of the processor's time meanwhile, the workers with their children."""

    requests: int
    refused: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float
    api_cpu_ms: float  # of one request
    api_cores: float
    worker_cores: float
    client_cores: float


def measure(fleet: Fleet, host: Stranger, dialect: str, pace: Pace, clients: int, seconds: float) -> Latency:
    """So many clients, each an account of its own, for so long; the workers are busy already."""
    customers = [Customer.new(fleet.core, f"{dialect} {pace} {number}", CREDITS) for number in range(clients)]
    video_url, picture_url = f"{host.url}/sample.mp4", f"{host.url}/picture.png"
    orders = [lambda customer=customer: ASK[dialect](customer, video_url, picture_url) for customer in customers]
    before = _cpu_seconds(fleet)
    began = clock()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exchanges = runner.run(_all(_port(fleet), orders, pace, seconds))
    spent = tuple((after - then) / (clock() - began) for after, then in zip(_cpu_seconds(fleet), before, strict=True))
    return summary([one for one in exchanges if one.began - began > WARM_UP_SECONDS], *spent)


def summary(exchanges: Sequence[Exchange], api_cores: float, worker_cores: float, client_cores: float) -> Latency:
    """The figures of the exchanges."""
    took_ms = [1000 * (one.ended - one.began) for one in exchanges]
    seconds = max(one.ended for one in exchanges) - min(one.began for one in exchanges)
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(took_ms, (50, 95, 99)))
    return Latency(
        requests=len(exchanges),
        refused=sum(not one.answer.accepted for one in exchanges),
        seconds=round(seconds, 1),
        per_second=round(len(exchanges) / seconds, 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        most_ms=round(max(took_ms), 1),
        api_cpu_ms=round(1000 * api_cores * seconds / len(exchanges), 2),
        api_cores=round(api_cores, 2),
        worker_cores=round(worker_cores, 2),
        client_cores=round(client_cores, 2),
    )


def keep_busy(fleet: Fleet, host: Stranger) -> None:
    """Give the workers real videos to clean, and wait until they are at it."""
    customer = Customer.new(fleet.core, "busy", CREDITS)
    for _ in range(BUSY_JOBS):
        answer = fleet.client.post(
            "/v1/jobs", json={"source_url": f"{host.url}/sample.mp4"}, headers={"Authorization": f"Bearer {customer.key}"}
        )
        answer.raise_for_status()

    def cleaning() -> int:
        with fleet.core.database.read() as connection:
            counted = sa.select(sa.func.count()).select_from(JOBS).where(JOBS.c.state == State.CLEANING)
            return int(connection.execute(counted).scalar_one())

    if not within(BUSY_SECONDS, cleaning):
        raise RuntimeError("the worker does not begin")


async def exchanged(port: int, order: Callable[[], bytes], moments: Iterator[float]) -> list[Exchange]:
    """One client: an order at each of these moments, or as soon after it as the one before is answered."""
    exchanges = []
    async with connected(port) as connection:
        for due in moments:
            late = clock() >= due
            await asyncio.sleep(due - clock())
            request, began = order(), due if late else clock()  # that we woke late is no fault of the service
            answer = await connection.ask(request)
            exchanges.append(Exchange(began, clock(), answer))
    return exchanges


def paced(start: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """A random moment in each interval."""
    for number in range(round(seconds / INTERVAL_SECONDS)):
        yield start + (number + chance.random()) * INTERVAL_SECONDS


def closed(start: float, seconds: float) -> Iterator[float]:
    """Now, again and again."""
    while (now := clock()) < start + seconds:
        yield now


async def _all(port: int, orders: Sequence[Callable[[], bytes]], pace: Pace, seconds: float) -> list[Exchange]:
    start, seconds = clock(), seconds + WARM_UP_SECONDS
    moments = [paced(start, seconds, random.Random(seed)) if pace == "paced" else closed(start, seconds) for seed in range(len(orders))]
    clients = [exchanged(port, order, when) for order, when in zip(orders, moments, strict=True)]
    return [one for client in await asyncio.gather(*clients) for one in client]


def _port(fleet: Fleet) -> int:
    return int(fleet.url.rpartition(":")[2])


def _cpu_seconds(fleet: Fleet) -> tuple[float, float, float]:
    """What the API, the workers with all their children, and we ourselves have taken so far."""
    workers = [member for pid in fleet.pids("workers" if "workers" in fleet.victims else "worker") for member in tree(pid)]
    return sum(map(_process_seconds, fleet.pids("api"))), sum(map(_process_seconds, workers)), time.process_time()


def _process_seconds(pid: int) -> float:
    """Of a process, and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS
