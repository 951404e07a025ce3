"""The presence scores of a mark's parts: how they are with and without the mark, and whether the two can be told apart. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.pipeline.marks.gather import Bytes, Crops, to_float, to_uint8
from service.pipeline.marks.mark_model import MarkModel, crop_model
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import fill_hole, presence_score

Floats = NDArray[np.float32]

MIN_CLEAR_SCORE = 0.25  # a mark's own frames score about 1; where they score less the score may say nothing
MIN_SCORE = 0.05  # of a mark that can be told at all
MIN_CLEAR_SIGMAS = 6.0  # between the scores without and with the mark: then a lower one, of a mark taken for too opaque, is clear as well


class FilledCrops:
    """A candidate's crops by frame, and each with the mark's place filled in, which is done once."""

    def __init__(self, crops: Crops, mask: NDArray[np.bool_]) -> None:
        self._crops, self._mask = crops, mask
        self._fills: dict[int, Bytes] = {}

    def pair(self, frame: int) -> tuple[Floats, Floats]:
        crop = to_float(self._crops[frame])
        if frame not in self._fills:
            self._fills[frame] = to_uint8(fill_hole(crop, self._mask))
        return crop, to_float(self._fills[frame])

    def moved(self, frame: int, part: MarkModel, top: int, left: int) -> float:
        """The score of a part of the mark that has been moved; what was marked where it had rested is scene again."""
        crop, moved = to_float(self._crops[frame]), moved_model(part, top, left)
        hole = (self._mask & (part.mask < 0.5)) | (moved.mask > 0.5)
        return presence_score(crop, fill_hole(crop, hole), moved)


@dataclass(frozen=True)
class ScoreLevels:
    """Scores typical without and with the mark, and whether they tell the one from the other."""

    absent: float
    present: float
    clear: bool


@dataclass(frozen=True)
class Part:
    """A part of a mark, such as its word: its look, how it is told, and its first and last frame."""

    model: MarkModel
    levels: ScoreLevels
    ends: tuple[int, int]


def score_levels(frame_plan: FramePlan, seen: FilledCrops, model: MarkModel) -> ScoreLevels:
    inside, outside = (
        [presence_score(*seen.pair(i), model) for i in frames] for frames in (frame_plan.marked_frames, frame_plan.bare_frames)
    )
    present, absent = float(np.median(inside)), float(np.median(outside)) if outside else 0.0
    spread = max(float(np.median(np.abs(np.subtract(of, level)))) for of, level in ((inside, present), (outside or [0.0], absent)))
    clear = present >= MIN_CLEAR_SCORE or (present >= MIN_SCORE and present - absent >= MIN_CLEAR_SIGMAS * spread)
    return ScoreLevels(min(absent, 0.5 * present), present, clear)


def moved_model(model: MarkModel, top: int, left: int) -> MarkModel:
    height, width = model.mask.shape
    return crop_model(model, -top, -left, height, width)
