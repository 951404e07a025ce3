"""Whether a candidate appears or vanishes gradually, as things of the scene do and marks do not. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from service.pipeline.extent.part_scores import FilledCrops, Part, ScoreLevels, score_levels
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score

MIN_STEEPEST_FALL = 0.5  # of the whole fall of the score: a mark loses as much from one frame to the next
MAX_HALVES_APART_FRAMES = 2  # between the steepest falls of a mark's halves
NEAR_END_FRAMES = 8  # on either side of an end, in which the score is followed


def fades(frame_plan: FramePlan, filled: FilledCrops, part: Part, ends: tuple[int, int], notes: Notes = UNNOTED) -> bool:
    """Whether a part appears or vanishes gradually, or one half before the other, as things do that are moved or covered.

    ends: (first, last) frame of the part.
    """
    spans = list[list[int]]()  # frames around an end, from inside the placement outwards
    for end, step in ((ends[0], -1), (ends[1], 1)):
        frames = [f for f in range(end - step * NEAR_END_FRAMES, end + step * NEAR_END_FRAMES + step, step) if f in frame_plan.end_frames]
        if frames and abs(frames[-1] - end) >= NEAR_END_FRAMES:  # otherwise the video ends there, or the frames beyond were not read
            spans.append(frames)
    if not spans:
        return False
    halves = [(half, score_levels(frame_plan, filled, half)) for half in _halves(part.model)]
    followed = [(part.model, part.levels), *((half, levels) for half, levels in halves if levels.clear)]
    for frames in spans:
        falls = [_steepest_fall([presence_score(*filled.pair(frame), model) for frame in frames], levels) for model, levels in followed]
        share, apart = min(share for share, _ in falls), int(np.ptp([frame for _, frame in falls]))
        gradual, in_pieces = share < MIN_STEEPEST_FALL, apart > MAX_HALVES_APART_FRAMES
        notes("steepest fall of the score, of the whole fall", share, MIN_STEEPEST_FALL, "dropped: it fades" if gradual else "kept")
        outcome = "dropped: it is covered or moved" if in_pieces else "kept"
        notes("frames between the falls of its halves", apart, MAX_HALVES_APART_FRAMES, outcome)
        if gradual or in_pieces:
            return True
    return False


def _steepest_fall(scores: Sequence[float], levels: ScoreLevels) -> tuple[float, int]:
    """The largest fall from one frame to the next, as a share of the whole fall, and its index."""
    steps = -np.diff(scores)
    steepest = int(steps.argmax())
    whole_fall = max(levels.present - levels.absent, float(np.ptp(scores)))  # a thing that leaves may have shown more of itself before
    return float(steps[steepest]) / whole_fall, steepest


def _halves(model: MarkModel) -> Iterable[MarkModel]:
    """The upper, lower, left and right half of a mark, each with half of its pixels."""
    medians = (np.median(along) for along in np.nonzero(model.pixels))
    for coordinate, median in zip(np.indices(model.mask.shape), medians, strict=True):
        for half in (coordinate <= median, coordinate > median):
            yield replace(model, mask=model.mask * half)
