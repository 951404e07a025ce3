"""What clients of the native API send."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.errors import FetchRefused, RequestError
from service.jobs.job import Kind, Media, Rights
from service.jobs.names import MAX_CHARACTERS
from service.outside.guard import address_of
from service.timed_box import Corners, TimedBox

MAX_ADDRESS_CHARACTERS = 2048
MAX_BOXES = 100
MAX_CORNER_PIXELS = 65_536
MAX_SECONDS = 86_400
MAX_MARKS = 1000
PREVIEW = {"seconds": 2, "first_seconds": 0.25}  # an example
MAX_PAIRS = 16
MAX_ARCHIVED = 100  # so that a link with all their ids stays below the 8 KiB that proxies take
MAX_FRAMES = 10_000_000


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
Name = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f/\\]+$")]
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

    @classmethod
    def of(cls, box: TimedBox) -> "Box":
        """The inverse of `to_timed_box`, for any box: what is stored may be beyond the limits of what this API accepts."""
        end = Place.model_construct(**_named(box.end)) if box.end else None
        return cls.model_construct(**_named(box.corners), first_seconds=box.first_seconds, last_seconds=box.last_seconds, end=end)

    def to_timed_box(self) -> TimedBox:
        end = (self.end.x1, self.end.y1, self.end.x2, self.end.y2) if self.end else None
        return TimedBox(self.x1, self.y1, self.x2, self.y2, self.first_seconds, self.last_seconds, end)


def _named(corners: Corners) -> dict[str, Any]:
    return dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))


class Preview(Wire):
    """A part of a video: `seconds` of it, from `first_seconds` on."""

    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
    first_seconds: Second = 0.0


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
    preview: Preview | None = Field(
        None,
        description="Clean only this part of a video, as a file of its own that begins at zero. Boxes keep the times of the whole video.",
        examples=[PREVIEW],
    )
    remove_audio: bool = False
    deinterlace: bool = Field(False, description="Of an interlaced video: let each picture show one moment. Others stay as they are.")
    callback_url: Address | None = Field(None, description="URL to which the job's outcome is POSTed, signed.")
    priority: int = Field(100, ge=1, le=1000, description="Lower numbers run first, among your own jobs.")
    rights: Rights | None = Field(
        None, description="Whether you own the picture or are licensed to edit it. By default your account's setting."
    )
    client_reference: Reference | None = Field(None, description="Your own name of the job. Need not be unique; finds it in the list.")
    metadata: dict[PairName, PairValue] = Field(default={}, max_length=MAX_PAIRS, description="What else you want to be told of the job.")
    name: Name | None = Field(
        None,
        description="What the file is called, and its result after it. By default its own name.",
        examples=["holiday.mp4"],
    )


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


class EstimateBody(Wire):
    """A job to be estimated."""

    kind: Kind = "clean"
    media: Media = "video"
    frames: int | None = Field(None, ge=1, le=MAX_FRAMES, description="Pictures of the video. By default as many as the last jobs had.")
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)] | None = Field(
        None, description="Length of the video, for a price that depends on it; without it the price is the least."
    )
    width: int | None = Field(None, ge=1, le=MAX_CORNER_PIXELS, description="Of its picture, with `height`.")
    height: int | None = Field(None, ge=1, le=MAX_CORNER_PIXELS)


class RenameBody(Wire):
    """Another name for a job's file."""

    name: Name


class ArchiveBody(Wire):
    """Which jobs' results to pack, in this order."""

    jobs: list[JobId] = Field(min_length=1, max_length=MAX_ARCHIVED)


class ReceiverBody(Wire):
    """A receiver to be tested."""

    callback_url: Address
