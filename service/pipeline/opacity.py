"""Step 5 in between: how opaque a measured mark is and of what colour, from the matte head, and whether that can be true."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import matte_statistics, padded
from models.spec import MATTE_MULTIPLE
from service.inference.batcher import Batcher
from service.pipeline.presence import Look, filled, score

Floats = NDArray[np.float32]
Pair = tuple[Floats, Floats]  # a crop (3, h, w), and the same with the place of the mark filled in from around

UNBLENDED_NOISE = 1e-3  # mean square by which H.264 alone makes un-blended pixels differ
STRANGE = 12.0  # times as far from the fill as the scene around is: not the scene
LEVEL_LIMIT = 1.5  # the matte's level is corrected by this factor at most
UNCLEAR_SCORE = 0.25  # a mark's own frames score about 1; below this the score says nothing


def matte(inside: Floats, probability: Floats, outside: Floats, network: Batcher) -> tuple[Floats, Floats]:
    """Opacity (h, w) and colour (3, h, w) from crops (N, 3, h, w) with the mark and (M, 3, h, w) without."""
    height, width = probability.shape
    statistics = padded(matte_statistics(inside, probability, outside), MATTE_MULTIPLE)
    (answer,) = network.run([{"statistics": statistics}])
    return answer["opacity"][0, :height, :width], answer["colour"][:, :height, :width]


def believed(pairs: Sequence[Pair], look: Look) -> Floats:
    """The opacity (h, w) at the level that explains the crops; 1 where un-blending could not be believed: better filled than wrong."""
    opacity = calibrated(pairs, look)
    return opacity if believable([crop for crop, _ in pairs], Look(look.mask, opacity, look.colour)) else np.ones_like(opacity)


def calibrated(pairs: Sequence[Pair], look: Look) -> Floats:
    """The opacity, scaled so that the mark's effect explains what the crops show: the matte knows its shape better than its level.

    A score (see `presence.score`) is the true effect over the assumed one; errors of the fill average out over pixels and frames.
    """
    level = float(np.median([score(crop, fill, look) for crop, fill in pairs]))
    trusted = min(max(level, 1 / LEVEL_LIMIT), LEVEL_LIMIT) if level > UNCLEAR_SCORE else 1.0
    scaled: Floats = np.minimum(look.opacity * np.float32(trusted), np.float32(1))
    return scaled


def believable(inside: Sequence[Floats], look: Look) -> bool:
    """Whether un-blending with this opacity and colour gives something like the scene around the mark.

    The un-blended pixels may differ from a fill of the mark's place as much as the scene beside the mark differs from it, and by noise.
    """
    near, wide = (cv2.dilate(look.mask, np.ones((side, side), np.uint8)) > 0 for side in (7, 17))
    ring = (cv2.dilate(look.mask, np.ones((21, 21), np.uint8)) > 0) & ~near
    a = np.minimum(look.opacity, np.float32(0.96))
    ratios = []
    for crop in inside:
        fill = filled(crop, wide)
        unblended = np.clip((crop - a * look.colour) / (1 - a), 0, 1)
        beside = float(np.square(crop - fill).mean(0)[ring].mean()) if ring.any() else 0.0
        ratios.append(float(np.square(unblended - fill).mean(0)[look.mask > 0].mean()) / (beside + UNBLENDED_NOISE))
    return float(np.median(ratios)) < STRANGE
