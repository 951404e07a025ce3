"""The opacity of each pixel by itself, from many scenes seen through it: for a mark that moves over the scene. Pure."""

from dataclasses import replace

import numpy as np

from models.arrays import Floats
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.dilation import NARROW_PIXELS
from service.pipeline.measure.edge_alpha import ITERATIONS, fills_and_errors
from service.pipeline.measure.noise import EDGE_CODEC_NOISE, MIN_OPACITY_SIGMA
from service.pipeline.measure.opaque import OPAQUE_LEVEL
from service.pipeline.picture.morphology import dilate

MIN_EDGE_SHARE = 0.15  # of the mark's level: fainter pixels lie beyond its edge


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
