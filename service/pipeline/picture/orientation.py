"""From coded pictures and levels to what a person sees. A video that says so is shown turned, by quarters of a circle."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.pipeline.placement import Box, Placement
from service.pipeline.video import VideoInfo

Value = TypeVar("Value", bound=np.generic)


def displayed_size(info: VideoInfo) -> tuple[int, int]:
    """Width and height of the picture as it is shown, in pixels that are still those of the coded one."""
    return (info.height, info.width) if _quarters(info) % 2 else (info.width, info.height)


def displayed_box(box: Box, info: VideoInfo) -> Box:
    """A box of the coded picture, in the one that is shown."""
    width, height = info.width, info.height
    for _ in range(_quarters(info)):
        box = Box(box.top, width - box.right, box.bottom, width - box.left)
        width, height = height, width
    return box


def displayed_picture(picture: NDArray[Value], info: VideoInfo) -> NDArray[Value]:
    """A coded picture or a crop of it, (h, w) or (h, w, channels), as it is shown."""
    return np.ascontiguousarray(np.rot90(picture, _quarters(info)))


def to_grey_levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] -> uint8, for pictures of masks and opacities."""
    stored: NDArray[np.uint8] = np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)
    return stored


def matte_picture(placement: Placement) -> NDArray[np.uint8]:
    """How much of the picture the mark hides, (h, w): 255 = all; 0 beside its mask."""
    return to_grey_levels(placement.opacity * (placement.mask > 0.5))


def _quarters(info: VideoInfo) -> int:
    """Of a circle, counterclockwise, as FFmpeg and NumPy count; 0 to 3."""
    return round(info.rotation_degrees / 90) % 4
