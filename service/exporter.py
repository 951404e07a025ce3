"""Puts results into the buckets of their accounts' own: a worker's task beside its jobs."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from service.core import Core
from service.errors import CleanplateError, StorageError
from service.jobs import exports
from service.jobs.destinations import Destination
from service.jobs.exports import Claim
from service.jobs.job import Job
from service.logs import log_fields
from service.outside.bucket import Bucket

log = logging.getLogger(__name__)

EXPORTERS: Final = 4  # threads, as a bucket may be slow; of one account only one file is on its way at a time
LOOK_SECONDS: Final = 1.0


class Stopped(Exception):
    """The worker stops, or another exporter has taken over."""


class Exporter:
    """Delivers what is due, until the worker stops."""

    def __init__(self, core: Core, stopping: threading.Event) -> None:
        self._core = core
        self._stopping = stopping
        self._busy: set[int] = set()  # accounts
        self._turn = threading.Lock()

    def run(self) -> None:
        """Work until the event is set."""
        with ThreadPoolExecutor(EXPORTERS, thread_name_prefix="export") as pool:
            for _ in range(EXPORTERS):
                pool.submit(self._work)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                is_idle = not self.deliver_next()
            except Exception:
                log.exception("a result could not be delivered")
                is_idle = True
            if is_idle:
                self._stopping.wait(LOOK_SECONDS)

    def deliver_next(self) -> bool:
        """Deliver a result that is due; whether there was one."""
        with self._turn:
            claim = exports.claim(self._core.database, self._busy)
            if claim is None:
                return False
            self._busy.add(claim.job.account_id)
        try:
            with log_fields(job_id=claim.job.id):
                self._deliver(claim)
        finally:
            with self._turn:
                self._busy.discard(claim.job.account_id)
        return True

    def _deliver(self, claim: Claim) -> None:
        database, job = self._core.database, claim.job
        destination = self._core.destinations.find(job.account_id)
        if job.export is not None and job.export.outcome == "delivered":  # only its files are left
            return self._clear(claim, destination)
        if destination is None or job.cleared_ms is not None:
            return exports.failed(database, claim, "the bucket is no longer set, or the files were deleted", is_final=True)
        try:
            url = self._copy(claim, destination.bucket)
        except Stopped:
            return exports.give_back(database, claim)
        except CleanplateError as error:
            log.warning("the result of %s was not delivered: %s", job.id, error)
            return exports.failed(database, claim, str(error), is_final=isinstance(error, StorageError) and self._is_gone(job))
        if exports.delivered(database, claim, url):
            self._clear(claim, destination)
        return None

    def _clear(self, claim: Claim, destination: Destination | None) -> None:
        """Delete the files of a delivered result if they are to be only there; tried again later while another job needs one of them."""
        stay = destination is None or destination.keep_here or claim.job.cleared_ms is not None
        if stay or self._core.account_files.clear_job(claim.job):
            exports.finished(self._core.database, claim)

    def _copy(self, claim: Claim, bucket: Bucket) -> str:
        """Put the result and its report there; the address of the result."""
        job, beats = claim.job, self._beats(claim)
        assert job.result is not None
        files = {job.result.clean_key: job.result_name or job.result.clean_key.rpartition("/")[2]}
        if job.result.report_key:
            files[job.result.report_key] = "report.json"
        for key, name in files.items():
            stored = self._core.storage.stat(key)
            if stored is None:
                raise StorageError("the file is missing from the storage")
            parts = self._core.storage.read(key)
            bucket.put(f"{job.id}/{name}", parts, stored.bytes, stored.content_type, self._core.egress, lambda: next(beats))
        return bucket.address_of(f"{job.id}/{next(iter(files.values()))}")

    def _beats(self, claim: Claim) -> Iterator[None]:
        """Each step looks whether the worker stops, and tells the others now and then that this attempt goes on."""
        last = time.monotonic()
        while True:
            if self._stopping.is_set():
                raise Stopped
            if time.monotonic() > last + exports.BEAT_SECONDS:
                if not exports.renew(self._core.database, claim):
                    raise Stopped
                last = time.monotonic()
            yield

    def _is_gone(self, job: Job) -> bool:
        return job.result is None or self._core.storage.stat(job.result.clean_key) is None
