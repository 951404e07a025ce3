"""Step 5 in between: what shines through at the rim of a mark that hides the scene. Pure.

No mark is opaque to its very edge: where its outline crosses a pixel, or was scaled or compressed, the scene is mixed in. That is a third
of the pixels of thin letters.
"""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import mean_of_known, some_of
from service.pipeline.marks.mark_model import MarkModel, split_parts
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.picture.morphology import dilate

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAX_FRAMES: Final = 24  # that are looked at
INDEPENDENT_FRAMES: Final = 5.0  # of them: a scene that stands still is filled wrongly in the same way in all
FULL_COVERAGE_SHARE: Final = 0.95  # of a mark's level: from there on it hides all
COLOUR_ERROR: Final = 0.12  # of the head's colour, beside what it doubts of the opacity
SHADE_ERROR: Final = 0.05  # the same, of a colour that was fitted together with the opacity
MIN_OPACITY_SIGMA: Final = 0.02  # of the head
MIN_SOLVED_SIGMA: Final = 0.06  # of an opacity, for what is to be gained by it
CODEC_NOISE: Final = 0.02  # standard deviation of a pixel in [0, 1] beside a mark
FILL_NOISE: Final = 0.01  # the same of a fill, where the scene is flat
HEAVY_TAIL_FACTOR: Final = 1.3  # mean square of a fill's errors over the fourth power of the mean of their fourth roots
SURROUNDINGS_KERNEL_PIXELS: Final = 31  # side of the square around a pixel that tells how far a fill errs there
SURROUNDINGS_PRIOR_SHARE: Final = 0.02  # share of the square below which all surroundings tell
MIN_GAIN: Final = 0.25  # of what is known of a pixel, that un-blending it must bring
FILL_DILATION_PIXELS: Final = 1  # around a mark that are filled with it
TRIAL_DILATION_PIXELS: Final = 3  # to there a fill is tried, where the answer is known
EDGE_DEPTH_PIXELS: Final = 2.1  # from the mask's edge on: no rim
ITERATIONS: Final = 3


def unblend_edges(marked_crops: Floats, model: MarkModel, predicted: MarkModel) -> MarkModel:
    """The look with an opacity below 1 at the rims of its opaque parts, in crops (N, 3, h, w), where un-blending is better than a fill.

    of_head: the same look with the opacity as the matte head sees it. The rim ends beyond the mask, within the margin that is made anew.
    """
    crops, mask = some_of(marked_crops, MAX_FRAMES), model.mask > 0.5
    opacity, opacity_sigma = model.opacity.copy(), model.opacity_sigma.copy()
    for part in split_parts(mask):
        if part.any() and model.opacity[part].min() >= 1:
            own = dilate(part, WIDE_PIXELS) & ~(mask & ~part)
            opacity[own], opacity_sigma[own] = (values[own] for values in _solve_edge_alpha(crops, predicted, part))
    return replace(model, opacity=opacity, opacity_sigma=opacity_sigma)


def _solve_edge_alpha(crops: Floats, predicted: MarkModel, part: Mask) -> tuple[Floats, Floats]:
    """Opacity and doubt (h, w) of an opaque part: by the head, and by how far each pixel is from the fill towards the mark's colour."""
    level = float(np.percentile(predicted.opacity[part], 90))
    prior = np.clip(predicted.opacity / max(FULL_COVERAGE_SHARE * level, 1e-3), 0, 1)
    certain = 1 / np.square(np.maximum(predicted.opacity_sigma, MIN_OPACITY_SIGMA))
    fills, fill_power = _fills_and_errors(crops, part)
    effect = predicted.colour - fills
    power, along = np.square(effect).mean((0, 1)), (effect * (crops - fills)).mean((0, 1))
    opacity = prior
    for _ in range(ITERATIONS):
        variance = (np.square(1 - opacity) * fill_power + np.square(opacity) * COLOUR_ERROR**2) / min(len(crops), INDEPENDENT_FRAMES)
        evidence = power / variance + certain
        opacity = np.clip((along / variance + prior * certain) / evidence, 0, 1)
    error = 1 / np.sqrt(evidence)
    unblended = np.square(np.maximum(error, MIN_SOLVED_SIGMA)) * power + np.square(opacity * SHADE_ERROR) + CODEC_NOISE**2
    worth = fill_power / (fill_power + unblended / np.square(np.maximum(1 - opacity, MIN_OPACITY_SIGMA)))
    deep = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > EDGE_DEPTH_PIXELS
    opacity = np.where((worth > MIN_GAIN) & ~deep, opacity, 1).astype(np.float32)
    return opacity, np.minimum(error, predicted.opacity_sigma).astype(np.float32)


def _fills_and_errors(crops: Floats, part: Mask) -> tuple[Floats, Floats]:
    """The crops with the part filled in, and how far such a fill errs there, mean square (h, w): as it does beside it."""
    fills, wide_fills = (
        np.stack([fill_hole(crop, part, pixels) for crop in crops]) for pixels in (FILL_DILATION_PIXELS, TRIAL_DILATION_PIXELS)
    )
    beside = (dilate(part, TRIAL_DILATION_PIXELS) & ~dilate(part, FILL_DILATION_PIXELS)).astype(np.float32)
    roots = np.sqrt(np.sqrt(np.square(crops - wide_fills).mean((0, 1))))  # a letter that was overlooked hardly counts
    usual = mean_of_known(roots, beside, SURROUNDINGS_KERNEL_PIXELS, SURROUNDINGS_PRIOR_SHARE)
    return fills, (HEAVY_TAIL_FACTOR * usual**4 + FILL_NOISE**2).astype(np.float32)
