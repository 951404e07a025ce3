"""What clients send for a batch, and what they receive."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from service.api.native_models import MAX_PAIRS, Address, Options, PairName, PairValue, Reference, Wire
from service.api.native_views import ProblemView, result_link
from service.api.problems import Problem
from service.api.times import rfc3339
from service.jobs.batch import MAX_JOBS, Batch, Item, Progress
from service.outside.links import Links

RUNNING = ("fetching", "cleaning", "publishing")


class SourceBody(Wire):
    """One source of a batch."""

    source_url: Address = Field(description="As in a job: a video or an image, a share link, or a link to a file of yours in this service.")
    client_reference: Reference | None = None
    metadata: dict[PairName, PairValue] = Field(default={}, max_length=MAX_PAIRS)


class BatchBody(Options):
    """Many jobs that differ in their sources. The options are those of a job and hold for all; callback and reference are the batch's."""

    sources: Annotated[list[SourceBody], Field(min_length=1, max_length=MAX_JOBS)]


class CountsView(BaseModel):
    """A batch's jobs by state. `waiting`: for room among the account's unfinished jobs; then `queued`, for a worker."""

    waiting: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, states: Mapping[str, int]) -> Self:
        same = {name: states.get(name, 0) for name in ("waiting", "queued", "succeeded", "failed", "cancelled")}
        return cls(running=sum(states.get(name, 0) for name in RUNNING), **same)


class BatchView(BaseModel):
    """A batch. It has `ended` when all of its jobs have, well or not."""

    id: str
    state: Literal["running", "cancelling", "ended"]
    jobs: int = Field(description="How many it has.")
    counts: CountsView
    credits_used: int = Field(description="By those of its jobs that have ended.")
    callback_url: str | None = None
    client_reference: str | None = None
    metadata: dict[str, str] = {}
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    finished_at: str | None = None

    @classmethod
    def of(cls, batch: Batch, progress: Progress) -> Self:
        return cls(
            id=batch.id,
            state="ended" if batch.ended else "running" if batch.cancelled_ms is None else "cancelling",
            jobs=batch.jobs,
            counts=CountsView.of(progress.states),
            credits_used=progress.used_credits,
            callback_url=batch.callback_url,
            client_reference=batch.client_reference,
            metadata=dict(batch.metadata),
            created_at=rfc3339(batch.created_ms),
            finished_at=None if batch.finished_ms is None else rfc3339(batch.finished_ms),
        )


class BatchPage(BaseModel):
    """A page of batches, newest first."""

    data: list[BatchView]
    next_before: str | None = Field(None, description="`before` of the next page; null on the last.")


class ItemView(BaseModel):
    """One source of a batch, and its job."""

    number: int = Field(description="In the order of the request, from 0.")
    source_url: str | None = Field(None, description="Null for a file of yours in this service.")
    client_reference: str | None = None
    metadata: dict[str, str] = {}
    job_id: str | None = Field(None, description="Null while it waits.")
    state: Literal["waiting", "queued", "fetching", "cleaning", "publishing", "succeeded", "failed", "cancelled"]
    credits_used: int
    error: ProblemView | None = None
    result_url: str | None = None

    @classmethod
    def of(cls, item: Item, batch: Batch, links: Links, link_seconds: float) -> Self:
        job = item.job
        failure, result = (job.failure, job.result) if job else (None, None)
        return cls.model_validate(
            {
                "number": item.number,
                "source_url": item.spec.source_url,
                "client_reference": item.client_reference,
                "metadata": dict(item.metadata),
                "job_id": job.id if job else None,
                "state": item.state(batch),
                "credits_used": job.credits_used if job else 0,
                "error": Problem.of_failure(failure).body if failure else None,
                "result_url": result_link(job, result, links, link_seconds) if job and result and not failure else None,
            }
        )


class ItemPage(BaseModel):
    """A page of a batch's sources, in the order of the request."""

    data: list[ItemView]
    next_first: int | None = Field(None, description="`first` of the next page; null on the last.")
