"""Marks that slide in or out at the ends of a placement, followed frame by frame. Pure."""

from itertools import product

from service.pipeline.extent.part_scores import MAX_SLIDE_FRAMES, PRESENT_SCORE, FilledCrops, ScoreLevels, shift_model
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score

# Scores are on a scale from the typical one without (0) to that with the mark (1).
MIN_WHOLE_SCORE = 0.9  # shown whole: with less at its place, the mark may have begun to move; at the best shift it must have as much
MIN_SLIDE_GAIN = 0.7  # of what the score lacks at the mark's place, which the best shift must bring
SLIDE_SHIFTS_PIXELS = range(-2, 3)  # from one frame to the next, in either direction

ShiftedModel = tuple[int, MarkModel]  # a frame, and the shifted model in it


def follow_slides(
    frame_plan: FramePlan, filled: FilledCrops, model: MarkModel, ends: tuple[int, int], levels: ScoreLevels
) -> tuple[tuple[int, int], list[ShiftedModel]]:
    """(first, last) frame in which the mark is at rest, and the frames next to them in which it slides, with the shifted models."""
    rest_ends, slides = list(ends), list[ShiftedModel]()
    for k, step in ((0, -1), (1, 1)):
        rest_ends[k], found = _slide(frame_plan, filled, model, ends, step, levels)
        slides += found
    if rest_ends[0] > rest_ends[1]:
        return ends, []
    return (rest_ends[0], rest_ends[1]), slides


def _slide(
    frame_plan: FramePlan, filled: FilledCrops, model: MarkModel, ends: tuple[int, int], step: int, levels: ScoreLevels
) -> tuple[int, list[ShiftedModel]]:
    """At one end: the last frame in which the mark is at rest, and the frames in which it slides. step: 1 outwards at the end, -1 at the
    start.

    The mark slides only if every frame shows it clearly better at some shift until it is gone. A score that merely falls may be due to the
    scene.
    """
    whole, present = (levels.absent + share * (levels.present - levels.absent) for share in (MIN_WHOLE_SCORE, PRESENT_SCORE))
    end = ends[0] if step < 0 else ends[1]
    rest_end = end
    while (
        abs(end - rest_end) < min(MAX_SLIDE_FRAMES, ends[1] - ends[0])
        and rest_end in frame_plan.end_frames
        and presence_score(*filled.pair(rest_end), model) < whole
    ):
        rest_end -= step
    slides, top, left = list[ShiftedModel](), 0, 0
    for frame in range(rest_end + step, end + step * (MAX_SLIDE_FRAMES + 1), step):
        if frame not in frame_plan.end_frames:
            break
        beyond = (frame - end) * step > 0
        shifts = ((top + y, left + x) for y, x in product(SLIDE_SHIFTS_PIXELS, SLIDE_SHIFTS_PIXELS))
        score, y, x = max((filled.shifted_score(frame, model, y, x), y, x) for y, x in shifts)
        if not (slides or beyond or y or x):  # still at rest
            rest_end = frame
            continue
        if beyond and (score < present or not slides):
            break
        if not beyond and (score < whole or not _gains(score, presence_score(*filled.pair(frame), model), levels)):
            return end, []
        top, left = y, x
        slides.append((frame, shift_model(model, top, left)))
    return rest_end, slides


def _gains(shifted_score: float, score: float, levels: ScoreLevels) -> bool:
    """Whether the shift brings most of what the score at the mark's place lacks."""
    return shifted_score - score >= MIN_SLIDE_GAIN * (levels.present - score)
