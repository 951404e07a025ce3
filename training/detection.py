"""Runs the shipped segmenter on a sample's crops, so that the matte network learns from its real errors."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models import registry, spec
from service.inference.batcher import Batcher
from service.inference.session import load_batcher
from service.pipeline.locate.segment import long_exposures, mark_probability
from service.pipeline.measure.observe import blend_probabilities

Array = NDArray[np.float32]


def detected_probability(crops: Array, scale: float) -> Array:
    """The mark's probability (h, w) in crops (N, 3, h, w) in [0, 1] of one interval: both passes of the service blended.

    `scale`: of the first pass, on shrunk crops; the second pass is at full size.
    """
    height, width = crops.shape[-2:]
    exposures = long_exposures(crops)
    fine = _mean_probability(exposures)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.stack([cv2.resize(crop.transpose(1, 2, 0), size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1) for crop in exposures])
    if scale == 1:
        return blend_probabilities(fine, fine, scale)
    coarse = cv2.resize(_mean_probability(small), (width, height), interpolation=cv2.INTER_LINEAR)
    return blend_probabilities(fine, np.asarray(coarse, np.float32), scale)


def _mean_probability(pictures: Array) -> Array:
    return np.asarray(mark_probability(pictures, shipped_segmenter(), frozenset({"overlay"})).mean(0), np.float32)


@cache
def shipped_segmenter() -> Batcher:
    """The shipped segmenter, on one CPU thread."""
    return load_batcher(spec.SEGMENTER, registry.find(spec.SEGMENTER), "cpu", threads=1)
