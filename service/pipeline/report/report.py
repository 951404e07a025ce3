"""What a run did: placements, figures of each step, versions; as a value and as JSON."""

import base64
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np
from PIL import Image

from service.errors import CleanplateError
from service.pipeline.locate.candidates import Timeline
from service.pipeline.picture.orientation import displayed_box, displayed_picture, displayed_size, matte_picture
from service.pipeline.placement import Placement
from service.pipeline.provenance.provenance import Provenance
from service.pipeline.report.contact_sheet import Picture, Sample
from service.pipeline.video import VideoInfo

MAX_MATTES: Final = 200
MATTE_BYTES: Final = 2 * 2**20  # of all mattes of a file, as they are written
QUICK: Final = 1  # of zlib's levels: for mattes the slow ones save a tenth


@dataclass(frozen=True)
class StepMetrics:
    """One step of the run and how long it took."""

    name: str
    seconds: float
    frames: int

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Report:
    """The result of one run. No placements: no mark was found and the streams were copied. `samples`: a few frames to look at."""

    info: VideoInfo
    placements: tuple[Placement, ...]
    timeline: Timeline
    steps: tuple[StepMetrics, ...]
    versions: dict[str, str]
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    provenance: Provenance | None = None

    @property
    def frames(self) -> int:
        """Pictures of the source."""
        return self.timeline.frames

    @property
    def mark_found(self) -> bool:
        return bool(self.placements)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    @property
    def frames_per_second(self) -> float:
        """End to end: pictures of the source by the time of all steps."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class FileResult:
    """One input of a command and its outcome: a report, or the error that ended it."""

    source_name: str
    target_name: str
    outcome: Report | CleanplateError

    @property
    def exit_code(self) -> int:
        return self.outcome.exit_code if isinstance(self.outcome, CleanplateError) else 0


def to_json(results: tuple[FileResult, ...]) -> str:
    """The report file: one entry per input, in the order given.

    Sizes and boxes, left, top, right, bottom, are in pixels of the picture as it is shown: a video with a rotation is turned
    by it, and `rotation_degrees` tells by how much. (An image's EXIF orientation is not applied.) Seconds count from the first frame;
    `last_seconds` is when the last frame begins to be shown. `matte_picture` numbers a picture in `mattes`, a grey PNG of the box's size:
    how much the mark hides. It is null where the mattes would become too many or too large.
    """
    return json.dumps({"files": [_file(result) for result in results]}, indent=2) + "\n"


def _file(result: FileResult) -> dict[str, object]:
    if isinstance(result.outcome, CleanplateError):
        return {"input": result.source_name, "error": type(result.outcome).__name__, "message": str(result.outcome)}
    return {"input": result.source_name, "output": result.target_name} | _report(result.outcome)


def _report(report: Report) -> dict[str, object]:
    mattes = _Mattes(report.info)
    return {
        "mark_found": report.mark_found,
        "video": _video(report.info, report.frames),
        "placements": [_placement(placement, report) | {"matte": mattes.number_of(placement)} for placement in report.placements],
        "mattes": mattes.addresses,
        "seconds": round(report.seconds, 3),
        "frames_per_second": round(report.frames_per_second, 2),
        "steps": [_step(step) for step in report.steps],
        "provenance": asdict(report.provenance) if report.provenance else None,
        "versions": report.versions,
    }


def _video(info: VideoInfo, frames: int) -> dict[str, object]:
    width, height = displayed_size(info)
    return {
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format.name,
        "width": width,
        "height": height,
        "rotation_degrees": info.rotation_degrees,
        "frames": frames,
        "frames_per_second": round(float(info.fps), 3),
        "duration_seconds": round(info.duration_seconds, 3),
    }


def _placement(placement: Placement, report: Report) -> dict[str, object]:
    box, look = displayed_box(placement.box, report.info), MatteView.of(placement)
    return {
        "kind": placement.kind,
        "first_frame": placement.first_frame,
        "last_frame": placement.last_frame,
        "first_seconds": round(report.timeline.seconds(placement.first_frame), 3),
        "last_seconds": round(report.timeline.seconds(placement.last_frame), 3),
        "box": [box.left, box.top, box.right, box.bottom],
        "mask_pixels": look.pixels,
        "opacity": round(look.opacity, 3),
        "colour": [round(value, 3) for value in look.colour],
        "confidence": round(placement.confidence, 3),
    }


@dataclass(frozen=True)
class MatteView:
    """Means over the pixels of a placement's mask, in [0, 1]. The colour weighs by opacity, as a thin edge hardly shows its own."""

    pixels: int
    opacity: float
    colour: tuple[float, float, float]  # RGB

    @classmethod
    def of(cls, placement: Placement) -> "MatteView":
        inside = placement.mask > 0.5
        if not inside.any():
            return cls(0, 0.0, (0.0, 0.0, 0.0))
        opacity = placement.opacity[inside]
        weight = opacity if opacity.sum() > 0 else np.ones_like(opacity)
        red, green, blue = (float(np.average(channel[inside], weights=weight)) for channel in placement.colour)
        return cls(int(inside.sum()), float(opacity.mean()), (red, green, blue))


class _Mattes:
    """The mattes of a run, each once, as far as there is room for them."""

    def __init__(self, info: VideoInfo) -> None:
        self.addresses: list[str] = []
        self._info = info
        self._numbers: dict[tuple[tuple[int, ...], bytes], int | None] = {}
        self._free_bytes = MATTE_BYTES

    def number_of(self, placement: Placement) -> int | None:
        """Its place among the addresses; None if there is no room for it."""
        picture = displayed_picture(matte_picture(placement), self._info)
        look = (picture.shape, hashlib.sha256(picture.tobytes()).digest())
        if look not in self._numbers and len(self._numbers) < MAX_MATTES:
            self._numbers[look] = self._kept(png_address(picture))
        return self._numbers.get(look)

    def _kept(self, address: str) -> int | None:
        if len(address) > self._free_bytes:
            return None
        self._free_bytes -= len(address)
        self.addresses.append(address)
        return len(self.addresses) - 1


def png_address(picture: Picture) -> str:
    """A grey picture (h, w) uint8 as a `data:` address."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG", compress_level=QUICK)
    return data_address("image/png", data.getvalue())


def data_address(media_type: str, data: bytes) -> str:
    """The data itself as an address."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _step(step: StepMetrics) -> dict[str, object]:
    return {
        "name": step.name,
        "seconds": round(step.seconds, 3),
        "frames": step.frames,
        "frames_per_second": round(step.frames_per_second, 2),
    }
