"""The steps of a job's workflow. Each can be repeated after a crash with the same outcome, and changes nothing once it is superseded."""

import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Final

from service.api.facade import Callback
from service.api.native_batches import callback as batch_callback
from service.core import FACADES, Core
from service.disk import naming_full_disks, once_there_is_room
from service.errors import InternalError, JobCancelled, StorageError, UnknownJob
from service.inference.session import Networks
from service.jobs import batch_store, callbacks, ledger, store
from service.jobs.account_files import record_source
from service.jobs.database import NOW_MS, now_ms_of
from service.jobs.fence import Fence, Superseded
from service.jobs.job import Failure, Job, JobSpec, Post, State
from service.jobs.progress import Pace
from service.jobs.retry import MAX_ATTEMPTS
from service.logs import log_fields
from service.metrics import Meters
from service.outside.post import post
from service.plates import clean_source, detect_marks
from service.scratch import Scratch
from service.sources import fetch_source
from service.tracing import span
from service.watch import HandedBack, RunningJobs, Watch

log = logging.getLogger(__name__)

CALLBACK_SECONDS: Final = 15.0
COPIES: Final = 4  # of a file while it is cleaned: the source, the result, the result without sound, and the result in the storage


@dataclass(frozen=True)
class JobSteps:
    """The steps that `service/jobs/workflow.py` calls. `stopping` is set when the worker hands back its jobs."""

    core: Core
    networks: Networks
    meters: Meters
    scratch: Scratch
    stopping: threading.Event
    running: RunningJobs = field(default_factory=RunningJobs)
    pace: Pace = field(default_factory=Pace)

    def fetch(self, job_id: str) -> None:
        """Fetch the source and mask if they are not in our storage: only of a job that an earlier version enqueued to be cleaned."""
        if not self._find(job_id).spec.is_fetched:
            self._fetch(job_id, enqueue=False)

    def fetch_and_enqueue(self, job_id: str) -> None:
        """Fetch the source and mask into our storage, and enqueue the job to be cleaned, by any worker."""
        if not self._find(job_id).spec.is_fetched:  # otherwise it is enqueued: see `_fetch`
            self._fetch(job_id, enqueue=True)

    def _fetch(self, job_id: str, enqueue: bool) -> None:
        with self._step("fetch", job_id) as fence:
            job = self._count_attempt(fence, self._enter_state(fence, job_id, State.FETCHING))
            with self._hand_back_if_stopping(fence, job):
                with self.scratch.folder() as folder:
                    watch = self._watch(fence, job).begin()
                    self.core.account_files.reserve_source(job, self.core.settings.limits.file_bytes * (2 if job.spec.mask_url else 1))
                    spec, post, size_bytes = fetch_source(job, self.core, folder, attempt_prefix(job_id, fence), watch)
                self._record_fetched(fence, job_id, spec, post, size_bytes, enqueue)

    def _record_fetched(self, fence: Fence, job_id: str, spec: JobSpec, post: Post | None, size_bytes: int, enqueue: bool) -> None:
        with fence.write() as connection:
            job = store.locked(connection, job_id)
            if job.ended or job.cancel_asked:
                raise JobCancelled("the job was cancelled")
            if job.spec.is_fetched:  # by a worker that has taken over from this one
                return
            record_source(connection, job_id, size_bytes)
            wish = spec.to_json()
            store.update(connection, job_id, wish=wish, post=asdict(post) if post else None, attempts=0)  # those to clean it count anew
            if enqueue:  # in the same transaction, so that no crash leaves a fetched job that nobody cleans, or enqueues one twice
                job = store.advance(connection, job, State.QUEUED, started_ms=None)  # its time starts again when a worker takes it
                self.core.queues.enqueue_job(connection, job)

    def clean(self, job_id: str) -> None:
        """Remove the marks, or find them; the result is in our storage when this returns.

        Nothing is done again for a job with a result, whose worker stopped before the engine had recorded that this step was done.
        """
        if self._find(job_id).result is not None:
            return
        with self._step("clean", job_id) as fence:
            job = self._count_attempt(fence, self._enter_state(fence, job_id, State.CLEANING))
            with self._hand_back_if_stopping(fence, job), self.scratch.folder() as folder:
                watch = self._watch(fence, job).begin()
                self.core.disk.require(self._room_bytes(job))
                where = (folder, attempt_prefix(job_id, fence), watch)
                if job.spec.kind == "detect":
                    result = detect_marks(job, self.core, self.networks, *where)
                else:
                    result = clean_source(job, self.core, self.networks, *where, partial(self._hold_price, fence, job_id))
                self.meters.count_frames(result.frames)
                with fence.write() as connection:
                    store.update(connection, job_id, result=result.to_json())
                watch.end()

    def publish(self, job_id: str) -> None:
        """Check that every file that the job's links point to is in the storage, and delete what other attempts left there."""
        with self._step("publish", job_id) as fence:
            job = self._enter_state(fence, job_id, State.PUBLISHING)
            assert job.result is not None
            for key in (job.result.clean_key, job.result.source_key, job.result.thumbnail_key):
                if self.core.storage.stat(key) is None:
                    raise StorageError("a result is missing from the storage")
            self._delete_except(job.keys, f"jobs/{job_id}")

    def settle(self, job_id: str, failure: Failure | None) -> None:
        """End the job: state, credits (spent or refunded) and callback in one transaction."""
        finalizer = self.core.finalizer
        with self._step("settle", job_id) as fence:
            with fence.write() as connection:
                job = store.locked(connection, job_id)
                if failure is None:
                    job = finalizer.succeed(connection, job)
                elif failure.kind == JobCancelled.__name__:
                    job = finalizer.cancel_and_refund(connection, job)
                else:
                    job = finalizer.fail_and_refund(connection, job, failure)
            log.info("job %s", job.state, extra={"facade": job.facade, "seconds": job.seconds})

    def notify(self, delivery_id: str) -> None:
        """Make one attempt to deliver a callback."""
        with self.core.database.read() as connection:
            trace = callbacks.trace_of(connection, delivery_id)
        about = {"cleanplate.delivery": delivery_id}
        with log_fields(delivery=delivery_id), span("notify", trace, attributes=about) as measured, self.meters.step("notify"):
            fence = Fence.of_this_execution(self.core.database)
            for_days = self.core.settings.kie_callback_days
            outcome = callbacks.deliver(fence, delivery_id, lambda job: self._send_callback(fence, job, delivery_id), for_days=for_days)
            measured.say({"cleanplate.outcome": outcome})

    def _hold_price(self, fence: Fence, job_id: str, seconds: float, pixels: int) -> None:
        """Hold what the video costs by its length and size, if that is more than is held. Raises CreditsRanOut."""
        with fence.write() as connection:
            job = store.locked(connection, job_id)
            price_credits = self.core.rules.price_of(job.spec, seconds, pixels)
            if not job.ended and price_credits > job.price_credits:  # not again after a crash
                ledger.reserve_more(connection, job, price_credits)
                store.update(connection, job_id, price_credits=price_credits)

    def _find(self, job_id: str) -> Job:
        with self.core.database.read() as connection:
            return store.find(connection, job_id)

    def _room_bytes(self, job: Job) -> int:
        """What cleaning this job takes on the disk, about."""
        assert job.spec.source_key is not None
        source = self.core.storage.stat(job.spec.source_key)
        return COPIES * source.bytes if source else 0

    def _enter_state(self, fence: Fence, job_id: str, state: State) -> Job:
        """Move the job to this state unless it is already there after a crash. Raises JobCancelled if it has ended meanwhile."""
        with fence.write() as connection:
            job = store.locked(connection, job_id)
            if job.ended:
                raise JobCancelled("the job has ended")
            if job.started_ms is None:
                store.update(connection, job_id, started_ms=NOW_MS)
            store.advance(connection, job, state)
            return store.find(connection, job_id)

    def _count_attempt(self, fence: Fence, job: Job) -> Job:
        """Count an attempt at a step before it starts, so that one that kills the worker counts. Raises InternalError after the last."""
        if job.attempts >= MAX_ATTEMPTS:
            log.error("job %s was started %d times and never finished", job.id, job.attempts)
            raise InternalError("the job could not be finished")
        with fence.write() as connection:
            store.update(connection, job.id, attempts=job.attempts + 1)
        return job

    def _watch(self, fence: Fence, job: Job) -> Watch:
        return Watch(fence, job, self.core.settings.job_seconds, self.stopping, self.pace)

    def _send_callback(self, fence: Fence, job: Job, delivery_id: str) -> None:
        callback, url = self._callback(job, delivery_id)
        body = callback.payload
        with fence.read() as connection:  # the last look before sending
            now_seconds = now_ms_of(connection) // 1000  # receivers refuse signatures whose time is far from theirs
        keys = self.core.webhook_secrets.keys_of(job.account_id)
        headers = keys.headers(callback.event_id, callback.task_id, body, now_seconds)
        post(url, body, headers, self.core.egress, CALLBACK_SECONDS)

    def _callback(self, job: Job, delivery_id: str) -> tuple[Callback, str]:
        """What a delivery sends, and where to: the end of the job, or of the batch that it reports."""
        with self.core.database.read() as connection:
            batch = batch_store.of_delivery(connection, delivery_id)
        if batch is not None:
            assert batch.callback_url is not None
            return batch_callback(batch, self.core.batches.progress(batch)), batch.callback_url
        render = FACADES[job.facade].callback
        assert render is not None
        assert job.callback_url is not None
        return render(job, self.core.links, self.core.settings.result_link_seconds), job.callback_url

    @contextmanager
    def _step(self, name: str, job_id: str) -> Iterator[Fence]:
        """The step's fence. A step that is superseded deletes what it stored, which only it knows of."""
        fence = Fence.of_this_execution(self.core.database)
        with self.core.database.read() as connection:
            trace = store.trace_of(connection, job_id)
        with log_fields(job_id=job_id), span(name, trace, attributes={"cleanplate.job": job_id}), self.meters.step(name):
            try:
                yield fence
            except Superseded:
                log.warning("%s of %s: another worker has taken over", name, job_id)
                self._discard(fence, job_id)
                raise

    def _discard(self, fence: Fence, job_id: str) -> None:
        """Delete the files of a superseded execution, except those that it recorded in time."""
        try:
            with self.core.database.read() as connection:
                keys = store.find(connection, job_id).keys
            self._delete_except(keys, attempt_prefix(job_id, fence))
        except (StorageError, UnknownJob) as error:  # what is left is deleted by `publish`, or with the job
            log.warning("the files of a superseded attempt at %s remain: %s", job_id, error)

    def _delete_except(self, keys: Collection[str], prefix: str) -> None:
        for key in [key for key in self.core.storage.list_under(prefix) if key not in keys]:
            self.core.storage.delete(key)

    @contextmanager
    def _hand_back_if_stopping(self, fence: Fence, job: Job) -> Iterator[None]:
        """If the worker stops, clean up and wait for the process to exit: another worker will repeat the step.

        An attempt that ended so, or with an error, does not count: only attempts that killed the worker do.
        """
        with self.running.job():
            try:
                with naming_full_disks():
                    yield
                return
            except HandedBack:
                self._uncount_attempt(fence, job, started_ms=None)  # however long the stop takes, the other has the whole time
            except Exception:
                self._uncount_attempt(fence, job)
                raise
        threading.Event().wait()

    def _uncount_attempt(self, fence: Fence, job: Job, **values: object) -> None:
        """Record the attempts as before this one, and these values of other columns."""

        def uncount() -> None:
            with fence.write() as connection:
                store.update(connection, job.id, attempts=job.attempts, **values)

        once_there_is_room(uncount)


def attempt_prefix(job_id: str, fence: Fence) -> str:
    """Where an execution stores a job's files: it cannot replace those of another one."""
    return f"jobs/{job_id}/{fence.name}"
