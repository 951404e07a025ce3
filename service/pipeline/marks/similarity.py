"""How similar two shapes are: overlap of masks, correlation of values. Pure."""

import numpy as np

from models.arrays import Floats, Mask


def iou(left: Mask, right: Mask) -> float:
    """Intersection over union of two masks (h, w), in [0, 1]; 0 if both are empty."""
    union = int((left | right).sum())
    return int((left & right).sum()) / union if union else 0.0


def correlation(left: Floats, right: Floats) -> float:
    """Pearson correlation of two arrays of one shape, in [-1, 1]; 0 if one of them is constant."""
    x, y = (values - values.mean(dtype=np.float64) for values in (left, right))
    power = float(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / np.sqrt(power)) if power > 0 else 0.0
