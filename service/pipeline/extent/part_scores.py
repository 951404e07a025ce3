"""The presence scores of a mark's parts: their typical values with and without the mark, and whether the two can be separated. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Bytes, Floats, Mask
from service.pipeline.marks.gather import Crops, to_float, to_uint8
from service.pipeline.marks.mark_model import MarkModel, crop_model
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import fill_hole, presence_score

MIN_CLEAR_SCORE = 0.25  # typical score with the mark, usually about 1: above it the scores are clear
PRESENT_SCORE = 0.4  # from the typical score without (0) to that with the mark (1): from here on a frame shows the mark
MAX_SLIDE_FRAMES = 4  # in which a mark, or the first and last of its parts, such as a logo and its word, appears or vanishes


class FilledCrops:
    """A candidate's crops by frame, and the same with the mark's place filled. Each fill is computed once."""

    def __init__(self, crops: Crops, mask: Mask) -> None:
        self._crops, self._mask = crops, mask
        self._fills: dict[int, Bytes] = {}

    def pair(self, frame: int) -> tuple[Floats, Floats]:
        """The crop (3, h, w) of a frame, in [0, 1], and the same with the mark's place filled."""
        crop = to_float(self._crops[frame])
        if frame not in self._fills:
            self._fills[frame] = to_uint8(fill_hole(crop, self._mask))
        return crop, to_float(self._fills[frame])

    def shifted_score(self, frame: int, part: MarkModel, top: int, left: int) -> float:
        """The presence score of a part shifted by (top, left) pixels. The place where it rested is scene again."""
        crop, shifted = to_float(self._crops[frame]), shift_model(part, top, left)
        hole = (self._mask & (part.mask < 0.5)) | shifted.pixels
        return presence_score(crop, fill_hole(crop, hole), shifted)


@dataclass(frozen=True)
class ScoreLevels:
    """The typical scores without and with the mark, and whether the two are clearly apart."""

    absent: float
    present: float
    clear: bool


@dataclass(frozen=True)
class Part:
    """A part of a mark, such as its word: its model, its score levels, and its first and last frame."""

    model: MarkModel
    levels: ScoreLevels
    ends: tuple[int, int]


def score_levels(frame_plan: FramePlan, filled: FilledCrops, model: MarkModel, others: Sequence[int] = ()) -> ScoreLevels:
    """The typical scores of a mark or a part: medians over the frames that show it and over those that show its bare place.

    others: frames that show another mark in its place, which may look like a part of it; the highest score without it counts.
    """
    marked_scores, bare_scores = (
        [presence_score(*filled.pair(frame), model) for frame in frames] for frames in (frame_plan.marked_frames, frame_plan.bare_frames)
    )
    present, absent = float(np.median(marked_scores)), float(np.median(bare_scores)) if bare_scores else 0.0
    absent = max([absent, *(presence_score(*filled.pair(frame), model) for frame in others)])
    return ScoreLevels(min(absent, 0.5 * present), present, clear=present >= MIN_CLEAR_SCORE)


def shift_model(model: MarkModel, top: int, left: int) -> MarkModel:
    """The model shifted by (top, left) pixels in its plane."""
    height, width = model.mask.shape
    return crop_model(model, -top, -left, height, width)
