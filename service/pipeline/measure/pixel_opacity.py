"""The opacity of each pixel by itself, from many scenes seen through it: for a mark that moves over the scene. Pure."""

from dataclasses import replace
from typing import Final

import numpy as np

from models.arrays import Floats, Mask
from models.blend import mean_of_known
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.dilation import NARROW_PIXELS
from service.pipeline.measure.noise import EDGE_CODEC_NOISE, FILL_NOISE, MIN_OPACITY_SIGMA, SURROUNDINGS_KERNEL_PIXELS
from service.pipeline.measure.opaque import OPAQUE_LEVEL
from service.pipeline.picture.morphology import dilate, ring

MIN_EDGE_SHARE = 0.15  # of the mark's level: fainter pixels lie beyond its edge
ITERATIONS: Final = 3  # each weighs the evidence by the opacity of the one before
HEAVY_TAIL_FACTOR: Final = 1.3  # mean square of a fill's errors over the fourth power of the mean of their fourth roots
FILL_DILATION_PIXELS: Final = 1  # around a part, filled with it
TRIAL_DILATION_PIXELS: Final = 3  # around a part: the ring between the two dilations, where the truth is known, tests the fill


def fit_pixel_opacity(crops: Floats, model: MarkModel, scenes: float) -> MarkModel:
    """The model with the opacity of each pixel, and one shift of its colour, that explain the crops (N, 3, h, w) in [0, 1].

    A fill of the mark's place stands for the scene. Its errors differ from scene to scene, so that over many they cancel out, while the
    model, which is the prior, was fitted as a whole and errs at thin strokes. Opaque pixels stay opaque. scenes: how many of the crops show
    different scenes.
    """
    shown = model.opacity * model.mask
    if not model.pixels.any() or model.level >= OPAQUE_LEVEL:
        return model
    whole = dilate(shown > MIN_EDGE_SHARE * model.level, NARROW_PIXELS)
    part = whole & (shown < OPAQUE_LEVEL)
    fills, fill_power = fills_and_errors(crops, whole)
    prior, prior_precision = shown, 1 / np.square(np.maximum(model.opacity_sigma, MIN_OPACITY_SIGMA))
    opacity, colour = prior, model.colour
    for _ in range(ITERATIONS):
        effect = colour - fills
        power, along = np.square(effect).mean((0, 1)), (effect * (crops - fills)).mean((0, 1))
        variance = (np.square(1 - opacity) * fill_power + EDGE_CODEC_NOISE**2) / scenes
        precision = power / variance + prior_precision
        opacity = np.where(part, np.clip((along / variance + prior * prior_precision) / precision, 0, 1), shown)
        missing = (opacity * part * (crops - fills - opacity * effect)).mean(0)
        shift = missing.sum((1, 2)) / max(float(np.square(opacity * part).sum()), MIN_OPACITY_SIGMA)
        colour = np.clip(colour + shift[:, None, None], 0, 1).astype(np.float32)
    sigma = np.where(part, 1 / np.sqrt(precision), model.opacity_sigma)
    mask = np.where(part, np.float32(1), model.mask)
    return replace(model, mask=mask, opacity=opacity.astype(np.float32), colour=colour, opacity_sigma=sigma.astype(np.float32))


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
