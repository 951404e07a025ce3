"""A worker whose cleaning step does nothing but fail: the queue, the steps around it and the refunds are the real ones.

    python -m benchmarks.stub_worker        # with the settings of `cleanplate worker`

For questions about the queue alone: a job takes milliseconds of a processor, not a second.
"""

from service import worker
from service.commands import serve
from service.errors import NotMedia
from service.jobs.job import State
from service.steps import JobSteps


class StubSteps(JobSteps):
    """The steps of a job, but for what cleans it."""

    def clean(self, job_id: str) -> None:
        with self._step("clean", job_id) as fence:
            self._count_attempt(fence, self._enter_state(fence, job_id, State.CLEANING))
        raise NotMedia("nothing is cleaned here")


if __name__ == "__main__":
    worker.JobSteps = StubSteps  # type: ignore[misc]
    serve.worker()
