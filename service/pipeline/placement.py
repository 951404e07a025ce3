"""One mark at one place: its box, its interval of frames, its mask, opacity and colour."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from models.arrays import Floats, Mask
from service.errors import RequestError
from service.timed_box import TimedBox

Kind = Literal["overlay", "scene_text", "user"]
ID_BYTES: Final = 4  # of a mark's id: two of a hundred marks share one once in a million files


@dataclass(frozen=True)
class Box:
    """Pixels [left, right) x [top, bottom) of the picture as it is shown. Raises ValueError for an empty or negative box."""

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right and 0 <= self.top < self.bottom):
            raise ValueError(f"empty or negative box: {self}")

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into an (H, W) plane: rows, columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def expanded(self, pixels: int, width: int, height: int) -> "Box":
        """The box grown by `pixels` on each side, cut off at the edges of a picture of `width` x `height`."""
        return Box(
            max(0, self.left - pixels), max(0, self.top - pixels), min(width, self.right + pixels), min(height, self.bottom + pixels)
        )


@dataclass(frozen=True)
class Placement:
    """One mark at one place for an interval of frames. Both ends of the interval are exact and belong to it.

    h and w are the height and width of the box.
    mask: (h, w) float32 in [0, 1], above 0.5 on the mark. opacity: (h, w) float32 in [0, 1].
    colour: (3, h, w) float32 RGB in [0, 1]. confidence: in [0, 1].
    opacity_sigma: standard deviation of the opacity's error, (h, w) or one value for all pixels.
    dilation_pixels: how far around the mask of a detected mark pixels are replaced too; a user's mask is not dilated.
    path: of a mark that moves, names its path among those of the file; its placements along it have the same.
    """

    first_frame: int
    last_frame: int
    box: Box
    mask: Floats = field(repr=False)
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    confidence: float
    kind: Kind = "overlay"
    opacity_sigma: Floats | float = field(default=0.0, repr=False)
    dilation_pixels: int = 2
    path: str = ""

    @property
    def id(self) -> str:
        """Names the mark among those of its file: eight hexadecimal digits of its kind, place and interval, or of its kind and path.

        It is the same in every run, and for all placements along a path.
        """
        box = self.box
        place = (self.first_frame, self.last_frame, box.left, box.top, box.right, box.bottom)
        words = (self.kind, self.path) if self.path else (self.kind, *place)
        return hashlib.blake2s(" ".join(map(str, words)).encode(), digest_size=ID_BYTES).hexdigest()

    def covers(self, frame_index: int) -> bool:
        """Whether the interval includes this frame."""
        return self.first_frame <= frame_index <= self.last_frame


def marks_of(placements: Iterable[Placement]) -> list[tuple[Placement, ...]]:
    """The placements of each mark, in the order of their first one: of a mark that moves all along its path, of any other one."""
    marks: dict[str | int, list[Placement]] = {}
    for number, placement in enumerate(placements):
        marks.setdefault(placement.path or number, []).append(placement)
    return [tuple(mark) for mark in marks.values()]


def pixel_box(box: TimedBox, width: int, height: int, seconds: float = 0.0) -> Box:
    """A person's box in a picture of `width` x `height`, at a time that it covers: every pixel that it touches, cut off at the edges.

    Raises RequestError for a box outside the picture.
    """
    x1, y1, x2, y2 = box.corners_at(seconds)
    scale_x, scale_y = (width, height) if box.in_fractions else (1, 1)
    left, top = math.floor(x1 * scale_x), math.floor(y1 * scale_y)
    right, bottom = math.ceil(x2 * scale_x), math.ceil(y2 * scale_y)
    if left >= width or top >= height:
        raise RequestError(f"box {box} lies outside the picture of {width}x{height} pixels")
    return Box(left, top, min(right, width), min(bottom, height))


def bounding_box(mask: Mask) -> Box:
    """The smallest box around the pixels of a mask (h, w), which must not be empty."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def hull(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return Box(min(one.left, other.left), min(one.top, other.top), max(one.right, other.right), max(one.bottom, other.bottom))


def intersect(left: Box, right: Box) -> bool:
    """Whether two boxes share a pixel."""
    return left.left < right.right and right.left < left.right and left.top < right.bottom and right.top < left.bottom


def shared_slices(box: Box, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that two intersecting boxes share, as an index into each."""
    top, bottom = max(box.top, other.top), min(box.bottom, other.bottom)
    left, right = max(box.left, other.left), min(box.right, other.right)
    return (
        (slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left)),
        (slice(top - other.top, bottom - other.top), slice(left - other.left, right - other.left)),
    )
