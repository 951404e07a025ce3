"""Stored pictures turned upright, and back: the eight orientations of EXIF and of FFmpeg's display matrix."""

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.colour import Planes
from service.pipeline.video import ROTATIONS, Plane

Value = TypeVar("Value", bound=np.generic)

INVERSES = {orientation: orientation for orientation in ROTATIONS} | {6: 8, 8: 6}
ORIENTATIONS = {  # by whether rows become columns, and whether x and y then count backwards in the upright picture
    (False, False, False): 1,
    (False, True, False): 2,
    (False, True, True): 3,
    (False, False, True): 4,
    (True, False, False): 5,
    (True, True, False): 6,
    (True, True, True): 7,
    (True, False, True): 8,
}
TURNS = {orientation: turn for turn, orientation in ORIENTATIONS.items()}


def orientation_of(display_matrix: Sequence[int]) -> int:
    """The orientation, 1 to 8, that FFmpeg's nine integers stand for; of other angles the nearest. Empty: upright."""
    if not display_matrix:
        return 1
    x_of_column, y_of_column, _, x_of_row, y_of_row, *_ = display_matrix
    if abs(x_of_column) + abs(y_of_row) >= abs(x_of_row) + abs(y_of_column):
        return ORIENTATIONS[False, x_of_column < 0, y_of_row < 0]
    return ORIENTATIONS[True, x_of_row < 0, y_of_column < 0]


def upright(stored: NDArray[Value], orientation: int) -> NDArray[Value]:
    """A stored plane (h, w) or picture (h, w, channels), upright: (w, h) from orientation 5 on. A view, so nothing is copied."""
    transposed, mirrored_x, mirrored_y = TURNS[orientation]
    picture = stored.swapaxes(0, 1) if transposed else stored
    return picture[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1]


def planes_upright(stored: Planes, orientation: int) -> Planes:
    """The planes that a file stores, as views that are upright."""
    first, second, third = (cast(Plane, upright(plane, orientation)) for plane in stored)
    return first, second, third


def planes_as_stored(planes: Planes, orientation: int) -> Planes:
    """The inverse of `planes_upright`: views that are turned as the file stores them."""
    return planes_upright(planes, INVERSES[orientation])
