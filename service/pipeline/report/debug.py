"""What a person may look at afterwards: a few frames as they were and as they are, with the mask and the opacity."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from service.errors import EncodeFailed
from service.pipeline.io.thumbnail import shrunk_size
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.orientation import displayed_picture, matte_picture, to_grey_levels
from service.pipeline.placement import Box, Placement, bounding_box
from service.pipeline.report import contact_sheet
from service.pipeline.report.contact_sheet import Picture, Sample, View
from service.pipeline.report.intervals import key_moments
from service.pipeline.video import Frame, VideoInfo

VIEW_PIXELS: Final = 640  # long side of what is kept; the whole frame is not


class FrameSampler:
    """Watches the frames go by and keeps some of them, small and as they are shown: a few of each mark, and six in all."""

    def __init__(self, placements: Sequence[Placement], info: VideoInfo) -> None:
        self._wanted = key_moments(placements)
        self._placements = placements
        self._info = info
        self._samples: list[Sample] = []

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was kept, as it went by."""
        return tuple(self._samples)

    def watch(self, marked: Frame, clean: Frame) -> None:
        """Keeps the frame if it is one of those wanted."""
        boxes = self._wanted.get(marked.index)
        if not boxes:
            return
        mask, opacity = self._levels(marked.index)
        whole = Box(0, 0, self._info.width, self._info.height)
        for box in boxes:
            views = (_view(area, marked, clean, mask, opacity, self._info) for area in (whole, _near(mask, box, self._info)))
            self._samples.append(Sample(marked.index, *views))

    def _levels(self, frame_index: int) -> tuple[Picture, Picture]:
        """Mask and opacity of all marks in this frame, (H, W) uint8."""
        mask, opacity = np.zeros((2, self._info.height, self._info.width), np.uint8)
        for placement in self._placements:
            if placement.covers(frame_index):
                for plane, shown in ((mask, to_grey_levels(placement.mask)), (opacity, matte_picture(placement))):
                    part = plane[placement.box.slices]
                    np.maximum(part, shown, out=part)
        return mask, opacity


def draw(samples: Sequence[Sample], folder: Path) -> None:
    """The contact sheet and the before/after picture. Raises EncodeFailed where the folder cannot be written."""
    if not samples:
        return
    try:
        contact_sheet.write(samples, folder / contact_sheet.SHEET)
        contact_sheet.before_after(samples, folder / contact_sheet.BEFORE_AFTER)
    except OSError as error:
        raise EncodeFailed(f"the debug pictures cannot be written: {error.strerror}") from error


def _view(area: Box, marked: Frame, clean: Frame, mask: Picture, opacity: Picture, info: VideoInfo) -> View:
    """A part of both frames, with square pixels, at most VIEW_PIXELS long, turned as it is shown."""
    size = shrunk_size(replace(info, width=area.width, height=area.height), VIEW_PIXELS)
    before, after = (displayed_picture(shrink_rgb(_cut(frame, area, info), info, *size), info) for frame in (marked, clean))
    where, how = (displayed_picture(_shrunk(plane[area.slices], size), info) for plane in (mask, opacity))
    return View(before, where, how, after)


def _cut(frame: Frame, area: Box, info: VideoInfo) -> Frame:
    """A part of a frame that starts on a chroma sample, as a frame; nothing is copied."""
    shift_x, shift_y = info.pixel_format.chroma_shift_x, info.pixel_format.chroma_shift_y
    rows, columns = slice(area.top >> shift_y, -(-area.bottom >> shift_y)), slice(area.left >> shift_x, -(-area.right >> shift_x))
    luma, first, second = frame.planes
    return replace(frame, planes=(luma[area.slices], first[rows, columns], second[rows, columns]))


def _shrunk(plane: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _near(mask: Picture, box: Box, info: VideoInfo) -> Box:
    """The surroundings of the mark in a box: a quarter wider on each side, flat as 3:2 to 3:1 where the picture allows."""
    inside = mask[box.slices] > 127
    mark = bounding_box(inside) if inside.any() else Box(0, 0, box.width, box.height)
    half_width = max(mark.width, mark.height * 1.5) * 0.75
    half_height = max(mark.height, mark.width / 3) * 0.75
    middle_x, middle_y = box.left + (mark.left + mark.right) / 2, box.top + (mark.top + mark.bottom) / 2
    step_x, step_y = 1 << info.pixel_format.chroma_shift_x, 1 << info.pixel_format.chroma_shift_y
    return Box(
        max(0, int(middle_x - half_width) // step_x * step_x),
        max(0, int(middle_y - half_height) // step_y * step_y),
        min(info.width, int(middle_x + half_width) // step_x * step_x + step_x),
        min(info.height, int(middle_y + half_height) // step_y * step_y + step_y),
    )
