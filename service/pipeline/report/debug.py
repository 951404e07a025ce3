"""Samples of a run for people to look at: a few frames before and after, with mask and opacity."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from models.arrays import Bytes
from service.errors import EncodeFailed
from service.pipeline.io.thumbnail import shrunk_size
from service.pipeline.marks.decisions import Decisions
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.grey import matte_picture, to_grey_levels
from service.pipeline.placement import Box, Placement, bounding_box
from service.pipeline.report import contact_sheet
from service.pipeline.report.contact_sheet import PictureSet, Sample
from service.pipeline.report.intervals import key_moments
from service.pipeline.video import Frame, VideoInfo

DECISIONS: Final = "decisions.json"
SAMPLE_PIXELS: Final = 640  # long side of a kept picture; keeping whole frames would take too much memory


class FrameSampler:
    """Watches all frames of a run and keeps a few: shrunk, at most six in all."""

    def __init__(self, placements: Sequence[Placement], info: VideoInfo) -> None:
        self._boxes_by_frame = key_moments(placements)
        self._placements = placements
        self._info = info
        self._samples: list[Sample] = []

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The kept samples, in frame order."""
        return tuple(self._samples)

    def watch(self, marked: Frame, clean: Frame) -> None:
        """Keep the frame, before and after, if it is one of the chosen ones."""
        boxes = self._boxes_by_frame.get(marked.index)
        if not boxes:
            return
        mask, opacity = self._mask_and_opacity(marked.index)
        whole_frame = Box(0, 0, self._info.width, self._info.height)
        for box in boxes:
            areas = (whole_frame, _close_up_area(mask, box, self._info))
            whole, close = (_picture_set(area, marked, clean, mask, opacity, self._info) for area in areas)
            self._samples.append(Sample(marked.index, whole, close))

    def _mask_and_opacity(self, frame_index: int) -> tuple[Bytes, Bytes]:
        """Mask and opacity of all marks in this frame, (H, W) uint8."""
        mask, opacity = np.zeros((2, self._info.height, self._info.width), np.uint8)
        for placement in self._placements:
            if placement.covers(frame_index):
                for plane, levels in ((mask, to_grey_levels(placement.mask)), (opacity, matte_picture(placement))):
                    part = plane[placement.box.slices]
                    np.maximum(part, levels, out=part)
        return mask, opacity


def write_debug_pictures(samples: Sequence[Sample], folder: Path) -> None:
    """Write the contact sheet and the before/after picture; without samples, nothing. Raises EncodeFailed."""
    if not samples:
        return
    try:
        contact_sheet.write(samples, folder / contact_sheet.SHEET)
        contact_sheet.before_after(samples, folder / contact_sheet.BEFORE_AFTER)
    except OSError as error:
        raise EncodeFailed(f"the debug pictures cannot be written: {error.strerror}") from error


def write_decisions(decisions: Decisions, folder: Path) -> None:
    """Write why each candidate was kept or dropped, un-blended or filled, as JSON. Raises EncodeFailed if the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DECISIONS).write_text(json.dumps(decisions.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise EncodeFailed(f"the decisions cannot be written: {error.strerror}") from error


def _picture_set(area: Box, marked: Frame, clean: Frame, mask: Bytes, opacity: Bytes, info: VideoInfo) -> PictureSet:
    """An area of both frames, with square pixels and a long side of at most SAMPLE_PIXELS."""
    size = shrunk_size(replace(info, width=area.width, height=area.height), SAMPLE_PIXELS)
    before, after = (shrink_rgb(_crop_frame(frame, area, info), info, *size) for frame in (marked, clean))
    small_mask, small_opacity = (_shrink(plane[area.slices], size) for plane in (mask, opacity))
    return PictureSet(before, small_mask, small_opacity, after)


def _crop_frame(frame: Frame, area: Box, info: VideoInfo) -> Frame:
    """An area that starts on a chroma sample, as a frame; its planes are views."""
    shift_x, shift_y = info.pixel_format.chroma_shift_x, info.pixel_format.chroma_shift_y
    rows, columns = slice(area.top >> shift_y, -(-area.bottom >> shift_y)), slice(area.left >> shift_x, -(-area.right >> shift_x))
    luma, first, second = frame.planes
    return replace(frame, planes=(luma[area.slices], first[rows, columns], second[rows, columns]))


def _shrink(plane: Bytes, size: tuple[int, int]) -> Bytes:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _close_up_area(mask: Bytes, box: Box, info: VideoInfo) -> Box:
    """The mark in a box with its surroundings: a quarter wider on each side, between 3:2 and 3:1 if the picture allows."""
    of_mark = mask[box.slices] > 127
    mark = bounding_box(of_mark) if of_mark.any() else Box(0, 0, box.width, box.height)
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
