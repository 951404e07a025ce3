"""Step 6, last: what was restored is averaged over time where the scene stands still, so that neither noise nor invention flickers.

A recursive average, gated twice: by what the surroundings do, which are known, and by what the restored pixels do, so that something
that passes behind a half-transparent mark is not smeared.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import mean_of_known
from service.pipeline.placement import Box

Floats = NDArray[np.float32]

MAX_HISTORY_WEIGHT = (
    0.4  # of the frame before, where nothing moves at all, under an opaque mark; in proportion less noise comes from a fainter one
)
MAX_RING_CHANGE = 0.012  # mean difference of the surroundings, in [0, 1], at which they hardly stand still: H.264 alone makes a third of it
MAX_PATCH_CHANGE = 0.05  # the same of the restored pixels, whose noise un-blending has multiplied
RING_KERNEL_PIXELS = 41  # side of the square that tells whether the surroundings of a pixel move
RING_PRIOR_SHARE = 0.02  # share of the square below which the whole window tells
PATCH_KERNEL_PIXELS = 7  # side of the square that tells whether the restored pixels change


@dataclass(frozen=True)
class _Past:
    index: int
    clean: Floats = field(repr=False)
    mask: Floats = field(repr=False)


class TemporalSmoother:
    """Remembers what every window looked like in the frame before. Frames are given in order."""

    def __init__(self) -> None:
        self._past: dict[Box, _Past] = {}

    def smooth(self, index: int, box: Box, clean: Floats, mask: Floats, opacity: Floats) -> Floats:
        """The restored window (3, h, w) of a frame, nearer to the one before where both are restored, `mask` (h, w) being 1, and still."""
        past = self._past.get(box)
        if past is not None and past.index == index - 1:
            clean = gated_average(clean, past.clean, mask, past.mask, opacity)
        self._past[box] = _Past(index, clean, mask)
        return clean

    def forget(self, keep: set[Box]) -> None:
        """All windows but these."""
        self._past = {box: past for box, past in self._past.items() if box in keep}


def gated_average(now: Floats, before: Floats, mask: Floats, mask_before: Floats, opacity: Floats) -> Floats:
    """Pixels (3, h, w) of a frame, restored where `mask` (h, w) is 1, nearer to those of the frame before where all is still."""
    change = np.abs(now - before).mean(0)
    shown = (1 - mask) * (1 - mask_before)
    ring = mean_of_known(change, shown, RING_KERNEL_PIXELS, RING_PRIOR_SHARE)
    patch = cv2.blur(change, (PATCH_KERNEL_PIXELS, PATCH_KERNEL_PIXELS))
    still = np.exp(-np.square(ring / MAX_RING_CHANGE) - np.square(patch / MAX_PATCH_CHANGE))
    weight = MAX_HISTORY_WEIGHT * opacity * still * mask * mask_before
    result: Floats = (now + weight * (before - now)).astype(np.float32, copy=False)
    return result
