"""The job report in the OpenAPI document; `service/pipeline/report/report.py` writes it."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.errors import UnknownJob
from service.version import VERSION


class ReportMissing(UnknownJob):
    """The job has no report: it is too old, or its files have been deleted."""


class PathStepView(BaseModel):
    """Where a mark that moves is, for a few frames."""

    first_frame: int
    last_frame: int
    first_seconds: float
    last_seconds: float
    box: list[int] = Field(min_length=4, max_length=4)
    matte: int | None = None


class PlacementView(BaseModel):
    """A mark at one place, or along its path, for an interval of frames.

    An animated mark has several, each for the frames that show it; one that moves has one, in a box around its path.
    """

    id: str = Field("", description="Names the mark among those of its file; `reject` of a later job takes it.")
    kind: Literal["overlay", "scene_text", "user"]
    first_frame: int
    last_frame: int
    first_seconds: float
    last_seconds: float = Field(description="Start of the last frame.")
    box: list[int] = Field(min_length=4, max_length=4, description="Left, top, right, bottom in pixels of the picture as it is shown.")
    mask_pixels: int
    opacity: float = Field(ge=0, le=1)
    colour: list[float] = Field(min_length=3, max_length=3, description="Red, green, blue, 0 to 1.")
    confidence: float
    matte: int | None = Field(
        None, description="Index into `mattes`, from 0; null if they would be too many or too large, and of a mark that moves."
    )
    path: list[PathStepView] = Field(default=[], description="The places of a mark that moves, in order; empty if it stays.")


class VideoView(BaseModel):
    """The source; an image has one frame.

    Width, height and boxes are of the picture as it is shown: the stored one, mirrored left to right if `mirrored`, then rotated
    counterclockwise by `rotation_degrees`.
    """

    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    mirrored: bool = False
    frames: int
    frames_per_second: float
    duration_seconds: float


class StepView(BaseModel):
    """A step of the run."""

    name: str
    seconds: float
    frames: int
    frames_per_second: float


class ProvenanceView(BaseModel):
    """The output's Content Credentials, those of the source, and the digital source type."""

    signed_by: str | None = None
    reason: str | None = Field(None, description="Why the output is not signed.")
    source_state: str | None = None
    source_problems: list[str]
    digital_source_type: str | None = None
    told_by: Literal["credentials", "metadata", "account"] | None = None


class NotKeptView(BaseModel):
    """Something that the source carries and the result does not."""

    what: str
    reason: str


class FileReportView(BaseModel):
    """What was done to the file."""

    model_config = ConfigDict(extra="allow")

    input: str
    output: str
    mark_found: bool
    video: VideoView
    placements: list[PlacementView]
    mattes: list[str] = Field(description="Grey PNG pictures as `data:` URLs: opacity of the mark, 255 = opaque.")
    copied_frames: int = Field(0, description="Frames of the result that are the source's own, bit by bit, not encoded again.")
    seconds: float
    frames_per_second: float
    steps: list[StepView]
    versions: dict[str, str]
    provenance: ProvenanceView | None = None
    not_kept: list[NotKeptView] = Field([], description="What the source carries and the result does not, such as data tracks.")


class ReportView(BaseModel):
    """A report; a job's report has one file."""

    files: list[FileReportView]


PLACEMENT: Final[dict[str, Any]] = {
    "id": "3f9a1c07",
    "kind": "overlay",
    "first_frame": 0,
    "last_frame": 47,
    "first_seconds": 0.0,
    "last_seconds": 1.958,
    "box": [1000, 40, 1216, 112],
    "mask_pixels": 5120,
    "opacity": 0.62,
    "colour": [1.0, 1.0, 1.0],
    "confidence": 0.97,
    "matte": 0,
    "path": [],
}
FILE: Final[dict[str, Any]] = {
    "input": "source.mp4",
    "output": "clean.mp4",
    "mark_found": True,
    "video": {
        "container": "mp4",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width": 1280,
        "height": 720,
        "rotation_degrees": 0,
        "mirrored": False,
        "frames": 240,
        "frames_per_second": 24.0,
        "duration_seconds": 10.0,
    },
    "placements": [PLACEMENT],
    "mattes": ["data:image/png;base64,iVBORw0KGgo="],
    "copied_frames": 150,
    "seconds": 4.2,
    "frames_per_second": 57.14,
    "steps": [{"name": "remove", "seconds": 2.5, "frames": 240, "frames_per_second": 96.0}],
    "versions": {"cleanplate": VERSION},
    "provenance": {
        "signed_by": "Cleanplate",
        "reason": None,
        "source_state": None,
        "source_problems": [],
        "digital_source_type": None,
        "told_by": None,
    },
    "not_kept": [{"what": "data track (bin_data)", "reason": "no container takes over such a track"}],
}
EXAMPLE: Final = {"files": [FILE]}
