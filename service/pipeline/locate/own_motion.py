"""Whether a shape moves on its own, or with its surroundings. Pure."""

import math

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from service.pipeline.locate.pooled_shape import MARGIN_PIXELS
from service.pipeline.marks.agreement import DETAIL_PIXELS, RIM_PIXELS, Look, agreement
from service.pipeline.picture.morphology import dilate, ring
from service.pipeline.picture.view import View, crop_padded

RING_PIXELS = (DETAIL_PIXELS // 2 + 1, 12)  # from the mark: its surroundings, of which the fine detail holds nothing of the mark
SCENE_REACH_PIXELS = 6  # at analysis size, by which the surroundings may have moved from one step to the next


def own_motion(mask: Mask, alike: Mask, before: View, after: View, earlier: Floats, later: Floats) -> float:
    """How much the surroundings of a shape (h, w) say that they moved otherwise than it did, in nats; below 0 if they moved along.

    alike: with MARGIN_PIXELS around the shape, what may be another part of it, and says nothing.
    before, after: where the shape is in two frames. earlier, later: their fine detail (H, W, 3).
    """
    around = np.pad(mask, outer := RING_PIXELS[1])
    inside = slice(MARGIN_PIXELS - outer, outer - MARGIN_PIXELS)
    other_parts = dilate(alike, RING_PIXELS[0] + RIM_PIXELS)[inside, inside]
    beside = ring(around, RING_PIXELS[0] + RIM_PIXELS, outer - RIM_PIXELS) & ~other_parts
    scene = Look(np.ones(later.shape[:2], np.float32), later)
    scene.probability[_within(dilate(around, RING_PIXELS[0] + RIM_PIXELS), after.grown(outer), later.shape)] = 0

    def seen(view: View) -> NDArray[np.float64]:
        """The agreement of the surroundings before with those in a view of the later frame, at each shift."""
        return agreement(surroundings, scene.crop(view))

    known = Look(np.ones(earlier.shape[:2], np.float32), earlier).crop(before.grown(outer))
    surroundings = Look(known.probability * beside, known.detail)
    otherwise = seen(before.grown(outer + SCENE_REACH_PIXELS))
    y, x = after.top - before.top + SCENE_REACH_PIXELS, after.left - before.left + SCENE_REACH_PIXELS
    otherwise[max(0, y - 1) : max(0, y + 2), max(0, x - 1) : max(0, x + 2)] = 0
    elsewhere = np.logaddexp.reduce(otherwise, axis=None) - math.log(otherwise.size)  # any of the shifts, none likelier than another
    return float(elsewhere - seen(after.grown(outer)).item())


def _within(mask: Mask, view: View, size: tuple[int, ...]) -> Mask:
    """The pixels (H, W) of a picture of this size that a mask covers, which fills a view of it."""
    return crop_padded(mask, -view.top, -view.left, size[0], size[1], repeat_edge=False)
