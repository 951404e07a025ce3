"""Whether what stands in a place is still the same mark, by its fine detail. Pure.

Two captions in one place may have nearly the same outline. Their strokes differ. A translucent mark's detail changes as well, with the
scene behind it, but then it is hardly stronger than that of the scene beside it.
"""

from dataclasses import dataclass, field

import numpy as np

from models.arrays import Bytes, Floats, Mask
from service.pipeline.marks.agreement import DETAIL_NOISE, RIM_PIXELS, detail_of
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, bounding_box, intersect, shared_slices

BESIDE_PIXELS = (4, 12)  # from a mark with its rim: where the scene's own detail is measured


@dataclass(frozen=True, eq=False)
class Appearance:
    """How a mark looks in one picture.

    box: it, its rim and what is beside it. pixels: (h, w), of the mark and its rim. detail: (h, w, 3). scene_power: the mean square of the
    detail beside it.
    """

    box: Box
    pixels: Mask = field(repr=False)
    detail: Floats = field(repr=False)
    scene_power: float


def appearance(picture: Bytes, mask: Mask, marked: Mask) -> Appearance:
    """How a mark looks. picture: (h, w, 3). mask: (h, w), its pixels; not empty. marked: (h, w), all that may be of any mark."""
    height, width = mask.shape
    nearest, farthest = BESIDE_PIXELS
    box = bounding_box(mask).expanded(RIM_PIXELS + farthest, width, height)
    pixels = dilate(mask[box.slices], RIM_PIXELS)
    beside = dilate(pixels, farthest) & ~dilate(pixels, nearest) & ~dilate(marked[box.slices], RIM_PIXELS)
    detail = detail_of(picture[box.slices])
    return Appearance(box, pixels, detail, float(np.square(detail[beside]).mean()) if beside.any() else 0.0)


def is_another(before: Appearance, after: Appearance) -> bool:
    """Whether another mark has taken the place of the one before.

    The same mark's detail is correlated as far as it is not the scene's, whose share is known from beside the mark. Another one's is not.
    The middle between both decides, where most of the detail is the mark's own.
    """
    if not intersect(before.box, after.box):
        return False
    here, there = shared_slices(before.box, after.box)
    pixels = before.pixels[here]
    if not pixels.any():
        return False
    one, other = before.detail[here][pixels], after.detail[there][pixels]
    powers = float(np.square(one).mean()), float(np.square(other).mean())
    scene = (before.scene_power + after.scene_power) / 2 + DETAIL_NOISE
    expected = 1 - scene / max(min(powers), DETAIL_NOISE)
    correlation = float((one * other).mean()) / max(float(np.sqrt(powers[0] * powers[1])), DETAIL_NOISE)
    return expected > 0.5 and correlation < expected / 2
