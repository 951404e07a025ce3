"""Temporal smoothing: restored pixels are averaged over time where the scene is still, so that noise and invented detail do not flicker.

A recursive average with two gates. One measures the change of the surroundings, which are known. The other measures the change of the
restored pixels, so that something that moves behind a half-transparent mark is not smeared.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from models.arrays import Floats
from models.blend import mean_of_known
from service.pipeline.placement import Box

# Weight of the previous frame where nothing moves, under an opaque mark. It is multiplied by the opacity: a fainter mark leaves less noise.
MAX_HISTORY_WEIGHT = 0.4
# Mean difference of the surroundings, in [0, 1], at which the weight falls to 1/e. H.264 alone causes a third of it.
MAX_RING_CHANGE = 0.012
MAX_PATCH_CHANGE = 0.05  # the same for the restored pixels, whose noise un-blending has amplified
RING_KERNEL_PIXELS = 41  # side of the square over which the change of the surroundings is averaged
PATCH_KERNEL_PIXELS = 7  # side of the square over which the change of the restored pixels is averaged


@dataclass(frozen=True)
class _Restored:
    """The window of a frame after smoothing: clean (3, h, w), mask (h, w)."""

    index: int
    clean: Floats = field(repr=False)
    mask: Floats = field(repr=False)


class TemporalSmoother:
    """Holds the last restored frame of every window. Frames have to come in order."""

    def __init__(self) -> None:
        self._last: dict[Box, _Restored] = {}

    def smooth(self, index: int, box: Box, clean: Floats, mask: Floats, opacity: Floats) -> Floats:
        """The restored window (3, h, w) of a frame, averaged with the frame before if that one was restored too.

        clean: (3, h, w) RGB in [0, 1]. mask: (h, w), 1 where pixels were restored. opacity: (h, w) in [0, 1].
        """
        last = self._last.get(box)
        if last is not None and last.index == index - 1:
            clean = gated_average(clean, last.clean, mask, last.mask, opacity)
        self._last[box] = _Restored(index, clean, mask)
        return clean

    def forget(self, keep: set[Box]) -> None:
        """Drops all windows except those to keep."""
        self._last = {box: restored for box, restored in self._last.items() if box in keep}


def gated_average(now: Floats, before: Floats, mask: Floats, mask_before: Floats, opacity: Floats) -> Floats:
    """A window (3, h, w) of a frame, averaged with the window of the frame before where both are restored and the scene is still.

    now, before: (3, h, w) RGB in [0, 1]. mask, mask_before: (h, w), 1 where they were restored. opacity: (h, w) in [0, 1].
    """
    change = np.abs(now - before).mean(0)
    known = (1 - mask) * (1 - mask_before)
    ring_change = mean_of_known(change, known, RING_KERNEL_PIXELS)
    patch_change = cv2.blur(change, (PATCH_KERNEL_PIXELS, PATCH_KERNEL_PIXELS))
    stillness = np.exp(-np.square(ring_change / MAX_RING_CHANGE) - np.square(patch_change / MAX_PATCH_CHANGE))
    weight = MAX_HISTORY_WEIGHT * opacity * stillness * mask * mask_before
    average: Floats = (now + weight * (before - now)).astype(np.float32, copy=False)
    return average
