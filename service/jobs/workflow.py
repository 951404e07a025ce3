"""The workflows of a job: one fetches its source and enqueues the other, which does clean > publish > settle; and notify, which nothing waits for.

Each step is durable once done; a worker that takes over continues after the last one. Steps pass data on through the database and the
storage. A step that fails for good returns the failure as data, and the job is settled as failed: only `settle` ends a job.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from dbos import DBOS, StepOptions

from service.errors import InternalError
from service.jobs.job import Failure
from service.jobs.queues import CALLBACK_WORKFLOW, JOB_WORKFLOW
from service.jobs.retry import worth_a_retry

log = logging.getLogger(__name__)

ATTEMPTS: Final = 4  # at a step, within one worker's life
WAIT_SECONDS: Final = 1.0  # before the second attempt; doubled each time
SETTLE_ATTEMPTS: Final = 30  # waits for the database to come back
FailureJson = dict[str, Any]  # JSON


class Steps(Protocol):
    """The steps. Each can be repeated with the same outcome."""

    def fetch(self, job_id: str) -> None: ...
    def clean(self, job_id: str) -> None: ...
    def publish(self, job_id: str) -> None: ...
    def settle(self, job_id: str, failure: Failure | None) -> None: ...
    def notify(self, delivery_id: str) -> None: ...


def define(steps: Steps) -> None:
    """Register the workflows with the engine, before it starts."""

    def clean_job(job_id: str) -> None:
        failure: FailureJson | None = None
        for step in (steps.fetch, steps.clean, steps.publish):
            failure = failure or _durable(step.__name__, _attempt, step, job_id)
        _durable("settle", _settle, steps, job_id, failure, attempts=SETTLE_ATTEMPTS)

    def deliver_callback(delivery_id: str) -> None:
        _durable("notify", steps.notify, delivery_id, attempts=SETTLE_ATTEMPTS)

    DBOS.workflow(name=JOB_WORKFLOW)(clean_job)
    DBOS.workflow(name=CALLBACK_WORKFLOW)(deliver_callback)


def _durable(name: str, body: Callable[..., Any], *arguments: object, attempts: int = ATTEMPTS) -> Any:
    options: StepOptions = {"name": name, "retries_allowed": True, "max_attempts": attempts, "interval_seconds": WAIT_SECONDS}
    return DBOS.run_step(options, body, *arguments)


def _attempt(step: Callable[[str], None], job_id: str) -> FailureJson | None:
    """Run a step: None when done, or the failure that ends the job. Re-raises an error that is worth a retry, while attempts are left."""
    try:
        step(job_id)
    except Exception as error:
        status = DBOS.step_status
        last = status is None or (status.current_attempt or 0) + 1 >= (status.max_attempts or 1)
        failure = Failure.of(error)
        unforeseen = failure.kind == InternalError.__name__
        details = (step.__name__, job_id, failure.kind, failure.message)
        log.log(logging.ERROR if unforeseen else logging.WARNING, "%s of %s: %s: %s", *details, exc_info=unforeseen)
        if worth_a_retry(error) and not last:
            raise
        return {"kind": failure.kind, "message": failure.message}
    return None


def _settle(steps: Steps, job_id: str, failure: FailureJson | None) -> None:
    steps.settle(job_id, Failure(**failure) if failure else None)
