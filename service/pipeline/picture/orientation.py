"""Between coded and displayed pictures: rotation by quarter turns, and grey levels for masks and opacities."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats
from service.errors import RequestError
from service.pipeline.placement import Box, Placement
from service.pipeline.video import VideoInfo
from service.timed_box import TimedBox

Value = TypeVar("Value", bound=np.generic)


def displayed_size(info: VideoInfo) -> tuple[int, int]:
    """Width and height of the displayed picture, in coded pixels: the sample aspect ratio is not applied."""
    return (info.height, info.width) if _quarter_turns(info) % 2 else (info.width, info.height)


def displayed_box(box: Box, info: VideoInfo) -> Box:
    """A box of the coded picture, as a box of the displayed one."""
    return _rotate(box, info.width, info.height, _quarter_turns(info))


def coded_box(box: TimedBox, info: VideoInfo) -> Box:
    """A person's box, in pixels of the coded picture: every pixel that it touches, cut off at the picture's edges.

    Raises RequestError for a box outside the picture.
    """
    width, height = displayed_size(info)
    scale_x, scale_y = (width, height) if max(box.x1, box.y1, box.x2, box.y2) <= 1.0 else (1, 1)
    left, top = math.floor(box.x1 * scale_x), math.floor(box.y1 * scale_y)
    right, bottom = math.ceil(box.x2 * scale_x), math.ceil(box.y2 * scale_y)
    if left >= width or top >= height:
        raise RequestError(f"box {box} lies outside the picture of {width}x{height} pixels")
    return _rotate(Box(left, top, min(right, width), min(bottom, height)), width, height, -_quarter_turns(info) % 4)


def displayed_picture(picture: NDArray[Value], info: VideoInfo) -> NDArray[Value]:
    """A coded picture or a crop of it, (h, w) or (h, w, channels), rotated as it is displayed."""
    return np.ascontiguousarray(np.rot90(picture, _quarter_turns(info)))


def to_grey_levels(values: Floats) -> Bytes:
    """Values in [0, 1] as grey levels, 0 to 255; for pictures of masks and opacities."""
    stored: Bytes = np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)
    return stored


def matte_picture(placement: Placement) -> Bytes:
    """The matte, (h, w): how much of each pixel the mark hides, 255 = all of it, 0 outside the mask."""
    return to_grey_levels(placement.opacity * (placement.mask > 0.5))


def _rotate(box: Box, width: int, height: int, quarter_turns: int) -> Box:
    """A box of a picture of `width` x `height`, in the picture rotated counterclockwise."""
    for _ in range(quarter_turns):
        box = Box(box.top, width - box.right, box.bottom, width - box.left)
        width, height = height, width
    return box


def _quarter_turns(info: VideoInfo) -> int:
    """Quarter turns counterclockwise, 0 to 3, as FFmpeg and NumPy count."""
    return round(info.rotation_degrees / 90) % 4
