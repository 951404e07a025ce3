"""Step 5 in between: what belongs to a mark that hides the scene though it was not seen, such as the inside of a plain logo. Pure."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.opacity import MIN_FRAMES, OPAQUE_LEVEL
from service.pipeline.picture.morphology import dilate

Floats = NDArray[np.float32]

MAX_FROZEN_STD: Final = 0.012  # standard deviation over time, of the brightness in [0, 1], that a codec makes of what does not change
SURROUNDINGS_PIXELS: Final = 3  # from a mark on it is the scene
MAX_FROZEN_SURROUNDINGS: Final = 0.15  # of the pixels around a mark: with more the scene stands still as well
UNLIKE_SCENE_RANGE: Final = (0.05, 0.15)  # of the brightness of any colour, by which a fill from around differs at least
UNLIKE_SCENE_FACTOR, UNLIKE_SCENE_PIXELS = 2.5, 2  # and so many times as much as beyond so many pixels from a mark
MAX_PLAIN_GRADIENT: Final = 0.04  # of the brightness of any colour, between neighbours in an area of one colour
MIN_PLAIN_PIXELS: Final = 30
PLAIN_OUTLINE_PIXELS: Final = 2  # from such an area to where it ends
PLAIN_GROWTH_PIXELS: Final = 6  # to there it may go on
MIN_MARK_OUTLINE: Final = 0.5  # of an area's outline


def frozen_pixels(inside: Floats, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels (h, w) beside the mask's that do not change over time, as those of an opaque mark, in a scene that does.

    Of a plain logo the segmenter may see the outline only. What reaches the edge of the crops is the scene.
    """
    none = np.zeros_like(mask)
    if len(inside) < MIN_FRAMES or not mask.any():
        return none
    rest = inside.std(0).mean(0) < MAX_FROZEN_STD
    beside = ~dilate(mask, SURROUNDINGS_PIXELS)
    if not beside.any() or float(rest[beside].mean()) > MAX_FROZEN_SURROUNDINGS:
        return none
    _, labels = cv2.connectedComponents((rest | mask).astype(np.uint8))
    kept = np.setdiff1d(np.unique(labels[mask]), _labels_at_edge(labels))
    return np.isin(labels, kept[kept > 0]) & ~mask


def enclosed_pixels(crop: Floats, model: MarkModel) -> NDArray[np.bool_]:
    """The pixels (h, w) of a single picture (3, h, w) that a dense mark encloses and that are unlike the scene: its inside.

    Of a plain logo the segmenter may see a part of the outline only. A plain area most of whose outline is mark is its inside too.
    Counters of letters are like the scene around. A mark that the scene shines through has none.
    """
    mask = model.mask > 0.5
    if not mask.any() or np.percentile(model.opacity[mask], 90) < OPAQUE_LEVEL:
        return np.zeros_like(mask)
    seen = mask | _plain_areas(crop, mask)
    beyond = np.pad((~seen).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(beyond, None, (0, 0), 0)
    whole = seen | (beyond[1:-1, 1:-1] > 0)
    found: NDArray[np.bool_] = whole & ~mask & _unlike_scene(crop, whole)
    return found


def _unlike_scene(crop: Floats, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels (h, w) that differ from a fill of the mask by more than the scene beside it does from such a fill."""
    ring = dilate(mask, 2 * UNLIKE_SCENE_PIXELS) & ~dilate(mask, UNLIKE_SCENE_PIXELS)
    usual = np.percentile(np.abs(crop - fill_hole(crop, mask, 2 * UNLIKE_SCENE_PIXELS)).max(0)[ring], 90) if ring.any() else np.inf
    found: NDArray[np.bool_] = np.abs(crop - fill_hole(crop, mask)).max(0) > np.clip(UNLIKE_SCENE_FACTOR * usual, *UNLIKE_SCENE_RANGE)
    return found


def _plain_areas(crop: Floats, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels beside the mask, in areas of one colour, most of whose outline is mask. What reaches the edge of the crop is the scene."""
    inside, square = np.zeros_like(mask), np.ones((3, 3), np.uint8)
    steps = np.max([cv2.morphologyEx(channel, cv2.MORPH_GRADIENT, square) for channel in crop], axis=0)
    _, labels, figures, _ = cv2.connectedComponentsWithStats(((steps < MAX_PLAIN_GRADIENT) & ~mask).astype(np.uint8), connectivity=4)
    large, near = np.flatnonzero(figures[:, cv2.CC_STAT_AREA] >= MIN_PLAIN_PIXELS), dilate(mask, 1)
    for label in np.setdiff1d(large, [0, *_labels_at_edge(labels)]):
        area = labels == label
        outline = dilate(area, PLAIN_OUTLINE_PIXELS) & ~dilate(area, PLAIN_OUTLINE_PIXELS - 1)
        if near[outline].mean() > MIN_MARK_OUTLINE:
            colour = np.median(crop[:, area], axis=1)[:, None, None]
            alike = np.abs(crop - colour).max(0) < 2 * MAX_PLAIN_GRADIENT
            inside |= dilate(area, PLAIN_OUTLINE_PIXELS) | dilate(dilate(area, PLAIN_GROWTH_PIXELS) & alike, 1)
    return inside & ~mask


def _labels_at_edge(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The labels of what reaches the edge of the crop: the scene does."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
