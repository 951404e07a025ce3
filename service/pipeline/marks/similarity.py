"""How similar two shapes are: overlap of masks, correlation of values. Pure."""

from typing import Final

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.picture.view import crop_padded
from service.pipeline.placement import bounding_box

# Shapes.
MIN_VALUE: Final = 0.1  # opacity or probability above which a pixel belongs to a shape
EDGE_PIXELS: Final = 3  # around a shape, compared with it: its outline is a part of it
MAX_SIZE_RATIO: Final = 4.0  # of two marks' areas, either way: beyond it they are not compared


def iou(left: Mask, right: Mask) -> float:
    """Intersection over union of two masks (h, w), in [0, 1]; 0 if both are empty."""
    union = np.count_nonzero(left | right)
    return np.count_nonzero(left & right) / union if union else 0.0


def correlation(left: Floats, right: Floats) -> float:
    """Pearson correlation of two arrays of one shape, in [-1, 1]; 0 if one of them is constant."""
    x, y = (values - values.mean(dtype=np.float64) for values in (left, right))
    power = float(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / np.sqrt(power)) if power > 0 else 0.0


def match_shapes(known: Floats, other: Floats) -> tuple[float, int, int]:
    """(correlation, top, left) of two shapes (h, w) at their best shift: `known`'s (0, 0) lies at the other's (top, left)."""
    known_pixels, other_pixels = known > MIN_VALUE, other > MIN_VALUE
    if not known_pixels.any() or not other_pixels.any():
        return 0.0, 0, 0
    if not 1 / MAX_SIZE_RATIO < float(known_pixels.sum()) / float(other_pixels.sum()) < MAX_SIZE_RATIO:
        return 0.0, 0, 0
    box = bounding_box(known_pixels)
    top, left = box.top - EDGE_PIXELS, box.left - EDGE_PIXELS
    height, width = box.height + 2 * EDGE_PIXELS, box.width + 2 * EDGE_PIXELS
    if height > 2 * other.shape[0] or width > 2 * other.shape[1]:
        return 0.0, 0, 0
    pad_y, pad_x = height // 2 + 1, width // 2 + 1
    template = np.ascontiguousarray(crop_padded(known, top, left, height, width, repeat_edge=False))
    padded = np.pad(other, ((pad_y, pad_y), (pad_x, pad_x)))
    correlation = cv2.matchTemplate(padded, template, cv2.TM_CCOEFF_NORMED)
    energy = cv2.matchTemplate(padded * padded, np.ones_like(template), cv2.TM_CCORR)
    correlation[energy < float(np.square(template).sum()) / MAX_SIZE_RATIO**2] = 0  # where there is almost no energy it means nothing
    _, best, _, (x, y) = cv2.minMaxLoc(correlation)
    return float(best), y - pad_y - top, x - pad_x - left
