"""Tells the requests that wait for a job when it has changed: one task and two queries per interval, however many wait.

Event streams and held requests take a `Waiter`, which counts towards their account's limit. Whether their keys are still accepted
is looked up as often: a wait ends soon after its key was revoked, or its account banned or deleted.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from starlette.concurrency import run_in_threadpool

from service.errors import QueueFull, RateLimited
from service.jobs.job import Job
from service.jobs.job_service import JobService
from service.jobs.store import Change

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 10  # Retry-After

Leave = Callable[["Waiter"], None]


class Waiter:
    """One request that waits; a context manager, which frees its place. Used on the event loop only."""

    def __init__(self, account_id: int, key: str, leave: Leave) -> None:
        self.account_id = account_id
        self.key = key
        self.job_id: str | None = None
        self.is_refused = False  # whether the key is no longer valid
        self._seen: Change | None = None
        self._changed = asyncio.Event()
        self._leave = leave

    def watch(self, job: Job) -> Self:
        """Wait for changes of this job from now on."""
        self.job_id, self._seen = job.id, Change.of(job)
        return self

    async def changed(self, seconds: float) -> bool:
        """Wait until the job has changed since the last call, or the key is refused, at most so long; return whether that happened."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def notice(self, change: Change | None, is_refused: bool) -> None:
        """Wake the request if something is new. `change` None: the job is gone."""
        if change != self._seen or is_refused:
            self._seen, self.is_refused = change, is_refused
            self._changed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave(self)


class JobWatcher:
    """The requests of this process that wait. `account_waits`, `total_waits`: how many at once."""

    def __init__(self, job_service: JobService, account_waits: int, total_waits: int) -> None:
        self._job_service = job_service
        self._account_waits = account_waits
        self._total_waits = total_waits
        self._waiters: set[Waiter] = set()
        self._by_account: Counter[int] = Counter()
        self._poller: asyncio.Task[None] | None = None

    def enter(self, account_id: int, key: str) -> Waiter:
        """A place for a request with this key. Raises RateLimited for the account's limit, QueueFull for that of all."""
        if self._by_account[account_id] >= self._account_waits:
            raise RateLimited(f"the account has {self._account_waits} requests that wait for jobs, which is the limit", AGAIN_SECONDS)
        if len(self._waiters) >= self._total_waits:
            raise QueueFull("too many requests wait for jobs", AGAIN_SECONDS)
        waiter = Waiter(account_id, key, self._leave)
        self._waiters.add(waiter)
        self._by_account[account_id] += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        return waiter

    def _leave(self, waiter: Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._by_account -= Counter([waiter.account_id])  # drops those without any

    async def _poll(self) -> None:
        """Look at all watched jobs and keys, as long as somebody waits."""
        while self._waiters:
            await asyncio.sleep(POLL_SECONDS)
            waiters = [waiter for waiter in self._waiters if waiter.job_id]
            job_ids, keys = {waiter.job_id for waiter in waiters if waiter.job_id}, {waiter.key for waiter in waiters}
            try:
                changes, valid = await run_in_threadpool(self._job_service.look, job_ids, keys)
            except Exception:  # the database will be back
                log.warning("could not look at the jobs that requests wait for", exc_info=True)
                continue
            for waiter in waiters:
                assert waiter.job_id
                waiter.notice(changes.get(waiter.job_id), waiter.key not in valid)
