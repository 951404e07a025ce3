"""The regions that a person gives: what the evaluation paints or frames around a mark, as people do."""

import cv2
import numpy as np

from service.pipeline.placement import Box, bounding_box
from training.metrics import Mask, dilated

REGIONS = ("mask", "box", "loose")
BRUSH_SHARE = 0.02  # of the picture's short side: how far a generous mask reaches beyond the mark
MIN_BRUSH_PIXELS = 5
FRAME_PIXELS = 3  # between the mark and a tight box
LOOSE_FACTOR = 2.0  # sides of a loose box, over those of a tight one


def region_given(name: str, marked: Mask) -> Mask:
    """The pixels (H, W) that a person gives for a mark that touches `marked` (H, W).

    mask: painted with a broad brush, over the gaps between the letters. box: just around the mark. loose: a box of twice its sides.
    """
    if name == "mask":
        return _painted(marked)
    tight = bounding_box(marked).expanded(FRAME_PIXELS, marked.shape[1], marked.shape[0])
    region = np.zeros_like(marked)
    region[(_doubled(tight, marked) if name == "loose" else tight).slices] = True
    return region


def _painted(marked: Mask) -> Mask:
    brush = max(MIN_BRUSH_PIXELS, round(BRUSH_SHARE * min(marked.shape)))
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * brush + 1, 4 * brush + 1))
    whole = cv2.morphologyEx(np.pad(marked, 4 * brush).astype(np.uint8), cv2.MORPH_CLOSE, element)
    return dilated(whole[4 * brush : -4 * brush, 4 * brush : -4 * brush] > 0, brush)


def _doubled(box: Box, marked: Mask) -> Box:
    grow_x, grow_y = (round(side * (LOOSE_FACTOR - 1) / 2) for side in (box.width, box.height))
    height, width = marked.shape
    return Box(max(0, box.left - grow_x), max(0, box.top - grow_y), min(width, box.right + grow_x), min(height, box.bottom + grow_y))
