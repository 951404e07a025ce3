"""The wire models of the native API: what clients send, and what they receive."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.api.facade import link_of
from service.api.problems import Problem
from service.api.times import rfc3339
from service.errors import FetchRefused, RequestError
from service.jobs.accounts import Account
from service.jobs.callbacks import Delivery
from service.jobs.credits import Balance
from service.jobs.job import Job, Kind, Media, Result, Rights, State
from service.outside.guard import address_of
from service.outside.links import Links
from service.timed_box import TimedBox

MAX_ADDRESS_CHARACTERS = 2048
MAX_BOXES = 100
MAX_CORNER_PIXELS = 65_536
MAX_SECONDS = 86_400
MAX_MARKS = 1000
MAX_PAIRS = 16
MAX_FRAMES = 10_000_000
UNMARKED = (
    "No mark was found, so the file is as it was. If you see one, send it again with a box around it in `boxes`, or a mask; "
    "for text on things in the scene, add scene_text to `classes`."
)


def _web_address(url: str) -> str:
    try:
        address_of(url)
    except FetchRefused as error:
        raise ValueError(str(error)) from None
    return url


Address = Annotated[
    str, Field(min_length=1, max_length=MAX_ADDRESS_CHARACTERS, json_schema_extra={"format": "uri"}), AfterValidator(_web_address)
]
Corner = Annotated[float, Field(ge=0, le=MAX_CORNER_PIXELS, allow_inf_nan=False)]
MarkId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
Reference = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
PairName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
PairValue = Annotated[str, Field(pattern=r"^[^\x00]{0,500}$")]
Second = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


class Wire(BaseModel):
    """Base of what clients send: exactly these names and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Place(Wire):
    """Corners in the picture as it is shown. If all are <= 1 they are fractions of it, otherwise pixels."""

    x1: Corner
    y1: Corner
    x2: Corner
    y2: Corner


class Box(Place):
    """A box of the picture as it is shown. Corners that are all <= 1 are fractions of it, otherwise pixels.

    With `end` it moves evenly from its own corners at `first_seconds` to those of `end` at `last_seconds`. Several boxes, each beginning
    where the last one ends, make a path.
    """

    first_seconds: Second | None = None
    last_seconds: Second | None = None
    end: Place | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        try:
            self.to_timed_box()
        except RequestError as error:
            raise ValueError(str(error)) from None
        return self

    def to_timed_box(self) -> TimedBox:
        end = (self.end.x1, self.end.y1, self.end.x2, self.end.y2) if self.end else None
        return TimedBox(self.x1, self.y1, self.x2, self.y2, self.first_seconds, self.last_seconds, end)


class Options(Wire):
    """All options of a job except its source."""

    kind: Kind = Field("clean", description="detect: find the marks and remove none; the result is a JSON document.")
    media: Media | None = Field(
        None, description="By default taken from the source's name or first bytes; a video if they are inconclusive."
    )
    mask_url: Address | None = Field(None, description="URL of an image or video mask: white = remove.")
    boxes: list[Box] = Field(default=[], max_length=MAX_BOXES, description="Remove what is in these boxes.")
    keep: list[Box] = Field(default=[], max_length=MAX_BOXES, description="Change nothing in these boxes, whatever is found.")
    reject: list[MarkId] = Field(
        default=[],
        max_length=MAX_MARKS,
        description="Leave the marks that have these ids in the report of an earlier job with the same file.",
    )
    classes: list[Literal["overlay", "scene_text"]] = Field(default=["overlay"], min_length=1, max_length=2, description="What to detect.")
    detect: bool | None = Field(None, description="Detect marks. By default true, unless there are boxes or a mask.")
    remove_audio: bool = False
    callback_url: Address | None = Field(None, description="URL to which the job's outcome is POSTed, signed.")
    priority: int = Field(100, ge=1, le=1000, description="Lower numbers run first, among your own jobs.")
    rights: Rights | None = Field(
        None, description="Whether you own the picture or are licensed to edit it. By default your account's setting."
    )
    client_reference: Reference | None = Field(None, description="Your own name of the job. Need not be unique; finds it in the list.")
    metadata: dict[PairName, PairValue] = Field(default={}, max_length=MAX_PAIRS, description="What else you want to be told of the job.")


class NewJobBody(Options):
    """A job from a URL, or from a detection."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["source_url"]}, {"required": ["detection"]}]})

    source_url: Address | None = Field(
        None, description="URL of a video or an image, a share link, or a link to a file of yours in this service. Not with `detection`."
    )
    detection: JobId | None = Field(
        None, description="Id of a job of the kind `detect`: its marks are removed from its source, which is not looked at again."
    )
    marks: list[MarkId] = Field(default=[], max_length=MAX_MARKS, description="Which marks of the detection to remove. By default all.")


class UploadBody(Wire):
    """A job from an uploaded file. If only the mask is uploaded, the options contain the `source_url`."""

    # Only for the OpenAPI document; the form itself is read as a stream.

    model_config = ConfigDict(json_schema_extra={"required": []})  # explicit, as readers of a form schema expect it

    file: str | None = Field(None, json_schema_extra={"format": "binary"})
    mask: str | None = Field(None, json_schema_extra={"format": "binary"})
    options: str = Field(
        "{}", json_schema_extra={"contentMediaType": "application/json"}, description="The other fields of a job, as a JSON object."
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
    source_url: str
    thumbnail_url: str
    report_page_url: str | None = Field(None, description="A page that shows what was done; null if there is none.")
    content_type: str
    bytes: int
    frames: int
    mark_found: bool
    advice: str | None = Field(None, description="What to do if you see a mark although none was found; null if one was.")
    seconds: float

    @classmethod
    def of(cls, job: Job, result: Result, links: Links, link_seconds: float) -> Self:
        return cls(
            url=link_of(job, result.clean_key, links, link_seconds),
            source_url=link_of(job, result.source_key, links, link_seconds),
            thumbnail_url=link_of(job, result.thumbnail_key, links, link_seconds),
            report_page_url=link_of(job, result.report_page_key, links, link_seconds) if result.report_page_key else None,
            content_type=result.content_type,
            bytes=result.bytes,
            frames=result.frames,
            mark_found=result.mark_found,
            advice=None if result.mark_found else UNMARKED,
            seconds=result.seconds,
        )


class JobView(BaseModel):
    """A job. All fields are always present."""

    # Nullable fields have defaults because FastAPI's document omits nulls in examples.

    id: str
    state: State
    progress_percent: int = Field(ge=0, le=100)
    kind: Kind = "clean"
    media: Media
    source_url: str | None = Field(None, description="Null for an uploaded file, and for the file of a detection.")
    callback_url: str | None = None
    credits_used: int = Field(description="0 until it succeeds, and unless the service says otherwise 0 if no mark was found.")
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
    files_deleted_at: str | None = Field(
        None, description="When its files were deleted, on request or because they had expired: the links of `result` lead nowhere since."
    )

    @classmethod
    def of(cls, job: Job, links: Links, link_seconds: float, eta_seconds: float | None = None) -> Self:
        return cls(
            id=job.id,
            state=job.state,
            progress_percent=job.progress_percent,
            kind=job.spec.kind,
            media=job.spec.media,
            source_url=job.spec.source_url,
            callback_url=job.callback_url,
            credits_used=job.credits_used,
            rights=job.rights,
            client_reference=job.client_reference,
            metadata=dict(job.metadata),
            created_at=rfc3339(job.created_ms),
            started_at=None if job.started_ms is None else rfc3339(job.started_ms),
            finished_at=None if job.finished_ms is None else rfc3339(job.finished_ms),
            eta_seconds=None if eta_seconds is None else round(eta_seconds, 1),
            error=None if job.failure is None else ProblemView.model_validate(Problem.of_failure(job.failure).body),
            result=None if job.result is None else ResultView.of(job, job.result, links, link_seconds),
            files_deleted_at=None if job.cleared_ms is None else rfc3339(job.cleared_ms),
        )


class EstimateBody(Wire):
    """A job to be estimated."""

    kind: Kind = "clean"
    media: Media = "video"
    frames: int | None = Field(None, ge=1, le=MAX_FRAMES, description="Pictures of the video. By default as many as the last jobs had.")


class EstimateView(BaseModel):
    """What a job would cost and take, by the last jobs of this service."""

    credits: int = Field(description="Its price; a job that fails, and one that finds no mark unless the service says otherwise, costs 0.")
    seconds: float | None = Field(None, description="Once a worker has it; null if there was no such job yet.")
    wait_seconds: float | None = Field(None, description="Until a worker has it; null while there is no worker.")
    measured_jobs: int = Field(description="How many jobs of the kind and media this is taken from.")


class DeliveryView(BaseModel):
    """How far the delivery of a job's callback is."""

    callback_url: str
    outcome: Literal["pending", "delivered", "given_up"]
    attempts: int = Field(description="So far.")
    last_attempt_at: str | None = Field(None, json_schema_extra={"format": "date-time"})
    next_attempt_at: str | None = Field(None, description="Null also while an attempt is in progress.")

    @classmethod
    def of(cls, callback_url: str, delivery: Delivery) -> Self:
        return cls.model_validate(
            {
                "callback_url": callback_url,
                "outcome": delivery.outcome,
                "attempts": delivery.attempts,
                "last_attempt_at": rfc3339(delivery.at_ms) if delivery.attempts else None,
                "next_attempt_at": None if delivery.due_ms is None else rfc3339(delivery.due_ms),
            }
        )


class TestBody(Wire):
    """A receiver to be tested."""

    callback_url: Address


class TestView(BaseModel):
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
