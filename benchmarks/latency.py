"""Measures how long orders take to be accepted while a worker is busy with real jobs on the same machine.

`paced`: each client orders at the documented rate, at a random moment of each half second. `closed`: each client orders again as soon as it
is answered, which measures the maximum throughput; the latency is then clients / orders per second.
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
from benchmarks.loopback_host import LoopbackHost
from benchmarks.memory import tree
from benchmarks.orders import Customer
from benchmarks.wire import REQUESTS, Answer, connected
from service.jobs.job import State
from service.jobs.tables import JOBS

Pace = Literal["paced", "closed"]
INTERVAL_SECONDS = 0.5  # kie documents 20 orders in 10 seconds
WARM_UP_SECONDS = 2.0
BUSY_JOBS = 40  # more than a worker finishes before the clients
BUSY_SECONDS = 120.0  # timeout for the first of them to start
CREDITS = 10**7
SETTINGS = {"networks": "shipped", "stop_seconds": "0", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}
TICKS = os.sysconf("SC_CLK_TCK")

clock = time.perf_counter


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. A paced request that waited for the previous answer counts from when it was due."""

    began: float
    ended: float
    answer: Answer


@dataclass(frozen=True)
class Latency:
    """Latencies in milliseconds. Cores: CPU time per second of each side; the workers' includes their children."""

    requests: int
    refused: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float
    api_cpu_ms: float  # per request
    api_cores: float
    worker_cores: float
    client_cores: float


def measure(fleet: Fleet, host: LoopbackHost, dialect: str, pace: Pace, clients: int, seconds: float) -> Latency:
    """Run `clients` clients, each with its own account, for `seconds`; the workers must already be busy."""
    customers = [Customer.new(fleet.core, f"{dialect} {pace} {number}", CREDITS) for number in range(clients)]
    video_url, picture_url = f"{host.url}/sample.mp4", f"{host.url}/picture.png"
    orders = [lambda customer=customer: REQUESTS[dialect](customer, video_url, picture_url) for customer in customers]
    before = _cpu_seconds(fleet)
    started = clock()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exchanges = runner.run(_all(_port(fleet), orders, pace, seconds))
    cores = tuple((after - earlier) / (clock() - started) for after, earlier in zip(_cpu_seconds(fleet), before, strict=True))
    return summary([exchange for exchange in exchanges if exchange.began - started > WARM_UP_SECONDS], *cores)


def summary(exchanges: Sequence[Exchange], api_cores: float, worker_cores: float, client_cores: float) -> Latency:
    """The metrics of the exchanges."""
    latencies_ms = [1000 * (exchange.ended - exchange.began) for exchange in exchanges]
    seconds = max(exchange.ended for exchange in exchanges) - min(exchange.began for exchange in exchanges)
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(latencies_ms, (50, 95, 99)))
    return Latency(
        requests=len(exchanges),
        refused=sum(not exchange.answer.accepted for exchange in exchanges),
        seconds=round(seconds, 1),
        per_second=round(len(exchanges) / seconds, 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        most_ms=round(max(latencies_ms), 1),
        api_cpu_ms=round(1000 * api_cores * seconds / len(exchanges), 2),
        api_cores=round(api_cores, 2),
        worker_cores=round(worker_cores, 2),
        client_cores=round(client_cores, 2),
    )


def keep_busy(fleet: Fleet, host: LoopbackHost) -> None:
    """Give the workers real videos to clean, and wait until they have started."""
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
        raise RuntimeError("the worker does not start")


async def exchanged(port: int, order: Callable[[], bytes], moments: Iterator[float]) -> list[Exchange]:
    """One client: it orders at each of these moments, or once the previous order is answered."""
    exchanges = []
    async with connected(port) as connection:
        for due in moments:
            late = clock() >= due
            await asyncio.sleep(due - clock())
            request, began = order(), due if late else clock()  # a late wake-up is not the service's delay
            answer = await connection.send(request)
            exchanges.append(Exchange(began, clock(), answer))
    return exchanges


def paced(start: float, seconds: float, rng: random.Random) -> Iterator[float]:
    """A random moment in each interval."""
    for number in range(round(seconds / INTERVAL_SECONDS)):
        yield start + (number + rng.random()) * INTERVAL_SECONDS


def closed(start: float, seconds: float) -> Iterator[float]:
    """The current time, repeatedly, until `seconds` have passed."""
    while (now := clock()) < start + seconds:
        yield now


async def _all(port: int, orders: Sequence[Callable[[], bytes]], pace: Pace, seconds: float) -> list[Exchange]:
    start, seconds = clock(), seconds + WARM_UP_SECONDS
    moments = [paced(start, seconds, random.Random(seed)) if pace == "paced" else closed(start, seconds) for seed in range(len(orders))]
    clients = [exchanged(port, order, when) for order, when in zip(orders, moments, strict=True)]
    return [exchange for client in await asyncio.gather(*clients) for exchange in client]


def _port(fleet: Fleet) -> int:
    return int(fleet.url.rpartition(":")[2])


def _cpu_seconds(fleet: Fleet) -> tuple[float, float, float]:
    """CPU time so far of the API, the workers with all their children, and this process."""
    workers = [member for pid in fleet.pids("workers" if "workers" in fleet.victims else "worker") for member in tree(pid)]
    return sum(map(process_seconds, fleet.pids("api"))), sum(map(process_seconds, workers)), time.process_time()


def process_seconds(pid: int) -> float:
    """CPU time of a process and of its ended children; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS
