"""Where a mark is: a box, the frames it stays for, its mask, opacity and colour."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["overlay", "scene_text", "user"]


@dataclass(frozen=True)
class Box:
    """Pixels [left, right) x [top, bottom) of the coded picture."""

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
        """Index of the box in a (H, W) plane."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def expanded(self, pixels: int, width: int, height: int) -> "Box":
        """The box with `pixels` around it, as far as a picture of this size goes."""
        return Box(
            max(0, self.left - pixels), max(0, self.top - pixels), min(width, self.right + pixels), min(height, self.bottom + pixels)
        )


@dataclass(frozen=True)
class Placement:
    """One stay of a mark at one place, exact to the frame at both ends.

    mask: (h, w) float32 in [0, 1], above 0.5 where the mark is; pixels change there and, where it was found, in a narrow margin.
    opacity: (h, w) float32 in [0, 1]. colour: (3, h, w) float32 RGB in [0, 1]. doubt: likely error of the opacity, (h, w) or one for all.
    margin_pixels: beside a mark that was found as much is made anew with it.
    """

    first_frame: int
    last_frame: int  # inclusive
    box: Box
    mask: NDArray[np.float32] = field(repr=False)
    opacity: NDArray[np.float32] = field(repr=False)
    colour: NDArray[np.float32] = field(repr=False)
    confidence: float
    kind: Kind = "overlay"
    opacity_sigma: NDArray[np.float32] | float = field(default=0.0, repr=False)
    dilation_pixels: int = 2

    def covers(self, frame_index: int) -> bool:
        return self.first_frame <= frame_index <= self.last_frame


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """The smallest box around the pixels of a mask (h, w) that has some."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def intersect(left: Box, right: Box) -> bool:
    """Whether two boxes share a pixel."""
    return left.left < right.right and right.left < left.right and left.top < right.bottom and right.top < left.bottom


def shared_slices(box: Box, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that two boxes share, as an index into each."""
    top, bottom = max(box.top, other.top), min(box.bottom, other.bottom)
    left, right = max(box.left, other.left), min(box.right, other.right)
    return (
        (slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left)),
        (slice(top - other.top, bottom - other.top), slice(left - other.left, right - other.left)),
    )
