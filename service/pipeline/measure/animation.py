"""How much a mark changes from frame to frame, as an animated one does. Pure."""

from dataclasses import replace

import cv2
import numpy as np

from models.arrays import Floats
from models.blend import mean_of_known
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.noise import SURROUNDINGS_KERNEL_PIXELS, UNBLENDED_NOISE
from service.pipeline.picture.morphology import dilate
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS, MIN_ANIMATION_SIGMA

MIN_FRAMES = 8  # crops that are needed to see whether a mark changes
ANIMATION_REACH_PIXELS = 10  # around the mask, filled as well: an animated outline may be there at times
MIN_LOCAL_PRESENCE = 0.5  # of the mark's effect in that square: with less, this part of it is not in the frame
FILL_NOISE_FACTOR = 4.0  # times a fill's variance: a smaller variance is the scene's


def add_animation_sigma(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The model with a larger opacity sigma where the mark changes from frame to frame, and beside such pixels, which it covers at times.

    Elsewhere outside the mask the sigma stays below MIN_ANIMATION_SIGMA. marked_crops: (N, 3, h, w) in [0, 1].
    """
    variation = opacity_variation(marked_crops, model)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ANIMATION_PIXELS + 1, 2 * ANIMATION_PIXELS + 1))
    swing = cv2.dilate(np.where(variation > MIN_ANIMATION_SIGMA, variation, np.float32(0)), reach)
    inside = np.hypot(model.opacity_sigma, variation)
    outside = np.maximum(swing, np.minimum(model.opacity_sigma, 0.9 * MIN_ANIMATION_SIGMA))
    opacity_sigma = np.minimum(np.where(model.mask > 0, inside, outside), 1)
    return replace(model, opacity_sigma=opacity_sigma.astype(np.float32, copy=False))


def opacity_variation(marked_crops: Floats, model: MarkModel) -> Floats:
    """Standard deviation (h, w) of the opacity from frame to frame, as at the outline of an animated mark; 0 where there are few crops.

    The median over several stretches of time: a part of the scene that crosses the mark once is no animation.
    """
    if len(marked_crops) < 2 * MIN_FRAMES:
        return np.zeros_like(model.mask)
    stretches = np.array_split(marked_crops, len(marked_crops) // MIN_FRAMES)
    variations = np.stack([_variation_over(stretch, model) for stretch in stretches])
    result: Floats = np.quantile(variations, 0.5, axis=0, method="lower")
    return result


def _variation_over(marked_crops: Floats, model: MarkModel) -> Floats:
    """Standard deviation (h, w) of the difference between the opacity that explains each crop over a fill, and the model's.

    Only the variance that exceeds the fill's own error counts. That error is estimated from the un-blended pixels all around, most of which
    do not change; over roots, so that the few that do change hardly count.
    """
    wide = dilate(model.mask > 0, ANIMATION_REACH_PIXELS)
    opacity = np.minimum(model.opacity * model.mask, np.float32(0.96))
    known, kernel = np.square(1 - opacity) * wide, (SURROUNDINGS_KERNEL_PIXELS, SURROUNDINGS_KERNEL_PIXELS)
    weights, total, squares, noise = np.zeros((4, *model.mask.shape), np.float32)
    for crop in marked_crops:
        fill = fill_hole(crop, wide)
        effect = model.colour - fill
        power = np.square(effect).sum(0) + UNBLENDED_NOISE
        residual = crop - fill - opacity * effect
        offset = cv2.GaussianBlur((residual * effect).sum(0) / power, (3, 3), 0)
        error = np.sqrt(np.square(residual).sum(0)) / (1 - opacity)
        fill_power = mean_of_known(np.sqrt(error), known, SURROUNDINGS_KERNEL_PIXELS) ** 4
        shown = cv2.blur(((crop - fill) * opacity * effect).sum(0), kernel)
        expected = cv2.blur(np.square(opacity * effect).sum(0), kernel)
        present = shown > MIN_LOCAL_PRESENCE * expected
        weights = weights + present * power
        total = total + present * power * offset
        squares = squares + present * power * np.square(offset)
        noise = noise + present * (np.square(1 - opacity) * fill_power + UNBLENDED_NOISE)
    weights = np.maximum(weights, np.float32(1e-6))
    variance = squares / weights - np.square(total / weights) - FILL_NOISE_FACTOR * noise / weights
    result: Floats = np.sqrt(np.maximum(variance, 0))
    return result
