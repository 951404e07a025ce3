"""Marks that slide in or out at the ends of a placement, followed frame by frame. Pure."""

from service.pipeline.extent.part_scores import FilledCrops, ScoreLevels, moved_model
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score

MIN_AT_REST_SCORE = 0.92  # between the scores without and with the mark: less, and it may have begun to move
MIN_SHIFTED_SCORE = 0.9  # between the same, for one that is shifted as suits it best, in frames in which it was seen
MIN_SLIDE_GAIN = 0.7  # of what is missing at its place, that the shift must bring
MIN_SHIFTED_SCORE_BEYOND = 0.6  # between the scores without and with the mark, shifted likewise, in frames beyond
MAX_SLIDE_FRAMES = 4
SLIDE_SHIFTS_PIXELS = range(-2, 3)  # from one frame to the next, either way


def follow_slides(
    frame_plan: FramePlan, seen: FilledCrops, model: MarkModel, ends: tuple[int, int], levels: ScoreLevels
) -> tuple[tuple[int, int], list[tuple[int, MarkModel]]]:
    """The frames around both ends in which the mark is some pixels off, as it sinks away or slides in: the ends without them, and them."""
    edges, found = list(ends), list[tuple[int, MarkModel]]()
    for k, step in ((0, -1), (1, 1)):
        edges[k], slid = _slide(frame_plan, seen, model, ends, step, levels)
        found += slid
    if edges[0] > edges[1]:
        return ends, []
    return (edges[0], edges[1]), found


def _slide(
    frame_plan: FramePlan, seen: FilledCrops, model: MarkModel, ends: tuple[int, int], step: int, levels: ScoreLevels
) -> tuple[int, list[tuple[int, MarkModel]]]:
    """At one end, the last frame in which the mark is still at rest, and those in which it is not, with where it is in them.

    It slides only if it is clearly found better elsewhere in every frame until it has gone: a score that sinks may be the scene's.
    """
    still, elsewhere, least = (
        levels.absent + share * (levels.present - levels.absent)
        for share in (MIN_AT_REST_SCORE, MIN_SHIFTED_SCORE, MIN_SHIFTED_SCORE_BEYOND)
    )
    end = ends[0] if step < 0 else ends[1]
    edge = end
    while (
        abs(end - edge) < min(MAX_SLIDE_FRAMES, ends[1] - ends[0])
        and edge in frame_plan.end_frames
        and presence_score(*seen.pair(edge), model) < still
    ):
        edge -= step
    found, top, left = list[tuple[int, MarkModel]](), 0, 0
    for frame in range(edge + step, end + step * (MAX_SLIDE_FRAMES + 1), step):
        if frame not in frame_plan.end_frames:
            break
        beyond = (frame - end) * step > 0
        shifts = [(top + y, left + x) for y in SLIDE_SHIFTS_PIXELS for x in SLIDE_SHIFTS_PIXELS]
        best, y, x = max((seen.moved(frame, model, y, x), y, x) for y, x in shifts)
        if not (found or beyond or y or x):  # still at rest
            edge = frame
            continue
        if beyond and (best < least or not found):
            break
        if not beyond and (
            best < elsewhere or best - (here := presence_score(*seen.pair(frame), model)) < MIN_SLIDE_GAIN * (levels.present - here)
        ):
            return end, []
        top, left = y, x
        found.append((frame, moved_model(model, top, left)))
    return edge, found
