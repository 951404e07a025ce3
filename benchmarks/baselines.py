"""Baselines that get the exact mask: the classical fills, delogo, and the oracle.

All take the decoded pictures of the marked file, RGB (H, W, 3) uint8, and yield pictures of the same shape, changed only inside the mask.
The true mask is alpha > 0.03, dilated 5x5; where a person gives a region, they get that instead. Pictures are not encoded again, which
favours the baselines.
"""

from collections.abc import Iterable, Iterator

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Scene
from benchmarks.media import Picture, frames_of, is_photo, to_rgb
from service.pipeline.placement import Box
from training.metrics import Mask, dilated
from training.watermarks import placed

RADIUS_PIXELS = 3
MASK_ALPHA = 0.03

# OpenCV's fills read at most `radius + 1` pixels around a filled one, and measure distances to the mask up to twice the radius.
# With this margin a crop gives the same bytes as the whole picture (see the test).
MARGIN_PIXELS = 16

FILLS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}
BASELINES = (*FILLS, "delogo")


def methods(scene: Scene) -> tuple[str, ...]:
    """The methods with which a scene is compared. delogo works on videos only, and the oracle needs a translucent mark."""
    names = ("marked", *FILLS) if is_photo(scene.marked) else ("marked", *BASELINES)
    return (*names, "oracle") if scene.translucent else names


def pictures(name: str, scene: Scene) -> Iterator[NDArray[np.uint8] | NDArray[np.float32]]:
    """The (H, W, 3) pictures of a method: "marked", "oracle" or one of `BASELINES`."""
    if name == "marked":
        return scene.pictures()
    if name == "oracle":
        return oracle(scene)
    if name == "delogo":
        return delogo(frames_of(scene.marked), list(masks_of(scene)))
    masks = masks_of(scene)
    return (inpaint(picture, mask, FILLS[name]) for picture, mask in zip(scene.pictures(), masks, strict=True))


def masks_of(scene: Scene) -> Iterator[Mask]:
    """The (H, W) mask of each frame that the baselines get."""
    return scene.regions() if scene.given else (true_mask(alpha) for alpha in scene.alphas())


def true_mask(alpha: NDArray[np.float32]) -> Mask:
    """The mark's pixels (H, W), with a margin."""
    return dilated(alpha > MASK_ALPHA, 2)


def oracle(scene: Scene) -> Iterator[NDArray[np.float32]]:
    """The marked pictures un-blended with the true opacity and colour, in [0, 255], clipped but not rounded."""
    for picture, patch in zip(scene.pictures(), scene.mark.patches, strict=True):
        alpha, colour = placed(patch, *scene.size, 0, 0)
        where = alpha > 0
        restored = picture.astype(np.float32)
        a = alpha[where][:, None]
        restored[where] = np.clip((restored[where] - a * colour[where] * 255) / (1 - a), 0, 255)
        yield restored


def inpaint(picture: Picture, mask: Mask, method: int) -> Picture:
    """OpenCV's fill with radius 3, computed only around the mask but equal to that of the whole picture."""
    filled = picture.copy()
    labels, boxes = groups(mask)
    for label, box in enumerate(boxes, start=1):
        inside = mask[box.slices] & (labels[box.slices] == label)
        crop = cv2.inpaint(picture[box.slices], inside.astype(np.uint8), RADIUS_PIXELS, method)
        filled[box.slices][inside] = crop[inside]
    return filled


def groups(mask: Mask) -> tuple[NDArray[np.int32], list[Box]]:
    """Parts of a mask that are too far apart to affect each other: labels (H, W) from 1, and a box with margin around each."""
    reach = 2 * MARGIN_PIXELS + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    return labels, [Box(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in stats[1:count]]


def delogo(frames: Iterable[av.VideoFrame], masks: list[Mask]) -> Iterator[Picture]:
    """FFmpeg's delogo filter on decoded 4:2:0 frames, with the tightest boxes for each interval of the mark.

    PyAV's FFmpeg is built without this filter; `delogo_yuv420` gives the same bytes (compared with FFmpeg 5.1).
    """
    boxes_of = [boxes for first, last, boxes in intervals(masks) for _ in range(first, last + 1)]
    for frame, boxes in zip(frames, boxes_of, strict=True):
        planes = frame.to_ndarray(format="yuv420p")
        for box in boxes:
            delogo_yuv420(planes, box)
        restored = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        restored.colorspace, restored.color_range = frame.colorspace, frame.color_range
        yield to_rgb(restored)


def intervals(masks: list[Mask]) -> list[tuple[int, int, list[Box]]]:
    """The intervals in which the mark is at one place: (first, last, boxes around its parts), covering all frames."""
    runs: list[tuple[int, int, Mask]] = []
    for index, mask in enumerate(masks):
        if runs and _same_interval(runs[-1][2], mask):
            first, _, union = runs.pop()
            runs.append((first, index, union | mask))
        else:
            runs.append((index, index, mask))
    return [(first, last, [_fillable(box, mask) for box in _tight_boxes(mask)]) for first, last, mask in runs]


def _same_interval(union: Mask, mask: Mask) -> bool:
    return bool((union & mask).any()) or not (union.any() or mask.any())


def _tight_boxes(mask: Mask) -> list[Box]:
    labels, boxes = groups(mask)
    return [_bounds(mask & (labels == label)) for label in range(1, len(boxes) + 1)]


def _bounds(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _fillable(box: Box, mask: Mask) -> Box:
    """The box with a margin of one pixel, off the picture's edge: delogo requires a border around its box."""
    height, width = mask.shape
    return Box(max(1, box.left - 1), max(1, box.top - 1), min(width - 1, box.right + 1), min(height - 1, box.bottom + 1))


def delogo_yuv420(planes: NDArray[np.uint8], box: Box) -> None:
    """Fill a box of luma pixels in the planes of a yuv420p array (H * 3 / 2, W), in place; width and height must be even."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    bordered = Box(box.left - 1, box.top - 1, box.right + 1, box.bottom + 1)
    halved = Box(bordered.left // 2, bordered.top // 2, (bordered.right + 1) // 2, (bordered.bottom + 1) // 2)
    _fill_from_border(planes[:height][bordered.slices])
    for plane in planes[height:].reshape(2, height // 2, width // 2):
        _fill_from_border(plane[halved.slices])


def _fill_from_border(area: NDArray[np.uint8]) -> None:
    """Fill the inside of (h, w) from its outermost rows and columns, in place.

    Each pixel is the mean of the four border pixels in its row and column, each smoothed over three, weighted by inverse distance.
    """
    height, width = area.shape
    known = area.astype(np.int64)
    to_top, to_left = np.arange(1, height - 1)[:, None], np.arange(1, width - 1)[None, :]
    to_bottom, to_right = height - 1 - to_top, width - 1 - to_left
    left, right = _sum_of_three(known[:, 0])[:, None], _sum_of_three(known[:, -1])[:, None]
    top, bottom = _sum_of_three(known[0])[None, :], _sum_of_three(known[-1])[None, :]
    across, down = to_left * to_right, to_top * to_bottom
    total = (left * to_right + right * to_left) * down + (top * to_bottom + bottom * to_top) * across
    weight = 3 * ((to_left + to_right) * down + (to_top + to_bottom) * across)
    area[1:-1, 1:-1] = (total + weight // 2) // weight


def _sum_of_three(border: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of each inner border pixel and its two neighbours: (N,) -> (N - 2,)."""
    return border[:-2] + border[1:-1] + border[2:]
