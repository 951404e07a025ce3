"""Step 5 in between: how opaque an even mark is, and of what colour, from the contrast on both sides of its outline. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.morphology import dilate, erode

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PAIR_OFFSETS: Final = ((0, 5), (5, 0), (4, 4), (4, -4))  # pixels from a place in the mark to one beside it, and the same the other way
EDGE_PIXELS: Final = 1  # on either side of the outline, where the mark is neither whole nor gone
CODEC_NOISE: Final = 0.006  # standard deviation of a pixel in [0, 1] that a codec alone makes on both sides
MIN_STROKE_SHARE: Final = 0.75  # of the level: with less a thin stroke's pixel tells little of it
MIN_PAIRS: Final = 300  # with fewer an accident of the scene counts too much


@dataclass(frozen=True)
class OpacityLevel:
    """One opacity in [0, 1], and one colour (3,) in [0, 1]."""

    opacity: float
    colour: Floats


def level_from_contrast(crops: Floats, mask: Mask) -> OpacityLevel | None:
    """The level of a mark of this outline (h, w) in the crops (N, 3, h, w), away from its rim; None where they do not tell."""
    core = erode(mask, EDGE_PIXELS)
    return _solve_level(crops, core.astype(np.float32), mask)


def level_from_thin_strokes(crops: Floats, shape: Floats, mask: Mask) -> OpacityLevel | None:
    """The same of one of strokes so thin that they are nearly all rim: `shape` (h, w), in [0, 1], is how much of the level is where."""
    return _solve_level(crops, np.where(shape > MIN_STROKE_SHARE, shape, np.float32(0)), mask)


def _solve_level(crops: Floats, share: Floats, mask: Mask) -> OpacityLevel | None:
    """The level, of which there is a share (h, w) in the mark's core and none elsewhere, in the crops (N, 3, h, w), by the scene beside it.

    The scene just within the outline and just beyond it is alike: on the whole it is as bright on both sides, and varies as much. The mark
    leaves 1 - a of that, so a is 1 less the ratio of the two standard deviations, and the colour follows from the means. (Where it has
    a share s of the level it leaves 1 - a s: the mean square of that is the ratio's square.) A line fitted to the pairs would take what
    differs between two places for an error of one side alone, and find a too large, or too small; the ratio, the slope of their reduced
    major axis, does neither (Smith, "Use and misuse of the reduced major axis for line-fitting", American Journal of Physical
    Anthropology 140, 2009).
    """
    within, beyond = _pixel_pairs(share > 0, mask)
    if len(within) < MIN_PAIRS:
        return None
    pixels, shares = crops.reshape(*crops.shape[:2], -1), share.ravel()[within]
    covered, bare = pixels[:, :, within], pixels[:, :, beyond]
    mean_covered, mean_bare, mean_share = covered.mean((0, 2)), bare.mean((0, 2)), float(shares.mean())
    shift = (mean_covered - mean_bare) / mean_share  # a (C - mean), by which a share of the level moves the mean
    rest = covered - mean_bare[:, None] - shares * shift[:, None]  # (1 - a s) times what the scene differs from its mean
    powers = [float(np.square(side).mean()) - CODEC_NOISE**2 for side in (rest, bare - mean_bare[:, None])]
    if not 0 < powers[0] < powers[1]:
        return None
    transmittance, square = powers[0] / powers[1], float(np.square(shares).mean())
    opacity = (mean_share - np.sqrt(max(0.0, mean_share**2 - square * (1 - transmittance)))) / square
    return OpacityLevel(float(opacity), np.clip(mean_bare + shift / opacity, 0, 1).astype(np.float32))


def _pixel_pairs(core: Mask, mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of pixels, by their place in the flattened crop: one in the core of a mark (h, w), and one beside the mark."""
    bare = ~dilate(mask, EDGE_PIXELS)
    places = np.arange(mask.size).reshape(mask.shape)
    within, beyond = list[NDArray[np.intp]](), list[NDArray[np.intp]]()
    for offset in PAIR_OFFSETS:
        here, there = neighbour_slices(mask.shape, offset)
        for one, other in ((here, there), (there, here)):
            pairs = core[one] & bare[other]
            within.append(places[one][pairs])
            beyond.append(places[other][pairs])
    return np.concatenate(within), np.concatenate(beyond)


def neighbour_slices(shape: tuple[int, ...], offset: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Of a picture (h, w) the pixels that have a neighbour at the offset (dy, dx), and those neighbours."""
    (rows, other_rows), (columns, other_columns) = (
        (slice(max(0, -step), length - max(0, step)), slice(max(0, step), length - max(0, -step)))
        for step, length in zip(offset, shape, strict=True)
    )
    return (rows, columns), (other_rows, other_columns)
