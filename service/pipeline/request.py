"""What is asked of one run: which marks to remove, found by the network or pointed at by a person."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.pipeline.placement import Box, Kind

CLASSES: Final[tuple[Kind, ...]] = ("overlay", "scene_text")

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_BOX = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}(?:@{_NUMBER}?-{_NUMBER}?)?")


@dataclass(frozen=True)
class TimedBox:
    """A box pointed at by a person, for some seconds or for all.

    Values that are all <= 1 are fractions of the picture, else pixels; of the picture as it is shown, after rotation.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    first_seconds: float | None = None
    last_seconds: float | None = None

    def __post_init__(self) -> None:
        corners = (self.x1, self.y1, self.x2, self.y2)
        if not all(math.isfinite(value) and value >= 0 for value in corners) or self.x2 <= self.x1 or self.y2 <= self.y1:
            raise RequestError(f"box {self} is empty or negative: its corners are left,top,right,bottom")
        if self.first_seconds is not None and self.last_seconds is not None and self.last_seconds < self.first_seconds:
            raise RequestError(f"box {self} ends before it begins")

    def __str__(self) -> str:
        corners = ",".join(f"{value:g}" for value in (self.x1, self.y1, self.x2, self.y2))
        if self.first_seconds is None and self.last_seconds is None:
            return corners
        first, last = ("" if value is None else f"{value:g}" for value in (self.first_seconds, self.last_seconds))
        return f"{corners}@{first}-{last}"

    def covers(self, seconds: float) -> bool:
        """Whether the box holds at this time; both ends are included."""
        return (self.first_seconds is None or self.first_seconds <= seconds) and (self.last_seconds is None or seconds <= self.last_seconds)

    def pixels(self, width: int, height: int, rotation_degrees: int = 0) -> Box:
        """The box in pixels of the coded picture of `width` x `height`; what reaches over its edge is cut off.

        rotation_degrees: as in `VideoInfo`; the person saw the picture turned counterclockwise by it.
        """
        turned = rotation_degrees % 180 != 0
        shown_width, shown_height = (height, width) if turned else (width, height)
        box = self._shown(shown_width, shown_height)
        return _unturn(box, shown_width, shown_height, -rotation_degrees % 360)

    def _shown(self, width: int, height: int) -> Box:
        fractions = max(self.x1, self.y1, self.x2, self.y2) <= 1.0
        scale_x, scale_y = (width, height) if fractions else (1, 1)
        left, top = math.floor(self.x1 * scale_x), math.floor(self.y1 * scale_y)
        right, bottom = math.ceil(self.x2 * scale_x), math.ceil(self.y2 * scale_y)
        if left >= width or top >= height:
            raise RequestError(f"box {self} lies outside the picture of {width}x{height} pixels")
        return Box(left, top, min(right, width), min(bottom, height))


def _unturn(box: Box, width: int, height: int, clockwise_degrees: int) -> Box:
    """A box of the shown picture (width x height), in the coded picture that was turned clockwise to be shown."""
    match clockwise_degrees:
        case 90:
            return Box(box.top, width - box.right, box.bottom, width - box.left)
        case 180:
            return Box(width - box.right, height - box.bottom, width - box.left, height - box.top)
        case 270:
            return Box(height - box.bottom, box.left, height - box.top, box.right)
        case _:
            return box


@dataclass(frozen=True)
class Request:
    """Which marks to remove. `detect`: look for marks of `classes`; boxes and the mask (white = remove) come on top."""

    boxes: tuple[TimedBox, ...] = ()
    mask: Path | None = None
    classes: frozenset[Kind] = frozenset({"overlay"})
    detect: bool = True

    def __post_init__(self) -> None:
        if self.detect and not self.classes:
            raise RequestError(f"no class to look for; choose from {', '.join(CLASSES)}")


def parse_box(text: str) -> TimedBox:
    """`x1,y1,x2,y2` with an optional `@t1-t2` in seconds, either of which may be left out."""
    match = _BOX.fullmatch(text.replace(" ", ""))
    if match is None:
        raise RequestError(f"box '{text}' is not x1,y1,x2,y2 or x1,y1,x2,y2@t1-t2")
    x1, y1, x2, y2 = map(float, match.groups()[:4])
    first, last = (None if seconds is None else float(seconds) for seconds in match.groups()[4:])
    return TimedBox(x1, y1, x2, y2, first, last)


def parse_classes(text: str) -> frozenset[Kind]:
    """`overlay,scene_text` or one of them."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise RequestError(f"unknown class '{','.join(unknown) or text}'; choose from {', '.join(CLASSES)}")
    return frozenset(kind for kind in CLASSES if kind in names)
