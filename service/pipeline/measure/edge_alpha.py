"""The edge alpha of opaque marks: their edge pixels are un-blended where that is better than a fill. Pure.

No mark is opaque to its very edge. Where its outline crosses a pixel, or was scaled or compressed, the scene is mixed in. In thin letters
that is a third of the pixels.
"""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.blend import mean_of_known, subsample
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import FULL_SHARE, MarkModel, opacity_level, split_parts
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.noise import EDGE_CODEC_NOISE, FILL_NOISE, MIN_OPACITY_SIGMA, SURROUNDINGS_KERNEL_PIXELS
from service.pipeline.measure.opacity import OpacityFit
from service.pipeline.picture.morphology import dilate, ring

MAX_FRAMES: Final = 24  # crops that are used
INDEPENDENT_FRAMES: Final = 5.0  # crops whose errors are independent: over a still scene a fill errs in the same way in all of them
COLOUR_ERROR: Final = 0.12  # standard deviation, in [0, 1], of the predicted colour's error
MIN_SOLVED_SIGMA: Final = 0.06  # of the solved opacity and of a colour fitted with it, when the gain is estimated: neither is more exact
HEAVY_TAIL_FACTOR: Final = 1.3  # mean square of a fill's errors over the fourth power of the mean of their fourth roots
MIN_GAIN: Final = 0.25  # share of a fill's variance that un-blending must remove
FILL_DILATION_PIXELS: Final = 1  # around a part, filled with it
TRIAL_DILATION_PIXELS: Final = 3  # around a part: the ring between the two dilations, where the truth is known, tests the fill
EDGE_DEPTH_PIXELS: Final = 2.1  # from the outline inwards: deeper pixels are not edge
ITERATIONS: Final = 3  # each weighs the evidence by the opacity of the one before


def fit_edge_alpha(marked_crops: Floats, fit: OpacityFit, predicted: MarkModel, notes: Notes = UNNOTED) -> MarkModel:
    """The model with an opacity below 1 at the edges of its opaque parts, where un-blending is better than a fill.

    marked_crops: (N, 3, h, w) in [0, 1]; predicted: the model as the matte network predicted it. The edge reaches beyond the mask, as far
    as the widest dilation.
    """
    model = fit.model
    crops, mask = subsample(marked_crops, MAX_FRAMES), model.pixels
    opacity, opacity_sigma = model.opacity.copy(), model.opacity_sigma.copy()
    for number, part in enumerate(split_parts(mask)):
        if part.any() and fit.opaque[part].all():
            around = dilate(part, WIDE_PIXELS) & ~(mask & ~part)
            opacity[around], opacity_sigma[around] = (values[around] for values in _solve_edge_alpha(crops, predicted, part))
            share = float((opacity[part] < 1).mean())
            outcome = "un-blended at its edge" if share > 0 else "filled to its edge"
            notes.of_part(number)("share of an opaque part's pixels that gain from un-blending", share, None, outcome)
    return replace(model, opacity=opacity, opacity_sigma=opacity_sigma)


def _solve_edge_alpha(crops: Floats, predicted: MarkModel, part: Mask) -> tuple[Floats, Floats]:
    """Opacity and opacity sigma (h, w) of an opaque part: 1, but for the edge pixels that gain from un-blending.

    The predicted opacity is the prior. The evidence is how far each pixel lies from the fill towards the mark's colour.
    """
    level = opacity_level(predicted.opacity, part)
    prior = np.clip(predicted.opacity / max(FULL_SHARE * level, 1e-3), 0, 1)
    prior_precision = 1 / np.square(np.maximum(predicted.opacity_sigma, MIN_OPACITY_SIGMA))
    fills, fill_power = fills_and_errors(crops, part)
    power, along = effect_sums(crops, fills, predicted.colour)
    opacity = prior
    for _ in range(ITERATIONS):
        variance = (np.square(1 - opacity) * fill_power + np.square(opacity) * COLOUR_ERROR**2) / min(len(crops), INDEPENDENT_FRAMES)
        precision = power / variance + prior_precision
        opacity = np.clip((along / variance + prior * prior_precision) / precision, 0, 1)
    sigma = 1 / np.sqrt(precision)
    pixel_power = np.square(np.maximum(sigma, MIN_SOLVED_SIGMA)) * power + np.square(opacity * MIN_SOLVED_SIGMA) + EDGE_CODEC_NOISE**2
    unblended_power = pixel_power / np.square(np.maximum(1 - opacity, MIN_OPACITY_SIGMA))
    gain = fill_power / (fill_power + unblended_power)
    deep = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > EDGE_DEPTH_PIXELS
    opacity = np.where((gain > MIN_GAIN) & ~deep, opacity, 1).astype(np.float32)
    return opacity, np.minimum(sigma, predicted.opacity_sigma).astype(np.float32)


def effect_sums(crops: Floats, fills: Floats, colour: Floats) -> tuple[Floats, Floats]:
    """(h, w) each, means over crops and channels: the square of a mark's effect on the fills, and that effect times what is seen of it."""
    power, along = np.zeros((2, *crops.shape[-2:]), np.float32)
    for crop, fill in zip(crops, fills, strict=True):
        effect = colour - fill
        power += np.square(effect).mean(0)
        along += (effect * (crop - fill)).mean(0)
    return power / np.float32(len(crops)), along / np.float32(len(crops))


def fills_and_errors(crops: Floats, part: Mask) -> tuple[Floats, Floats]:
    """The crops with the part filled, and the mean square error (h, w) of such a fill, which is assumed to be the same as beside it."""
    fills = np.stack([fill_hole(crop, part, FILL_DILATION_PIXELS) for crop in crops])
    beside = ring(part, FILL_DILATION_PIXELS, TRIAL_DILATION_PIXELS).astype(np.float32)
    error = np.zeros(part.shape, np.float32)
    for crop in crops:
        error += np.square(crop - fill_hole(crop, part, TRIAL_DILATION_PIXELS)).mean(0)
    roots = np.sqrt(np.sqrt(error / np.float32(len(crops))))  # over roots a letter that was missed hardly counts
    mean_root = mean_of_known(roots, beside, SURROUNDINGS_KERNEL_PIXELS)
    return fills, (HEAVY_TAIL_FACTOR * mean_root**4 + FILL_NOISE**2).astype(np.float32)
