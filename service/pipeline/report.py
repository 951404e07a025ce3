"""What a run did: placements, figures of each step, versions; as a value and as JSON."""

import json
from dataclasses import dataclass

import numpy as np

from service.errors import CleanplateError
from service.pipeline.placement import Placement
from service.pipeline.video import VideoInfo


@dataclass(frozen=True)
class StepFigures:
    """One step of the run and how long it took."""

    name: str
    seconds: float
    frames: int

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Report:
    """The result of one run. `frames`: pictures of the source; no placements: no mark was found and the streams were copied."""

    info: VideoInfo
    placements: tuple[Placement, ...]
    frames: int
    steps: tuple[StepFigures, ...]
    versions: dict[str, str]

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
    """The report file: one entry per input, in the order given."""
    return json.dumps({"files": [_file(result) for result in results]}, indent=2) + "\n"


def _file(result: FileResult) -> dict[str, object]:
    if isinstance(result.outcome, CleanplateError):
        return {"input": result.source_name, "error": type(result.outcome).__name__, "message": str(result.outcome)}
    return {"input": result.source_name, "output": result.target_name} | _report(result.outcome)


def _report(report: Report) -> dict[str, object]:
    return {
        "mark_found": report.mark_found,
        "video": _video(report.info, report.frames),
        "placements": [_placement(placement) for placement in report.placements],
        "seconds": round(report.seconds, 3),
        "frames_per_second": round(report.frames_per_second, 2),
        "steps": [_step(step) for step in report.steps],
        "versions": report.versions,
    }


def _video(info: VideoInfo, frames: int) -> dict[str, object]:
    return {
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format.name,
        "width": info.width,
        "height": info.height,
        "rotation_degrees": info.rotation_degrees,
        "frames": frames,
        "frames_per_second": round(float(info.fps), 3),
        "duration_seconds": round(info.duration_seconds, 3),
    }


def _placement(placement: Placement) -> dict[str, object]:
    """Opacity and colour are means over the pixels of the mask; the colour weighs by opacity, as a thin edge hardly shows its own."""
    inside = placement.mask > 0.5
    opacity = placement.opacity[inside]
    weight = opacity if opacity.sum() > 0 else np.ones_like(opacity)
    colour = [np.average(channel[inside], weights=weight) if inside.any() else 0.0 for channel in placement.colour]
    return {
        "kind": placement.kind,
        "first_frame": placement.first_frame,
        "last_frame": placement.last_frame,
        "box": [placement.box.left, placement.box.top, placement.box.right, placement.box.bottom],
        "mask_pixels": int(inside.sum()),
        "opacity": round(float(opacity.mean()), 3) if inside.any() else 0.0,
        "colour": [round(float(value), 3) for value in colour],
        "confidence": round(placement.confidence, 3),
    }


def _step(step: StepFigures) -> dict[str, object]:
    return {
        "name": step.name,
        "seconds": round(step.seconds, 3),
        "frames": step.frames,
        "frames_per_second": round(step.frames_per_second, 2),
    }
