"""What clients of the native API receive."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from service.api.facade import AppContext, link_of
from service.api.native_models import Box
from service.api.native_report import NotKeptView
from service.api.problems import Problem
from service.api.times import rfc3339
from service.jobs.accounts import Account
from service.jobs.callbacks import Attempt, Delivery
from service.jobs.credits import Balance
from service.jobs.database import now_ms
from service.jobs.job import Export, Job, Kind, Media, Result, Rights, State
from service.jobs.webhook_secrets import SecretInfo
from service.outside.links import Links

UNMARKED = (
    "No mark was found, so the file is as it was. If you see one, send it again with a box around it in `boxes`, or a mask; "
    "for text on things in the scene, add scene_text to `classes`."
)


class ProblemView(BaseModel):
    """A problem (RFC 9457). `type` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class ResultView(BaseModel):
    """A job's result. The links are signed and expire.

    Of a job that detects, `url` is a JSON document: the marks, each with a mask, and how many seconds cleaning takes.
    """

    url: str
    name: str | None = Field(None, description="Under which browsers save `url`: `holiday_clean.mp4`; null if the file has no name.")
    source_url: str
    thumbnail_url: str
    report_page_url: str | None = Field(None, description="A page that shows what was done; null if there is none.")
    content_type: str
    bytes: int
    frames: int
    mark_found: bool
    advice: str | None = Field(None, description="What to do if you see a mark although none was found; null if one was.")
    seconds: float
    not_kept: list[NotKeptView] = Field([], description="What the source carries and the result does not, such as data tracks.")

    @classmethod
    def of(cls, job: Job, result: Result, links: Links, link_seconds: float) -> Self:
        return cls(
            url=result_link(job, result, links, link_seconds),
            name=job.result_name,
            source_url=link_of(job, result.source_key, links, link_seconds),
            thumbnail_url=link_of(job, result.thumbnail_key, links, link_seconds),
            report_page_url=link_of(job, result.report_page_key, links, link_seconds) if result.report_page_key else None,
            content_type=result.content_type,
            bytes=result.bytes,
            frames=result.frames,
            mark_found=result.mark_found,
            advice=None if result.mark_found else UNMARKED,
            seconds=result.seconds,
            not_kept=[NotKeptView.model_validate(each) for each in result.not_kept],
        )


class ExportView(BaseModel):
    """How far a result's way to the account's own bucket is."""

    outcome: Literal["pending", "delivered", "given_up"]
    attempts: int = Field(description="So far.")
    url: str | None = Field(None, description="Where the result is there: `s3://bucket/prefix/job/holiday_clean.mp4`.")
    detail: str | None = Field(None, description="Why the last attempt failed.")

    @classmethod
    def of(cls, export: Export) -> Self:
        return cls.model_validate({"outcome": export.outcome, "attempts": export.attempts, "url": export.url, "detail": export.error})


class JobView(BaseModel):
    """A job. All fields are always present."""

    # Nullable fields have defaults because FastAPI's document omits nulls in examples.

    id: str
    state: State
    progress_percent: int = Field(ge=0, le=100)
    step: str | None = Field(None, description="What a cleaning job is at: locate, measure, bound or remove.")
    kind: Kind = "clean"
    media: Media
    name: str | None = Field(None, description="What its file is called; null if nobody said.")
    source_url: str | None = Field(None, description="Null for an uploaded file, and for the file of a detection.")
    callback_url: str | None = None
    credits_used: int = Field(description="0 until it succeeds, and unless the service says otherwise 0 if no mark was found.")
    boxes: list[Box] = Field([], description="As they were given.")
    keep: list[Box] = []
    reject: list[str] = []
    rights: Rights | None = Field(None, description="The declared right to edit the picture; null if none was declared.")
    client_reference: str | None = None
    metadata: dict[str, str] = {}
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    started_at: str | None = None
    finished_at: str | None = None
    eta_seconds: float | None = Field(
        None, description="About how long until it ends, by the last jobs; null if it has, or nothing can be said yet."
    )
    error: ProblemView | None = None
    result: ResultView | None = None
    export: ExportView | None = Field(None, description="Null if its result is not put into a bucket of the account's own.")
    files_deleted_at: str | None = Field(
        None, description="When its files were deleted, on request or because they had expired: the links of `result` lead nowhere since."
    )

    @classmethod
    def of(cls, job: Job, links: Links, link_seconds: float, eta_seconds: float | None = None) -> Self:
        return cls(
            id=job.id,
            state=job.state,
            progress_percent=job.progress_percent,
            step=job.step if job.state is State.CLEANING else None,
            kind=job.spec.kind,
            media=job.spec.media,
            name=job.shown_name,
            source_url=job.spec.source_url,
            callback_url=job.callback_url,
            credits_used=job.credits_used,
            boxes=[Box.of(box) for box in job.spec.boxes],
            keep=[Box.of(box) for box in job.spec.keep],
            reject=list(job.spec.reject),
            rights=job.rights,
            client_reference=job.client_reference,
            metadata=dict(job.metadata),
            created_at=rfc3339(job.created_ms),
            started_at=None if job.started_ms is None else rfc3339(job.started_ms),
            finished_at=None if job.finished_ms is None else rfc3339(job.finished_ms),
            eta_seconds=None if eta_seconds is None else round(eta_seconds, 1),
            error=None if job.failure is None else ProblemView.model_validate(Problem.of_failure(job.failure).body),
            result=None if job.result is None else ResultView.of(job, job.result, links, link_seconds),
            export=None if job.export is None else ExportView.of(job.export),
            files_deleted_at=None if job.cleared_ms is None else rfc3339(job.cleared_ms),
        )


class EstimateView(BaseModel):
    """What a job would cost and take, by the last jobs of this service."""

    credits: int = Field(description="Its price; a job that fails, and one that finds no mark unless the service says otherwise, costs 0.")
    seconds: float | None = Field(None, description="Once a worker has it; null if there was no such job yet.")
    wait_seconds: float | None = Field(None, description="Until a worker has it; null while there is no worker.")
    measured_jobs: int = Field(description="How many jobs of the kind and media this is taken from.")


class LimitsView(BaseModel):
    """What is accepted, and what it costs."""

    file_bytes: int
    duration_seconds: float
    long_side_pixels: int = Field(description="Longer side of the largest video picture.")
    short_side_pixels: int
    still_pixels: int = Field(description="Width times height of the largest image.")
    video_credits: int = Field(description="The least, where the price depends on length and size: see the estimate.")
    image_credits: int
    detection_credits: int


class ArchiveView(BaseModel):
    """A file with the results of several jobs."""

    url: str = Field(description="A ZIP file, made while it is downloaded. The link is signed and expires.")
    files: int


class AttemptView(BaseModel):
    """One attempt to deliver a callback."""

    number: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    seconds: float = Field(description="How long it took.")
    delivered: bool
    detail: str | None = Field(None, description="Why not.")

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        return cls(
            number=attempt.number,
            at=rfc3339(attempt.at_ms),
            seconds=attempt.took_ms / 1000,
            delivered=attempt.error is None,
            detail=attempt.error,
        )


class SecretView(BaseModel):
    """What signs the account's callbacks."""

    own: bool = Field(description="Whether the account has a secret of its own; otherwise the service's key signs, if it has one.")
    secret: str | None = Field(None, description="The secret, only in the response that makes it.")
    created_at: str | None = None
    previous_until: str | None = Field(None, description="Until when the secret before it signs too.")

    @classmethod
    def of(cls, info: SecretInfo | None, secret: str | None) -> Self:
        previous_ms = info.previous_until_ms if info else None
        return cls(
            own=info is not None,
            secret=secret,
            created_at=rfc3339(info.created_ms) if info else None,
            previous_until=None if previous_ms is None else rfc3339(previous_ms),
        )


class DeliveryView(BaseModel):
    """How far the delivery of a job's callback is."""

    callback_url: str
    outcome: Literal["pending", "delivered", "given_up"]
    attempts: int = Field(description="So far.")
    last_attempt_at: str | None = Field(None, json_schema_extra={"format": "date-time"})
    next_attempt_at: str | None = Field(None, description="Null also while an attempt is in progress.")
    log: list[AttemptView] = Field([], description="The last 50 attempts, oldest first.")

    @classmethod
    def of(cls, callback_url: str, delivery: Delivery) -> Self:
        return cls.model_validate(
            {
                "callback_url": callback_url,
                "outcome": delivery.outcome,
                "attempts": delivery.attempts,
                "last_attempt_at": rfc3339(delivery.at_ms) if delivery.attempts else None,
                "next_attempt_at": None if delivery.due_ms is None else rfc3339(delivery.due_ms),
                "log": [AttemptView.of(attempt) for attempt in delivery.log],
            }
        )


class ReceiverView(BaseModel):
    """Whether a test event was delivered."""

    event_id: str = Field(description="The event's `webhook-id`.")
    delivered: bool
    detail: str | None = Field(None, description="Why not.")


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    data: list[JobView]
    next_cursor: str | None = Field(None, description="Cursor of the page with older jobs; null on the last page.")


class AccountView(BaseModel):
    """An account and its credits."""

    name: str
    paid_credits: int
    one_time_credits: int
    total_credits: int
    held_credits: int = Field(description="Reserved for unfinished jobs.")
    spent_credits: int
    rights: Rights | None = Field(None, description="Default for jobs that do not declare any.")
    digital_source_type: str | None = Field(None, description="Declared for results whose source has no digital source type.")

    @classmethod
    def of(cls, account: Account, balance: Balance, spent_credits: int) -> Self:
        return cls(
            name=account.name,
            paid_credits=balance.paid_credits,
            one_time_credits=balance.one_time_credits,
            total_credits=balance.total_credits,
            held_credits=balance.held_credits,
            spent_credits=spent_credits,
            rights=account.rights,
            digital_source_type=account.digital_source_type,
        )


def result_link(job: Job, result: Result, links: Links, link_seconds: float) -> str:
    """The link to the job's clean file, under whose name browsers save it."""
    return link_of(job, result.clean_key, links, link_seconds, job.result_name)


def job_view(job: Job, context: AppContext) -> JobView:
    """The job as clients see it now. May query the database, so call it in a worker thread."""
    eta_seconds = None if job.ended else context.job_service.forecast().remaining_seconds(job, now_ms())
    return JobView.of(job, context.links, context.options.result_link_seconds, eta_seconds)
