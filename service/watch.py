"""Watches a running job: saves its progress, and stops it when it is cancelled, out of time, taken over, or its worker stops."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from service.errors import JobCancelled, JobTimeout
from service.jobs import store
from service.jobs.fence import Fence
from service.jobs.job import Job
from service.jobs.progress import Course, Pace
from service.pipeline.run import Progress

CHECK_SECONDS: Final = 0.5  # between two reads of the database


class HandedBack(BaseException):
    """The worker stops and another repeats the job. Not an Exception, so that no error handler treats it as a failure."""


class RunningJobs:
    """Counts this worker's jobs that use temporary files; a stopping worker waits until they have removed them."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    @contextmanager
    def job(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def wait_until_none(self, seconds: float) -> bool:
        """Wait until no job is running, at most so long; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def _add(self, count: int) -> None:
        with self._changed:
            self._count += count
            self._changed.notify_all()


class Watch:
    """Called as the work proceeds. Raises JobCancelled, JobTimeout, HandedBack or Superseded."""

    def __init__(self, fence: Fence, job: Job, job_seconds: float, stopping: threading.Event, pace: Pace) -> None:
        self._fence = fence
        self._job = job
        self._job_seconds = job_seconds
        self._deadline: float | None = None  # by this machine's steady clock
        self._stopping = stopping
        self._next_check = 0.0
        self._saved_percent = job.progress_percent
        self._course = Course(job.spec, pace)

    def on_fetched(self, _done_bytes: int) -> None:
        self._check(self._saved_percent)

    def on_cleaned(self, progress: Progress) -> None:
        percent = self._course.percent(progress.step, progress.done_frames, progress.total_frames, progress.pixels)
        self._check(percent, progress.step)

    def end(self) -> None:
        """The job's files are stored."""
        self._course.end()

    def _check(self, percent: int, step: str | None = None) -> None:
        if self._stopping.is_set():
            raise HandedBack
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_SECONDS
        with self._fence.read() as connection:
            running = store.running(connection, self._job.id)
        if self._deadline is None:  # read once: the database's clock is the same on all machines, but may jump
            self._deadline = time.monotonic() + self._job_seconds - running.seconds
        if time.monotonic() > self._deadline:
            raise JobTimeout("the job exceeded its time limit")
        if running.cancel_asked or running.ended:
            raise JobCancelled("the job was cancelled")
        if percent > self._saved_percent:
            with self._fence.write() as connection:
                store.update(connection, self._job.id, progress_percent=percent, step=step)
            self._saved_percent = percent

    def begin(self) -> Self:
        """Check now; return self."""
        self._check(self._saved_percent)
        return self
