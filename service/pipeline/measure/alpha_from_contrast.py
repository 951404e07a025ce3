"""Alpha from contrast: the opacity level and colour of a uniform mark, from how the scene varies inside it and just outside. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from service.pipeline.marks.mark_model import CORE_SHARE
from service.pipeline.measure.noise import FLAT_CODEC_NOISE
from service.pipeline.picture.morphology import dilate, erode

Slices = tuple[slice, slice]

PAIR_OFFSETS: Final = ((0, 5), (5, 0), (4, 4), (4, -4))  # (y, x) pixels, used both ways: from a pixel in the mark to one outside
EDGE_PIXELS: Final = 1  # left out on either side of the outline, where the opacity is neither the level nor 0
MIN_PAIRS: Final = 300  # pairs of pixels: with fewer, chance differences in the scene count too much


@dataclass(frozen=True)
class OpacityLevel:
    """One opacity in [0, 1], and one colour (3,), RGB in [0, 1]."""

    opacity: float
    colour: Floats


def level_from_contrast(crops: Floats, mask: Mask) -> OpacityLevel | None:
    """The level of a mark with this mask (h, w) in the crops (N, 3, h, w) in [0, 1], edges aside; None if it cannot be solved."""
    core = erode(mask, EDGE_PIXELS)
    return _solve_level(crops, core.astype(np.float32), mask)


def level_from_thin_strokes(crops: Floats, shape: Floats, mask: Mask) -> OpacityLevel | None:
    """The same for strokes so thin that they are nearly all edge; shape: (h, w), the share of the level that each pixel has."""
    return _solve_level(crops, np.where(shape > CORE_SHARE, shape, np.float32(0)), mask)


def _solve_level(crops: Floats, share: Floats, mask: Mask) -> OpacityLevel | None:
    """The level from pairs of pixels, one in the mark's core and one outside. share: (h, w), of the level; 0 outside the core.

    Just inside the outline the scene has the same mean and the same variance as just outside. A mark of opacity a leaves 1 - a of its
    deviations. So a is 1 less the ratio of the two standard deviations, and the colour follows from the means. A pixel with a share s of
    the level leaves 1 - a s of them; then the mean of (1 - a s) squared is the ratio squared.

    A line fitted to the pairs would attribute all that differs between two places to one side, and find an a that is too large or too
    small. The ratio is the slope of their reduced major axis and has neither bias (Smith, "Use and misuse of the reduced major axis for
    line-fitting", American Journal of Physical Anthropology 140, 2009).
    """
    inside, outside = _pixel_pairs(share > 0, mask)
    if len(inside) < MIN_PAIRS:
        return None
    pixels, shares = crops.reshape(*crops.shape[:2], -1), share.ravel()[inside]
    marked, bare = pixels[:, :, inside], pixels[:, :, outside]
    mean_marked, mean_bare, mean_share = marked.mean((0, 2)), bare.mean((0, 2)), float(shares.mean())
    shift = (mean_marked - mean_bare) / mean_share  # a (colour - mean of the scene): how far the full level moves the mean
    marked_deviation = marked - mean_bare[:, None] - shares * shift[:, None]  # (1 - a s) times the scene's deviation from its mean
    marked_power, bare_power = (
        float(np.square(deviation).mean()) - FLAT_CODEC_NOISE**2 for deviation in (marked_deviation, bare - mean_bare[:, None])
    )
    if not 0 < marked_power < bare_power:
        return None
    ratio, mean_square_share = marked_power / bare_power, float(np.square(shares).mean())
    opacity = (mean_share - np.sqrt(max(0.0, mean_share**2 - mean_square_share * (1 - ratio)))) / mean_square_share
    return OpacityLevel(float(opacity), np.clip(mean_bare + shift / opacity, 0, 1).astype(np.float32))


def _pixel_pairs(core: Mask, mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of pixels, as indices into the flattened crop: one in the core (h, w), the other outside the mask (h, w)."""
    bare = ~dilate(mask, EDGE_PIXELS)
    indices = np.arange(mask.size).reshape(mask.shape)
    inside, outside = list[NDArray[np.intp]](), list[NDArray[np.intp]]()
    for offset in PAIR_OFFSETS:
        here, there = neighbour_slices(mask.shape, offset)
        for one, other in ((here, there), (there, here)):
            paired = core[one] & bare[other]
            inside.append(indices[one][paired])
            outside.append(indices[other][paired])
    return np.concatenate(inside), np.concatenate(outside)


def neighbour_slices(shape: tuple[int, ...], offset: tuple[int, int]) -> tuple[Slices, Slices]:
    """The pixels of a picture (h, w) that have a neighbour at the offset (y, x), and those neighbours."""
    (rows, other_rows), (columns, other_columns) = (
        (slice(max(0, -step), length - max(0, step)), slice(max(0, step), length - max(0, -step)))
        for step, length in zip(offset, shape, strict=True)
    )
    return (rows, columns), (other_rows, other_columns)
