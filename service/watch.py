"""Watches a running job: tells its progress, and ends it when it is cancelled, out of time, or its worker stops."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from service.errors import JobCancelled, JobTimeout
from service.jobs import store
from service.jobs.database import Database, now_ms
from service.jobs.job import Job
from service.pipeline.run import Progress

LOOK_SECONDS: Final = 0.5  # between two looks at the database
# What each step takes of a job's time, from the figures of a 720p clip in benchmarks/results/speed.jsonl.
SHARES: Final = {"locate": (0, 12), "measure": (12, 20), "bound": (20, 24), "remove": (24, 99)}


class HandedBack(BaseException):
    """The worker stops: the job is for another to begin again. No Exception: nothing on the way may take it for a failure."""


class Running:
    """How many jobs of this worker have files in their hands; a stopping worker waits until they have put them away."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def wait_until_none(self, seconds: float) -> bool:
        """Whether there is none, at the latest after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def _add(self, count: int) -> None:
        with self._changed:
            self._count += count
            self._changed.notify_all()


class Watch:
    """Called as the work goes on; raises JobCancelled, JobTimeout, HandedBack."""

    def __init__(self, database: Database, job: Job, job_seconds: float, stopping: threading.Event) -> None:
        self._database = database
        self._job = job
        self._deadline_ms = (job.started_ms or now_ms()) + job_seconds * 1000
        self._stopping = stopping
        self._next_look = 0.0
        self._told_percent = job.progress_percent

    def fetched(self, _done_bytes: int) -> None:
        self._look(self._told_percent)

    def cleaned(self, progress: Progress) -> None:
        first, last = SHARES[progress.step]
        self._look(first + int((last - first) * progress.done_frames / max(1, progress.total_frames)))

    def _look(self, percent: int) -> None:
        if self._stopping.is_set():
            raise HandedBack
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if now_ms() > self._deadline_ms:
            raise JobTimeout("the job took longer than it may")
        with self._database.read() as connection:
            job = store.find(connection, self._job.id)
        if job.cancel_asked or job.ended:
            raise JobCancelled("the job was cancelled")
        if percent > self._told_percent:
            with self._database.write() as connection:
                store.update(connection, job.id, progress_percent=percent)
            self._told_percent = percent

    def begin(self) -> Self:
        """Look at once."""
        self._look(self._told_percent)
        return self
