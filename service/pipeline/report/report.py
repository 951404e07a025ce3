"""The result of a run: placements, metrics of each step, versions; as a value and as JSON."""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from typing import Final

import numpy as np
from PIL import Image

from models.arrays import Bytes
from service.errors import CleanplateError
from service.pipeline.io.not_kept import CREDENTIALS
from service.pipeline.picture.grey import matte_picture
from service.pipeline.placement import Box, Placement, hull, marks_of
from service.pipeline.provenance.provenance import Provenance
from service.pipeline.report.contact_sheet import Sample
from service.pipeline.video import NotKept, Timeline, VideoInfo

MAX_MATTES: Final = 200
MAX_MATTE_BYTES: Final = 2 * 2**20  # of all mattes of a file, as base64
PNG_COMPRESSION: Final = 1  # zlib's fastest level; slower ones save a tenth on mattes


@dataclass(frozen=True)
class StepMetrics:
    """One step of the run, its duration and its number of frames."""

    name: str
    seconds: float
    frames: int

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Report:
    """The result of one run. Without placements no mark was found, and the streams were copied.

    samples: a few frames to look at. timeline: the pts of all frames. not_kept: what the source carries and the result does not.
    copied_frames: how many frames of the result are the source's own, bit by bit, not encoded again.
    """

    info: VideoInfo
    placements: tuple[Placement, ...]
    timeline: Timeline
    steps: tuple[StepMetrics, ...]
    versions: dict[str, str]
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    provenance: Provenance | None = None
    not_kept: tuple[NotKept, ...] = ()
    copied_frames: int = 0

    def with_provenance(self, provenance: Provenance) -> "Report":
        """The report of a target that was to be signed. The source's credentials are not kept in one that is not."""
        carried = any(part.kind == CREDENTIALS for part in self.info.carries)
        lost = carried and self.mark_found and provenance.signed_by is None
        added = (NotKept(CREDENTIALS, provenance.reason or "the result is not signed"),) if lost else ()
        return replace(self, provenance=provenance, not_kept=(*self.not_kept, *added))

    @property
    def frames(self) -> int:
        """The number of frames of the source."""
        return self.timeline.frames

    @property
    def mark_found(self) -> bool:
        return bool(self.placements)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    @property
    def frames_per_second(self) -> float:
        """Frames of the source per second of all steps together."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class FileResult:
    """One input of a command and its outcome: a report, or its error."""

    source_name: str
    target_name: str
    outcome: Report | CleanplateError

    @property
    def exit_code(self) -> int:
        return self.outcome.exit_code if isinstance(self.outcome, CleanplateError) else 0


def to_json(results: tuple[FileResult, ...]) -> str:
    """The JSON report: one entry per input, in the given order.

    Sizes and boxes (left, top, right, bottom) are in pixels of the picture as it is shown: the stored one, mirrored left to right if
    `mirrored`, then rotated counterclockwise by `rotation_degrees`. Seconds count from the first frame; `last_seconds` is the start of the
    last frame. `id` names a mark among those of its file, for `reject`. `matte` is an index into `mattes`, grey PNGs of a box's size that
    show how much the mark hides. It is null where the mattes would become too many or too large. A mark that moves is one of the
    `placements`, in a box around its `path`, whose steps have the boxes and mattes; of one that stays the path is empty. `not_kept` names
    what the source carries and the result does not, each with its reason. `copied_frames` counts those that are the source's, bit by bit.
    """
    return json.dumps({"files": [_file_entry(result) for result in results]}, indent=2) + "\n"


def _file_entry(result: FileResult) -> dict[str, object]:
    if isinstance(result.outcome, CleanplateError):
        return {"input": result.source_name, "error": type(result.outcome).__name__, "message": str(result.outcome)}
    return {"input": result.source_name, "output": result.target_name} | _report_entry(result.outcome)


def _report_entry(report: Report) -> dict[str, object]:
    mattes = _Mattes()
    return {
        "mark_found": report.mark_found,
        "video": video_entry(report.info, report.frames),
        "placements": [_with_mattes(mark, report, mattes) for mark in marks_of(report.placements)],
        "mattes": mattes.addresses,
        "copied_frames": report.copied_frames,
        "seconds": round(report.seconds, 3),
        "frames_per_second": round(report.frames_per_second, 2),
        "steps": [_step_entry(step) for step in report.steps],
        "provenance": asdict(report.provenance) if report.provenance else None,
        "not_kept": [asdict(each) for each in report.not_kept],
        "versions": report.versions,
    }


def video_entry(info: VideoInfo, frames: int) -> dict[str, object]:
    """The source, as JSON values."""
    return {
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format.name,
        "width": info.width,
        "height": info.height,
        "rotation_degrees": info.rotation_degrees,
        "mirrored": info.mirrored,
        "frames": frames,
        "frames_per_second": round(float(info.fps), 3),
        "duration_seconds": round(info.duration_seconds, 3),
    }


def mark_entry(mark: Sequence[Placement], report: Report) -> dict[str, object]:
    """One mark, as JSON values: all of its placements. Pixels, opacity, colour and confidence are those of the longest one."""
    longest = max(mark, key=lambda placement: placement.last_frame - placement.first_frame)
    summary = MarkSummary.of(longest)
    first, last = min(one.first_frame for one in mark), max(one.last_frame for one in mark)
    return {
        "id": longest.id,
        "kind": longest.kind,
        **_place(first, last, reduce(hull, (one.box for one in mark)), report),
        "mask_pixels": summary.pixels,
        "opacity": round(summary.opacity, 3),
        "colour": [round(value, 3) for value in summary.colour],
        "confidence": round(longest.confidence, 3),
        "path": [_place(one.first_frame, one.last_frame, one.box, report) for one in mark if one.path],
    }


def _place(first_frame: int, last_frame: int, box: Box, report: Report) -> dict[str, object]:
    return {
        "first_frame": first_frame,
        "last_frame": last_frame,
        "first_seconds": round(report.timeline.seconds(first_frame), 3),
        "last_seconds": round(report.timeline.seconds(last_frame), 3),
        "box": [box.left, box.top, box.right, box.bottom],
    }


def _with_mattes(mark: Sequence[Placement], report: Report, mattes: "_Mattes") -> dict[str, object]:
    """The mark's entry, with the matte of each placement."""
    entry, indices = mark_entry(mark, report), [mattes.index_of(placement) for placement in mark]
    if not mark[0].path:
        return entry | {"matte": indices[0]}
    steps = [_place(one.first_frame, one.last_frame, one.box, report) | {"matte": index} for one, index in zip(mark, indices, strict=True)]
    return entry | {"matte": None, "path": steps}


@dataclass(frozen=True)
class MarkSummary:
    """Mean opacity and colour over the mask of a placement, in [0, 1]. The colour is weighted by opacity: a thin edge hardly shows it."""

    pixels: int
    opacity: float
    colour: tuple[float, float, float]  # RGB

    @classmethod
    def of(cls, placement: Placement) -> "MarkSummary":
        mask = placement.mask > 0.5
        if not mask.any():
            return cls(0, 0.0, (0.0, 0.0, 0.0))
        opacity = placement.opacity[mask]
        weight = opacity if opacity.sum() > 0 else np.ones_like(opacity)
        red, green, blue = (float(np.average(channel[mask], weights=weight)) for channel in placement.colour)
        return cls(int(mask.sum()), float(opacity.mean()), (red, green, blue))


class _Mattes:
    """The distinct mattes of a run as `data:` addresses, within MAX_MATTES and MAX_MATTE_BYTES."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._indices: dict[tuple[tuple[int, ...], bytes], int | None] = {}
        self._free_bytes = MAX_MATTE_BYTES

    def index_of(self, placement: Placement) -> int | None:
        """The index of its matte among the addresses; None if there is no room for it."""
        picture = matte_picture(placement)
        key = (picture.shape, hashlib.sha256(picture.tobytes()).digest())
        if key not in self._indices and len(self._indices) < MAX_MATTES:
            self._indices[key] = self._add(png_address(picture))
        return self._indices.get(key)

    def _add(self, address: str) -> int | None:
        if len(address) > self._free_bytes:
            return None
        self._free_bytes -= len(address)
        self.addresses.append(address)
        return len(self.addresses) - 1


def png_address(picture: Bytes) -> str:
    """A grey picture (h, w) uint8 as a `data:` address."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG", compress_level=PNG_COMPRESSION)
    return data_address("image/png", data.getvalue())


def data_address(media_type: str, data: bytes) -> str:
    """A `data:` address that contains the data."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _step_entry(step: StepMetrics) -> dict[str, object]:
    return {
        "name": step.name,
        "seconds": round(step.seconds, 3),
        "frames": step.frames,
        "frames_per_second": round(step.frames_per_second, 2),
    }
