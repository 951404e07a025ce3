"""Measures how long another account's first job waits while jobs wait for sources on hosts that drip.

with dripping_host() as drips, loopback_host() as host, Fleet.running(folder) as fleet:
    measure(fleet, host, drips)
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx

from benchmarks.fleet import Fleet, within
from benchmarks.loopback_host import LoopbackHost, loopback_host
from benchmarks.orders import Customer
from service.jobs import store
from service.jobs.job import Job, State

PAUSE_SECONDS: Final = 0.5  # between two bytes of a source that drips
PATIENCE_SECONDS: Final = 900.0
CREDITS: Final = 10_000
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n"


@dataclass(frozen=True)
class SlowSources:
    """The other account's job: seconds from its acceptance until it was fetched, cleaned, and done.

    The slow ones: how many were open when it was done, how many connections they took in all, and seconds until all had failed.
    """

    slow_jobs: int
    slow_accounts: int
    fetching_seconds: float
    cleaning_seconds: float
    done_seconds: float
    still_slow: int
    connections: int
    all_failed_seconds: float


class DrippingHost:
    """A host on loopback that sends a byte now and then to everybody, for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # it is cancelled when the host ends
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            while not reader.at_eof():
                await writer.drain()
                await asyncio.sleep(PAUSE_SECONDS)
                writer.write(b"x")
        writer.close()


@contextmanager
def dripping_host() -> Iterator[DrippingHost]:
    """A running host, for the length of a block."""
    loop = asyncio.new_event_loop()
    host = DrippingHost("")
    server = loop.run_until_complete(asyncio.start_server(host.serve, "127.0.0.1", 0))
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def measure(fleet: Fleet, host: LoopbackHost, drips: DrippingHost, jobs: int = 100, accounts: int = 1, wait: bool = True) -> SlowSources:
    """Order the slow jobs, then another account's; follow it to its end, and with `wait` the slow ones too."""
    slow = [Customer.new(fleet.core, f"slow {number}", CREDITS) for number in range(accounts)]
    other = Customer.new(fleet.core, "other", CREDITS)
    ordered_at = time.monotonic()
    slow_ids = [_order(fleet, slow[number % accounts], f"{drips.url}/{number}.mp4") for number in range(jobs)]
    within(PATIENCE_SECONDS, lambda: drips.connections > 0)
    job_id = _order(fleet, other, f"{host.url}/other/marked.mp4")
    if not within(PATIENCE_SECONDS, lambda: _job(fleet, job_id).ended) or _job(fleet, job_id).state is not State.SUCCEEDED:
        raise RuntimeError(f"the other account's job is {_job(fleet, job_id).state}")
    still_slow = sum(not _job(fleet, slow_id).ended for slow_id in slow_ids)
    if wait:
        within(PATIENCE_SECONDS, lambda: all(_job(fleet, slow_id).ended for slow_id in slow_ids), pause_seconds=1.0)
    waits = [_seconds_until(fleet, job_id, state) for state in (State.FETCHING, State.CLEANING, State.SUCCEEDED)]
    return SlowSources(jobs, accounts, *waits, still_slow, drips.connections, round(time.monotonic() - ordered_at, 1))


def _order(fleet: Fleet, customer: Customer, url: str) -> str:
    answer = fleet.client.post("/v1/jobs", headers={"Authorization": f"Bearer {customer.key}"}, json={"source_url": url})
    if answer.status_code != httpx.codes.CREATED:
        raise RuntimeError(f"an order was refused: {answer.text}")
    return str(answer.json()["id"])


def _job(fleet: Fleet, job_id: str) -> Job:
    with fleet.core.database.read() as connection:
        return store.find(connection, job_id)


def _seconds_until(fleet: Fleet, job_id: str, state: State) -> float:
    """From the job's acceptance to when it first entered this state."""
    with fleet.core.database.read() as connection:
        events = store.events(connection, job_id)
    return next(event.at_ms - events[0].at_ms for event in events if event.state is state) / 1000


def main() -> None:
    """Measure one slow account, and ten."""
    for accounts in (1, 10):
        with (
            tempfile.TemporaryDirectory() as folder,
            dripping_host() as drips,
            loopback_host() as host,
            Fleet.running(Path(folder)) as fleet,
        ):
            print(asdict(measure(fleet, host, drips, accounts=accounts)))


if __name__ == "__main__":
    main()
