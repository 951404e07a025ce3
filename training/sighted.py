"""What the segmenter that is served sees of a sample's crops: the matte head learns from its true mistakes."""

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


def sighted(crops: Array, scale: float) -> Array:
    """(N, 3, h, w) in [0, 1] of one stay -> (h, w), the probability after the look from afar, shrunk to `scale`, and from near."""
    height, width = crops.shape[-2:]
    looks = long_exposures(crops)
    near = _seen(looks)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.stack([cv2.resize(look.transpose(1, 2, 0), size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1) for look in looks])
    afar = near if scale == 1 else np.asarray(cv2.resize(_seen(small), (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return blend_probabilities(near, afar, scale)


def _seen(pictures: Array) -> Array:
    return np.asarray(mark_probability(pictures, shipped_segmenter(), frozenset({"overlay"})).mean(0), np.float32)


@cache
def shipped_segmenter() -> Batcher:
    """The network that is served, on one thread."""
    return load_batcher(spec.SEGMENTER, registry.find(spec.SEGMENTER), "cpu", threads=1)
