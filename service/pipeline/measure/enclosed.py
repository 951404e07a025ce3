"""The pixels of an opaque mark that the networks missed and the mark surrounds, such as the inside of a plain logo. Pure."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE
from service.pipeline.measure.opacity import MIN_FRAMES
from service.pipeline.measure.opaque import OPAQUE_LEVEL
from service.pipeline.picture.morphology import dilate, ring

SURROUNDINGS_PIXELS: Final = 3  # from the mask: beyond it lies the scene
MAX_FROZEN_SURROUNDINGS: Final = 0.15  # of the pixels out there: if more of them are frozen, the scene stands still as well
UNLIKE_SCENE_RANGE: Final = (
    0.05,
    0.15,
)  # of a channel in [0, 1]: bounds of the threshold above which a difference from the fill is not scene
UNLIKE_SCENE_FACTOR = 2.5  # that least difference, over what is usual beside the mark
UNLIKE_SCENE_PIXELS = 2  # from the mask to where the usual difference is measured
MAX_PLAIN_GRADIENT: Final = 0.04  # of a channel in [0, 1], between neighbours in an area of one colour
MIN_PLAIN_PIXELS: Final = 30  # of such an area
PLAIN_OUTLINE_PIXELS: Final = 2  # from such an area to its outline, over the steep pixels between
PLAIN_GROWTH_PIXELS: Final = 6  # around such an area, searched for more pixels of its colour
MIN_MARK_OUTLINE: Final = 0.5  # of an area's outline must be mark


def frozen_pixels(crops: Floats, mask: Mask) -> Mask:
    """The pixels (h, w) next to the mask that do not change over time while the scene does, as those of an opaque mark.

    crops: (N, 3, h, w) in [0, 1]. The segmenter may see only the outline of a plain logo. Areas that reach the crops' edge are scene.
    """
    none = np.zeros_like(mask)
    if len(crops) < MIN_FRAMES or not mask.any():
        return none
    frozen = crops.std(0).mean(0) < DIFFERENCE_CODEC_NOISE
    beyond = ~dilate(mask, SURROUNDINGS_PIXELS)
    if not beyond.any() or float(frozen[beyond].mean()) > MAX_FROZEN_SURROUNDINGS:
        return none
    _, labels = cv2.connectedComponents((frozen | mask).astype(np.uint8))
    kept = np.setdiff1d(np.unique(labels[mask]), _labels_at_edge(labels))
    return np.isin(labels, kept[kept > 0]) & ~mask


def enclosed_pixels(crop: Floats, model: MarkModel) -> Mask:
    """The pixels (h, w) of a still (3, h, w) in [0, 1] that an opaque mark encloses and that are unlike the scene.

    The segmenter may see only a part of a plain logo's outline. So a plain area counts as enclosed if most of its outline is mark.
    Counters of letters are left out because they are like the scene around them. A translucent mark encloses nothing.
    """
    mask = model.pixels
    if not mask.any() or model.level < OPAQUE_LEVEL:
        return np.zeros_like(mask)
    known = mask | _plain_areas(crop, mask)
    outside = np.pad((~known).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 0)
    whole = known | (outside[1:-1, 1:-1] > 0)
    result: Mask = whole & ~mask & _unlike_scene(crop, whole)
    return result


def _unlike_scene(crop: Floats, mask: Mask) -> Mask:
    """The pixels (h, w) that differ from a fill of the mask by more than the scene beside the mask differs from a fill of its own."""
    beside = ring(mask, UNLIKE_SCENE_PIXELS, 2 * UNLIKE_SCENE_PIXELS)
    wide_fill = fill_hole(crop, mask, 2 * UNLIKE_SCENE_PIXELS)
    usual = np.percentile(np.abs(crop - wide_fill).max(0)[beside], 90) if beside.any() else np.inf
    min_difference = np.clip(UNLIKE_SCENE_FACTOR * usual, *UNLIKE_SCENE_RANGE)
    result: Mask = np.abs(crop - fill_hole(crop, mask)).max(0) > min_difference
    return result


def _plain_areas(crop: Floats, mask: Mask) -> Mask:
    """The pixels (h, w) beside the mask in areas of one colour most of whose outline is mark. Areas at the crop's edge are scene."""
    plain, square = np.zeros_like(mask), np.ones((3, 3), np.uint8)
    gradient = np.max([cv2.morphologyEx(channel, cv2.MORPH_GRADIENT, square) for channel in crop], axis=0)
    flat = ((gradient < MAX_PLAIN_GRADIENT) & ~mask).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    large, near_mask = np.flatnonzero(statistics[:, cv2.CC_STAT_AREA] >= MIN_PLAIN_PIXELS), dilate(mask, 1)
    for label in np.setdiff1d(large, [0, *_labels_at_edge(labels)]):
        area = labels == label
        outline = ring(area, PLAIN_OUTLINE_PIXELS - 1, PLAIN_OUTLINE_PIXELS)
        if near_mask[outline].mean() > MIN_MARK_OUTLINE:
            colour = np.median(crop[:, area], axis=1)[:, None, None]
            same_colour = np.abs(crop - colour).max(0) < 2 * MAX_PLAIN_GRADIENT
            plain |= dilate(area, PLAIN_OUTLINE_PIXELS) | dilate(dilate(area, PLAIN_GROWTH_PIXELS) & same_colour, 1)
    return plain & ~mask


def _labels_at_edge(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The labels of the areas that reach the edge of the crop."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
