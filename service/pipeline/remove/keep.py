"""Boxes that a person wants kept: nothing changes in them, whatever is found there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Mask
from service.pipeline.placement import Box, Placement, intersect, shared_slices
from service.pipeline.request import box_intervals
from service.pipeline.video import Frame, PixelFormat, Timeline, VideoInfo
from service.timed_box import TimedBox


@dataclass(frozen=True)
class KeptBoxes:
    """What is kept of one video. boxes: by frame index. form: the layout of its planes."""

    boxes: Mapping[int, Sequence[Box]]
    form: PixelFormat

    @classmethod
    def of(cls, boxes: Iterable[TimedBox], info: VideoInfo, timeline: Timeline) -> "KeptBoxes":
        """The boxes of a request. Raises RequestError for one that lies outside the picture or after the end of the video."""
        kept = defaultdict[int, list[Box]](list)
        for timed in boxes:
            for first, last, box in box_intervals(timed, info, timeline):
                for frame in range(first, last + 1):
                    kept[frame].append(box)
        return cls(dict(kept), info.pixel_format)

    def restored(self, marked: Frame, clean: Frame) -> Frame:
        """The clean frame with what is kept as in the marked one, bit for bit: every sample that covers a kept pixel."""
        boxes = self.boxes.get(clean.index, ())
        if not boxes:
            return clean
        first, second, third = planes = tuple(plane.copy() for plane in clean.planes)
        for box in boxes:
            for plane, source, area in zip(planes, marked.planes, self.form.samples_of(*box.slices), strict=True):
                plane[area] = source[area]
        return replace(clean, planes=(first, second, third))

    def spare(self, placements: Iterable[Placement]) -> list[Placement]:
        """The placements of which something can be removed: those that are not kept in all their pixels and frames."""
        return [placement for placement in placements if not self._keeps(placement)]

    def _keeps(self, placement: Placement) -> bool:
        frames = range(placement.first_frame, placement.last_frame + 1)
        moments = {tuple(self.boxes.get(frame, ())) for frame in frames}
        return all(_covered(placement, boxes) for boxes in moments)


def _covered(placement: Placement, boxes: Sequence[Box]) -> bool:
    """Whether the boxes cover every pixel of the mark."""
    left: Mask = placement.mask > 0.5
    for box in boxes:
        if intersect(placement.box, box):
            left = left.copy()
            left[shared_slices(placement.box, box)[0]] = False
    return not np.any(left)
