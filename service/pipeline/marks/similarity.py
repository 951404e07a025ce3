"""How alike two shapes are: overlap of masks, correlation of values. Pure."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def iou(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks (h, w), in [0, 1]; 0 where both are empty."""
    either = int((left | right).sum())
    return int((left & right).sum()) / either if either else 0.0


def correlation(one: Floats, other: Floats) -> float:
    """Pearson correlation of two arrays of one shape, in [-1, 1]; 0 where one of them is flat."""
    x, y = (values - values.mean(dtype=np.float64) for values in (one, other))
    power = float(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / np.sqrt(power)) if power > 0 else 0.0
