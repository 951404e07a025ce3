"""Grow a person's moving boxes to the mark where it is seen to reach beyond them: it seldom moves as evenly as a box between two places."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from models.arrays import Bytes
from service.inference.batcher import Batcher
from service.pipeline.locate.follow import SEARCH_PIXELS, find_shape
from service.pipeline.locate.moving_marks import seen_alone
from service.pipeline.locate.segment import analysis_size
from service.pipeline.locate.track import MIN_PROBABILITY
from service.pipeline.marks.agreement import RIM_PIXELS, Look, look_at
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Kind, bounding_box, hull, shared_slices
from service.pipeline.request import BoxInterval
from service.pipeline.video import Frame, VideoInfo

BoxPath = list[BoxInterval]  # a moving box: one for each frame


def grow_to_marks(frames: Iterable[Frame], info: VideoInfo, paths: Sequence[BoxPath], network: Batcher) -> list[BoxPath]:
    """The boxes of each path grown to hold the mark that is seen in it; as given where none is seen.

    `network` is the segmenter. What was given stays in the box, so that nothing is lost where it is mistaken.
    """
    width, height = analysis_size(info)
    watched = [_Watched(path, info, network) for path in paths]
    for frame in frames:
        wanted = [one for one in watched if frame.index in one.boxes]
        if wanted:
            picture = shrink_rgb(frame, info, width, height)
            for one in wanted:
                one.look(frame.index, picture)
    return [[(index, index, box) for index, box in one.boxes.items()] for one in watched]


class _Watched:
    """One path: what is first seen inside its box is looked for near it from then on."""

    def __init__(self, path: BoxPath, info: VideoInfo, network: Batcher) -> None:
        self.boxes = {first: box for first, _, box in path}
        self._info, self._network = info, network
        self._classes: frozenset[Kind] = frozenset({"overlay"})
        width, height = analysis_size(info)
        self._scales = info.width / width, info.height / height
        self._shape: Look | None = None
        self._offset: tuple[float, float] = 0.0, 0.0  # of the shape's (0, 0) from the middle of its box, in (y, x)

    def look(self, index: int, picture: Bytes) -> None:
        """Look for the mark in the next frame of the path, (h, w, 3) at analysis size."""
        box = self._small(self.boxes[index])
        if self._shape is None:
            self._begin(picture, box)
            return
        middle_y, middle_x = _middle(box)
        expected = View(round(middle_y + self._offset[0]), round(middle_x + self._offset[1]), *self._shape.probability.shape)
        found = find_shape(self._shape, picture, expected, self._network, self._classes)
        if found is not None:
            self.boxes[index] = hull(self.boxes[index], self._native(found.view))

    def _begin(self, picture: Bytes, box: Box) -> None:
        """Take what is seen inside the box as the shape to look for."""
        around = box.expanded(SEARCH_PIXELS, picture.shape[1], picture.shape[0])
        part = np.ascontiguousarray(picture[around.slices])
        probability = seen_alone(part, self._network, self._classes)
        inside, _ = shared_slices(around, box)
        seen = np.zeros_like(probability, bool)
        seen[inside] = probability[inside] > MIN_PROBABILITY
        if seen.any():
            inner, (middle_y, middle_x) = bounding_box(seen), _middle(box)
            view = View.of(inner, RIM_PIXELS)
            self._shape = look_at(part, np.where(seen, probability, np.float32(0))).crop(view)
            self._offset = around.top + view.top - middle_y, around.left + view.left - middle_x

    def _small(self, box: Box) -> Box:
        """A box of the video at analysis size."""
        scale_x, scale_y = self._scales
        left, top = int(box.left / scale_x), int(box.top / scale_y)
        return Box(left, top, max(left + 1, math.ceil(box.right / scale_x)), max(top + 1, math.ceil(box.bottom / scale_y)))

    def _native(self, view: View) -> Box:
        """The box of the shape in the video, with the pixels that its scale leaves in doubt."""
        (scale_x, scale_y), inner = self._scales, view.grown(-RIM_PIXELS)
        left, top = max(0, int(inner.left * scale_x)), max(0, int(inner.top * scale_y))
        right = min(self._info.width, math.ceil((inner.left + inner.width) * scale_x))
        bottom = min(self._info.height, math.ceil((inner.top + inner.height) * scale_y))
        return Box(left, top, right, bottom).expanded(1 + math.ceil(scale_x), self._info.width, self._info.height)


def _middle(box: Box) -> tuple[float, float]:
    """(y, x)."""
    return (box.top + box.bottom) / 2, (box.left + box.right) / 2
