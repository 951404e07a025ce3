"""What the steps of a job's workflow do. Each may be repeated after a crash, and then comes to the same."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Final

from service.core import FACADES, Core
from service.errors import InternalError, JobCancelled, StorageError
from service.inference.session import Networks
from service.jobs import callbacks, store
from service.jobs.database import now_ms
from service.jobs.job import Failure, Job, State
from service.jobs.retry import MOST_ATTEMPTS
from service.logs import bound
from service.metrics import Meters
from service.outside.post import post, signed_headers
from service.plates import clean_source
from service.scratch import Scratch
from service.sources import bring_source
from service.watch import HandedBack, Running, Watch

log = logging.getLogger(__name__)

CALLBACK_SECONDS: Final = 15.0


@dataclass(frozen=True)
class JobSteps:
    """The steps, as `service/jobs/workflow.py` calls them. `stopping`: set when the worker hands its jobs back."""

    core: Core
    networks: Networks
    meters: Meters
    scratch: Scratch
    stopping: threading.Event
    running: Running = field(default_factory=Running)

    def fetch(self, job_id: str) -> None:
        """Bring the source, and a mask, into our storage, so that any worker can go on from there."""
        with self._step("fetch", job_id):
            job = self._come_to(job_id, State.FETCHING)
            with self._handing_back(job), self.scratch.folder() as folder:
                spec, found = bring_source(job, self.core, folder, self._watch(job).begin())
            with self.core.database.write() as connection:
                store.update(connection, job_id, wish=spec.to_json(), post=asdict(found) if found else None)

    def clean(self, job_id: str) -> None:
        """Remove the marks; the result is in our storage when this ends."""
        with self._step("clean", job_id):
            job = self._counted(self._come_to(job_id, State.CLEANING))
            with self._handing_back(job), self.scratch.folder() as folder:
                result = clean_source(job, self.core, self.networks, folder, self._watch(job).begin())
            self.meters.count_frames(result.frames)
            with self.core.database.write() as connection:
                store.update(connection, job_id, result=result.to_json())

    def publish(self, job_id: str) -> None:
        """See that all that the job's links will lead to is there."""
        with self._step("publish", job_id):
            result = self._come_to(job_id, State.PUBLISHING).result
            assert result is not None
            for key in (result.clean_key, result.source_key, result.thumbnail_key):
                if self.core.storage.stat(key) is None:
                    raise StorageError("a result is not in the storage")

    def settle(self, job_id: str, failure: Failure | None) -> None:
        """End the job: its state, credits and callback in one transaction."""
        finalizer = self.core.finalizer
        with self._step("settle", job_id):
            with self.core.database.write() as connection:
                job = store.locked(connection, job_id)
                if failure is None:
                    job = finalizer.succeed(connection, job)
                elif failure.kind == JobCancelled.__name__:
                    job = finalizer.cancel(connection, job)
                else:
                    job = finalizer.fail(connection, job, failure)
            log.info("job %s", job.state, extra={"facade": job.facade, "seconds": job.seconds})

    def notify(self, delivery_id: str) -> None:
        """One attempt at a callback."""
        with bound(delivery=delivery_id), self.meters.step("notify"):
            callbacks.deliver(self.core.database, self.core.queues, delivery_id, self._call_back)

    def _come_to(self, job_id: str, state: State) -> Job:
        """Put the job into this state, if it is not there already after a crash; raises JobCancelled when it has ended meanwhile."""
        with self.core.database.write() as connection:
            job = store.locked(connection, job_id)
            if job.ended:
                raise JobCancelled("the job has ended")
            if job.started_ms is None:
                store.update(connection, job_id, started_ms=now_ms())
            store.advance(connection, job, state)
            return store.find(connection, job_id)

    def _counted(self, job: Job) -> Job:
        """Count an attempt at cleaning before it begins: one that takes the whole worker with it counts as well."""
        if job.attempts >= MOST_ATTEMPTS:
            log.error("job %s was begun %d times and never ended", job.id, job.attempts)
            raise InternalError("the job could not be finished")
        with self.core.database.write() as connection:
            store.update(connection, job.id, attempts=job.attempts + 1)
        return job

    def _watch(self, job: Job) -> Watch:
        return Watch(self.core.database, job, self.core.settings.job_seconds, self.stopping)

    def _call_back(self, job: Job) -> None:
        render = FACADES[job.facade].callback
        assert render is not None
        assert job.callback_url is not None
        callback = render(job, self.core.links, self.core.settings.result_link_seconds)
        key = self.core.settings.webhook_key
        headers = signed_headers(key.get_secret_value(), callback.task_id, int(time.time())) if key else {}
        body = json.dumps(callback.body, ensure_ascii=False, separators=(",", ":")).encode()
        post(job.callback_url, body, headers, self.core.egress, CALLBACK_SECONDS)

    @contextmanager
    def _step(self, name: str, job_id: str) -> Iterator[None]:
        with bound(job_id=job_id), self.meters.step(name):
            yield

    @contextmanager
    def _handing_back(self, job: Job) -> Iterator[None]:
        """What was begun is cleared away; the process ends before this does, and another worker begins the step again."""
        with self.running.one():
            try:
                yield
                return
            except HandedBack:
                with self.core.database.write() as connection:
                    store.update(connection, job.id, attempts=job.attempts)  # it counts those that its worker died of
        threading.Event().wait()
