"""Step 5 in between: how opaque an even mark is, and of what colour, from the contrast on both sides of its outline. Pure."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

ACROSS: Final = ((0, 5), (5, 0), (4, 4), (4, -4))  # pixels from a place in the mark to one beside it, and the same the other way
RIM_PIXELS: Final = 1  # on either side of the outline, where the mark is neither whole nor gone
CODEC_NOISE: Final = 0.006  # standard deviation of a pixel in [0, 1] that a codec alone makes on both sides
LEAST_PAIRS: Final = 300  # with fewer an accident of the scene counts too much


@dataclass(frozen=True)
class Level:
    """One opacity in [0, 1], and one colour (3,) in [0, 1]."""

    opacity: float
    colour: Floats


def level_across(crops: Floats, mask: Mask) -> Level | None:
    """The level of a mark of this shape (h, w) in the crops (N, 3, h, w); None where they do not tell.

    The scene just within the outline and just beyond it is alike: on the whole it is as bright on both sides, and varies as much. The mark
    leaves the share (1 - a) of that, so a is 1 less the ratio of the two standard deviations, and the colour follows from the means. A
    line fitted to the pairs would take what differs between two places for an error of one side alone, and find a too large, or too
    small; the ratio, the slope of their reduced major axis, does neither (Smith, "Use and misuse of the reduced major axis for
    line-fitting", American Journal of Physical Anthropology 140, 2009).
    """
    within, beyond = _sides(mask)
    if len(within) < LEAST_PAIRS:
        return None
    pixels = crops.reshape(*crops.shape[:2], -1)
    covered, bare = pixels[:, :, within], pixels[:, :, beyond]
    mean_covered, mean_bare = covered.mean((0, 2)), bare.mean((0, 2))
    powers = [float(np.square(side - mean[:, None]).mean()) - CODEC_NOISE**2 for side, mean in ((covered, mean_covered), (bare, mean_bare))]
    if not 0 < powers[0] < powers[1]:
        return None
    passed = np.float32(np.sqrt(powers[0] / powers[1]))
    colour = np.clip((mean_covered - passed * mean_bare) / (1 - passed), 0, 1)
    return Level(float(1 - passed), colour.astype(np.float32))


def _sides(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of pixels, by their place in the flattened crop: one surely in the mark, and one beside it."""
    rim = np.ones((2 * RIM_PIXELS + 1, 2 * RIM_PIXELS + 1), np.uint8)
    core, bare = cv2.erode(mask.astype(np.uint8), rim) > 0, cv2.dilate(mask.astype(np.uint8), rim) == 0
    places = np.arange(mask.size).reshape(mask.shape)
    within, beyond = list[NDArray[np.intp]](), list[NDArray[np.intp]]()
    for offset in ACROSS:
        here, there = shifted(mask.shape, offset)
        for one, other in ((here, there), (there, here)):
            pairs = core[one] & bare[other]
            within.append(places[one][pairs])
            beyond.append(places[other][pairs])
    return np.concatenate(within), np.concatenate(beyond)


def shifted(shape: tuple[int, ...], offset: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Of a picture (h, w) the pixels that have a neighbour at the offset (dy, dx), and those neighbours."""
    (rows, other_rows), (columns, other_columns) = (
        (slice(max(0, -step), length - max(0, step)), slice(max(0, step), length - max(0, -step)))
        for step, length in zip(offset, shape, strict=True)
    )
    return (rows, columns), (other_rows, other_columns)
