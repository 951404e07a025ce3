"""What a person gives: the evaluation paints or frames a mark as people do, or follows it with a box that has keyframes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import cv2
import numpy as np

from service.pipeline.placement import Box, bounding_box, pixel_box
from service.timed_box import TimedBox
from training.metrics import Mask, dilated

KEYFRAMED = "keyframed"
DETECTED = "+detect"  # after the name of a region: marks are looked for as well
REGIONS = tuple(name + also for also in ("", DETECTED) for name in ("mask", "box", "loose", KEYFRAMED))
BRUSH_SHARE = 0.02  # of the picture's short side: how far a generous mask reaches beyond the mark
MIN_BRUSH_PIXELS = 5
FRAME_PIXELS = 3  # between the mark and a tight box
LOOSE_FACTOR = 2.0  # sides of a loose box, over those of a tight one
KEYFRAME_FRAMES = 15  # from one keyframe of a moving box to the next


@dataclass(frozen=True)
class Given:
    """A mask (H, W), or boxes, in pixels. detect: marks are looked for as well."""

    boxes: tuple[TimedBox, ...] = ()
    mask: Mask | None = field(default=None, repr=False)
    detect: bool = False

    def region(self, size: tuple[int, int], seconds: float) -> Mask:
        """The pixels given at a time, in a picture of the size (height, width)."""
        region = np.zeros(size, bool) if self.mask is None else self.mask.copy()
        for box in self.boxes:
            if box.covers(seconds):
                region[pixel_box(box, size[1], size[0], seconds).slices] = True
        return region


def given(name: str, marked: Sequence[Mask], seconds: Sequence[float]) -> Given:
    """What a person gives for a mark that touches `marked`, (H, W) for each frame. seconds: when each frame is shown.

    mask: painted with a broad brush, over the gaps between the letters. box: just around the mark. loose: a box of twice its sides.
    keyframed: a box just around the mark, set in every 15th frame, which moves evenly in between. A mark that jumps gets boxes for each
    place. With "+detect" marks are looked for as well.
    """
    shape, detect = name.removesuffix(DETECTED), name.endswith(DETECTED)
    if shape == "mask":
        return Given(mask=_painted(np.logical_or.reduce(marked)), detect=detect)
    stays = list(_stays(marked))
    if shape == KEYFRAMED:
        return Given(tuple(box for first, last in stays for box in _path(marked, seconds, first, last)), detect=detect)
    boxes = []
    for first, last in stays:
        touched = np.logical_or.reduce(marked[first : last + 1])
        tight = _tight(touched)
        interval = (seconds[first], seconds[last]) if len(stays) > 1 else (None, None)
        boxes.append(_timed(_doubled(tight, touched) if shape == "loose" else tight, interval))
    return Given(tuple(boxes), detect=detect)


def _stays(marked: Sequence[Mask]) -> Iterator[tuple[int, int]]:
    """The first and last frame of each interval within which the mark does not jump: it overlaps where it was."""
    first, last, touched = -1, -1, np.zeros_like(marked[0])
    for frame, here in enumerate(marked):
        if here.any() and not (here & touched).any():
            if first >= 0:
                yield first, last
            first, touched = frame, np.zeros_like(here)
        if here.any():
            last, touched = frame, touched | here
    if first >= 0:
        yield first, last


def _painted(marked: Mask) -> Mask:
    brush = max(MIN_BRUSH_PIXELS, round(BRUSH_SHARE * min(marked.shape)))
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * brush + 1, 4 * brush + 1))
    whole = cv2.morphologyEx(np.pad(marked, 4 * brush).astype(np.uint8), cv2.MORPH_CLOSE, element)
    return dilated(whole[4 * brush : -4 * brush, 4 * brush : -4 * brush] > 0, brush)


def _tight(marked: Mask) -> Box:
    return bounding_box(marked).expanded(FRAME_PIXELS, marked.shape[1], marked.shape[0])


def _doubled(box: Box, marked: Mask) -> Box:
    grow_x, grow_y = (round(side * (LOOSE_FACTOR - 1) / 2) for side in (box.width, box.height))
    height, width = marked.shape
    return Box(max(0, box.left - grow_x), max(0, box.top - grow_y), min(width, box.right + grow_x), min(height, box.bottom + grow_y))


def _path(marked: Sequence[Mask], seconds: Sequence[float], start: int, stop: int) -> Iterator[TimedBox]:
    """A box from each keyframe to the next, from one frame to another, while the mark is in the picture."""
    for first, last in _runs(marked, range(start, stop + 1)):
        keys = [*range(first, last, KEYFRAME_FRAMES), last]
        if first == last:
            yield _timed(_tight(marked[first]), (seconds[first], seconds[last]))
        for one, other in pairwise(keys):
            yield _timed(_tight(marked[one]), (seconds[one], seconds[other]), _tight(marked[other]))


def _runs(marked: Sequence[Mask], among: range) -> Iterator[tuple[int, int]]:
    """The first and last frame of each interval in which the mark is wholly in the picture, or at its edge, which may cut it off."""
    for is_cut, run in groupby(among, key=lambda frame: _is_cut(marked[frame])):
        frames = list(run)
        if is_cut is not None:
            yield frames[0], frames[-1]


def _is_cut(marked: Mask) -> bool | None:
    """Whether a mark touches the picture's edge; None where there is none."""
    edges = marked[0], marked[-1], marked[:, 0], marked[:, -1]
    return any(edge.any() for edge in edges) if marked.any() else None


def _timed(box: Box, interval: tuple[float | None, float | None] = (None, None), end: Box | None = None) -> TimedBox:
    x1, y1, x2, y2 = (float(value) for value in (box.left, box.top, box.right, box.bottom))
    return TimedBox(x1, y1, x2, y2, *interval, None if end is None else (end.left, end.top, end.right, end.bottom))
