"""The workflows of a job: fetch, which enqueues clean > publish > settle; and notify, which nothing waits for.

Each step is durable once done; a worker that takes over continues after the last one. Steps pass data on through the database and the
storage. A step that fails for good returns the failure as data, and the job is settled as failed: only `settle` ends a job.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from dbos import DBOS, StepOptions

from service.disk import FULL_SECONDS
from service.errors import InternalError, QuotaExceeded, StorageFull
from service.jobs.job import Failure
from service.jobs.queues import CALLBACK_WORKFLOW, FETCH_WORKFLOW, JOB_WORKFLOW
from service.jobs.retry import worth_a_retry

log = logging.getLogger(__name__)

ATTEMPTS: Final = 4  # at a step, within one worker's life
WAIT_SECONDS: Final = 1.0  # before the second attempt; doubled each time
SETTLE_ATTEMPTS: Final = 30  # waits for the database to come back
FETCH_SECONDS: Final = 60.0  # a fetch that has taken this long is not tried again
FailureJson = dict[str, Any]  # JSON


class Steps(Protocol):
    """The steps. Each can be repeated with the same outcome."""

    def fetch(self, job_id: str) -> None: ...
    def fetch_and_enqueue(self, job_id: str) -> None: ...
    def clean(self, job_id: str) -> None: ...
    def publish(self, job_id: str) -> None: ...
    def settle(self, job_id: str, failure: Failure | None) -> None: ...
    def notify(self, delivery_id: str) -> None: ...


def define(steps: Steps) -> None:
    """Register the workflows with the engine, before it starts."""

    def fetch_job(job_id: str) -> None:
        failure = _durable("fetch", _attempt, steps.fetch_and_enqueue, job_id, time.monotonic() + FETCH_SECONDS)
        if failure:
            _durable("settle", _settle, steps, job_id, failure, attempts=SETTLE_ATTEMPTS)

    def clean_job(job_id: str) -> None:
        failure: FailureJson | None = None
        for step in (steps.fetch, steps.clean, steps.publish):
            failure = failure or _durable(step.__name__, _attempt, step, job_id)
        _durable("settle", _settle, steps, job_id, failure, attempts=SETTLE_ATTEMPTS)

    def deliver_callback(delivery_id: str) -> None:
        _durable("notify", steps.notify, delivery_id, attempts=SETTLE_ATTEMPTS)

    DBOS.workflow(name=FETCH_WORKFLOW)(fetch_job)
    DBOS.workflow(name=JOB_WORKFLOW)(clean_job)
    DBOS.workflow(name=CALLBACK_WORKFLOW)(deliver_callback)


def _durable(name: str, body: Callable[..., Any], *arguments: object, attempts: int = ATTEMPTS) -> Any:
    options: StepOptions = {"name": name, "retries_allowed": True, "max_attempts": attempts, "interval_seconds": WAIT_SECONDS}
    return DBOS.run_step(options, body, *arguments)


def _attempt(step: Callable[[str], None], job_id: str, until: float = math.inf) -> FailureJson | None:
    """Run a step: None when done, or the failure that ends the job.

    Re-raises an error that is worth a retry, while attempts are left and `until` (monotonic seconds) is ahead. A full disk is waited for.
    """
    try:
        _when_there_is_room(step, job_id)
    except Exception as error:
        status = DBOS.step_status
        last = status is None or (status.current_attempt or 0) + 1 >= (status.max_attempts or 1)
        failure = Failure.of(error)
        unforeseen = failure.kind == InternalError.__name__
        details = (step.__name__, job_id, failure.kind, failure.message)
        log.log(logging.ERROR if unforeseen else logging.WARNING, "%s of %s: %s: %s", *details, exc_info=unforeseen)
        if worth_a_retry(error) and not last and time.monotonic() < until:
            raise
        return {"kind": failure.kind, "message": failure.message}
    return None


def _when_there_is_room(step: Callable[[str], None], job_id: str) -> None:
    """Run a step; again and again while there is no space for it, as that is no fault of the job. The step itself checks the time limit."""
    while True:
        try:
            return step(job_id)
        except (StorageFull, QuotaExceeded) as error:
            log.log(logging.ERROR if isinstance(error, StorageFull) else logging.INFO, "job %s waits for space: %s", job_id, error)
            time.sleep(FULL_SECONDS)


def _settle(steps: Steps, job_id: str, failure: FailureJson | None) -> None:
    settled_as = Failure(**failure) if failure else None
    _when_there_is_room(lambda job_id: steps.settle(job_id, settled_as), job_id)
