"""Whether something comes or goes little by little, as things of the scene do and marks do not. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from service.pipeline.extent.part_scores import FilledCrops, Part, ScoreLevels, score_levels
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score

MIN_STEEPEST_FALL = 0.5  # of all that the score falls: it does so from one frame to the next
MAX_HALVES_APART_FRAMES = 2  # between the falls of its halves
NEAR_END_FRAMES = 8


def fades(frame_plan: FramePlan, seen: FilledCrops, part: Part, ends: tuple[int, int]) -> bool:
    """Whether a part comes or goes little by little, or its halves apart, as things of the scene do that are moved or covered.

    A mark is there or it is not.
    """
    spans = list[list[int]]()
    for end, step in ((ends[0], -1), (ends[1], 1)):
        frames = [f for f in range(end - step * NEAR_END_FRAMES, end + step * NEAR_END_FRAMES + step, step) if f in frame_plan.end_frames]
        if frames and abs(frames[-1] - end) >= NEAR_END_FRAMES:  # else the video ends, or what is beyond was not looked at
            spans.append(frames)
    if not spans:
        return False
    halves = [(half, score_levels(frame_plan, seen, half)) for half in _halves(part.model)]
    told = [(part.model, part.levels), *((half, levels) for half, levels in halves if levels.clear)]
    for frames in spans:
        falls = [_steepest_fall([presence_score(*seen.pair(frame), model) for frame in frames], levels) for model, levels in told]
        if min(share for share, _ in falls) < MIN_STEEPEST_FALL or np.ptp([frame for _, frame in falls]) > MAX_HALVES_APART_FRAMES:
            return True
    return False


def _steepest_fall(scores: Sequence[float], levels: ScoreLevels) -> tuple[float, int]:
    """The most that the scores fall from one frame to the next, as a share of all that they fall; and where."""
    steps = -np.diff(scores)
    most = int(steps.argmax())
    falls = max(levels.present - levels.absent, float(np.ptp(scores)))  # what leaves may show more of itself before
    return float(steps[most]) / falls, most


def _halves(model: MarkModel) -> Iterable[MarkModel]:
    """The upper, lower, left and right half."""
    for place, line in zip(np.indices(model.mask.shape), (np.median(along) for along in np.nonzero(model.mask > 0.5)), strict=True):
        for half in (place <= line, place > line):
            yield replace(model, mask=model.mask * half)
