"""The marks of a file as they were measured once, in a file: a later run removes them without looking again."""

import json
import zlib
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self
from zipfile import BadZipFile

import numpy as np

from service.errors import EncodeFailed, RequestError
from service.pipeline.placement import Box, Placement
from service.pipeline.report.report import Report
from service.pipeline.video import Timeline, VideoInfo

ARRAYS: Final = ("mask", "opacity", "colour", "opacity_sigma")
VALUES: Final = tuple(field.name for field in fields(Placement) if field.name not in (*ARRAYS, "box"))
FORMAT: Final = 1


@dataclass(frozen=True)
class Detection:
    """All marks of a file, the presentation times of its frames, and the size of its picture, width and height in pixels."""

    marks: tuple[Placement, ...]
    timeline: Timeline
    size: tuple[int, int]

    @classmethod
    def of(cls, report: Report) -> Self:
        """What a run found."""
        return cls(report.placements, report.timeline, (report.info.width, report.info.height))

    def save(self, path: Path) -> None:
        """Write it, exact to the bit, compressed. Raises EncodeFailed."""
        header = {
            "format": FORMAT,
            "size": self.size,
            "time_base": str(self.timeline.time_base),
            "marks": [{name: getattr(mark, name) for name in VALUES} | {"box": _corners(mark.box)} for mark in self.marks],
        }
        arrays: dict[str, Any] = {f"{name}_{number}": getattr(mark, name) for number, mark in enumerate(self.marks) for name in ARRAYS}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        try:
            np.savez_compressed(path, pts=np.array(self.timeline.pts, np.int64), **arrays)
        except OSError as error:
            raise EncodeFailed(f"the detection cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises RequestError for anything else."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes())
                if header["format"] != FORMAT:
                    raise RequestError("the detection was made by another version; detect the marks again")
                marks = tuple(_mark(number, values, stored) for number, values in enumerate(header["marks"]))
                timeline = Timeline(stored["pts"].tolist(), Fraction(header["time_base"]))
                return cls(marks, timeline, tuple(header["size"]))
        except (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError, zlib.error) as error:
            raise RequestError("the detection cannot be read") from error

    def check(self, info: VideoInfo) -> None:
        """Raise RequestError if the picture has another size than the one that was looked at."""
        if self.size != (info.width, info.height):
            raise RequestError(f"the detection is of a picture of {self.size[0]}x{self.size[1]}, not {info.width}x{info.height}")


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right, box.bottom


def _mark(number: int, values: dict[str, Any], stored: Any) -> Placement:
    arrays = {name: stored[f"{name}_{number}"] for name in ARRAYS}
    sigma = arrays["opacity_sigma"]
    arrays["opacity_sigma"] = sigma if sigma.ndim else float(sigma)
    return Placement(**values | arrays | {"box": Box(*values["box"])})
