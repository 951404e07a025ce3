"""Step 5, third look at the file: in which frames each mark is there, exact at both ends."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.pipeline.extent.first_and_last_frame import LazyScores, first_and_last_frame
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.gather import Bytes, CropRequest, Crops, gather_crops, to_float, to_uint8
from service.pipeline.marks.mark_model import MarkModel, crop_model, split_parts
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import FramePlan, plan_frames
from service.pipeline.marks.presence import fill_hole, presence_score
from service.pipeline.measure.dilation import dilation_pixels
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.placement import Placement, intersect, shared_slices
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

MIN_CLEAR_SCORE = 0.25  # a mark's own frames score about 1; where they score less the score may say nothing
MIN_SCORE = 0.05  # of a mark that can be told at all
MIN_CLEAR_SIGMAS = 6.0  # between the scores without and with the mark: then a lower one, of a mark taken for too opaque, is clear as well
MIN_SHARED_PIXELS = 0.7  # of a mark's pixels that another one has too, where both are the same
UNCLEAR_EXTRA_FRAMES = 3  # beyond the first sample that did not show a mark it is taken to be there if that cannot be seen
MIN_AT_REST_SCORE = 0.92  # between the scores without and with the mark: less, and it may have begun to move
MIN_SHIFTED_SCORE = 0.9  # between the same, for one that is shifted as suits it best, in frames in which it was seen
MIN_SLIDE_GAIN = 0.7  # of what is missing at its place, that the shift must bring
MIN_SHIFTED_SCORE_BEYOND = 0.6  # between the scores without and with the mark, shifted likewise, in frames beyond
MAX_SLIDE_FRAMES = 4
SLIDE_SHIFTS_PIXELS = range(-2, 3)  # from one frame to the next, either way
CONFIDENT = 0.78  # of the confidence: a mark that is less sure must come and go at once
MIN_STEEPEST_FALL = 0.5  # of all that the score falls: it does so from one frame to the next
MAX_HALVES_APART_FRAMES = 2  # between the falls of its halves
NEAR_END_FRAMES = 8
MAX_SLIDING_SHARE = 0.25  # of the picture: larger marks are not looked for elsewhere


def find_extents(frames: Iterable[Frame], info: VideoInfo, marks: Sequence[MeasuredMark], total_frames: int) -> list[Placement]:
    """The placements of every mark: usually one; several where its parts come and go at different times."""
    candidates = [mark.candidate for mark in marks]
    plans = [plan_frames(candidate, candidates, total_frames) for candidate in candidates]
    places = [CropRequest(c.box, frozenset(p.marked_frames + p.bare_frames + p.end_frames)) for c, p in zip(candidates, plans, strict=True)]

    def bounded(gathered: tuple[int, Crops]) -> list[_Extent]:
        number, crops = gathered
        small = places[number].box.width * places[number].box.height < MAX_SLIDING_SHARE * info.width * info.height
        return _extents_of(marks[number], plans[number], crops, may_slide=small)

    found = list(chain.from_iterable(parallel_map(bounded, gather_crops(frames, info, places))))
    kept = [placement for stay in _drop_duplicates(found) for placement in (stay.placement, *stay.slides)]
    return sorted(kept, key=lambda placement: placement.first_frame)


@dataclass(frozen=True)
class _Extent:
    """A stay, and the frames just before and after it in which the mark slides."""

    placement: Placement
    slides: tuple[Placement, ...] = ()


def _drop_duplicates(found: list[_Extent]) -> list[_Extent]:
    """Without those that another one, longer, already covers: parts of one mark may have been found from each other's side."""
    kept: list[_Extent] = []
    for stay in sorted(found, key=lambda s: s.placement.first_frame - s.placement.last_frame):
        if stay.placement.kind == "user" or not any(_covers(other.placement, stay.placement) for other in kept):
            kept.append(stay)
    return kept


def _covers(longer: Placement, other: Placement) -> bool:
    """Whether most pixels of `other` are the longer one's too, in the same frames."""
    if longer.first_frame > other.first_frame or longer.last_frame < other.last_frame or not intersect(longer.box, other.box):
        return False
    here, there = shared_slices(longer.box, other.box)
    shared = (longer.mask[here] > 0.5) & (other.mask[there] > 0.5)
    return float(shared.sum()) >= MIN_SHARED_PIXELS * float((other.mask > 0.5).sum())


def _extents_of(mark: MeasuredMark, frame_plan: FramePlan, crops: Crops, may_slide: bool) -> list[_Extent]:
    candidate, model, mask = mark.candidate, mark.model, mark.model.mask > 0.5
    if not candidate.slack_frames:  # the frames were given, or there is but one
        return [_Extent(_placement(mark, (candidate.first_sample, candidate.last_sample), model, _dilation(frame_plan, crops, model)))]
    split, seen = split_parts(mask), _FilledCrops(crops, mask)
    found: list[_Part] = []
    for part in split:
        own = replace(model, mask=part.astype(np.float32))
        levels = _score_levels(frame_plan, seen, own)
        if (ends := _find_ends(candidate, frame_plan, seen, own, levels)) is not None:
            found.append(_Part(own, levels, ends))
    stays: dict[tuple[int, int], NDArray[np.bool_]] = {}
    slides: dict[tuple[int, int], list[tuple[int, MarkModel]]] = defaultdict(list)
    for each in found:
        ends, slid = _agree_ends(each, found, candidate), list[tuple[int, MarkModel]]()
        if may_slide and each.levels.clear:
            ends, slid = _slides(frame_plan, seen, each.model, ends, each.levels)
        if mark.confidence < CONFIDENT and each.levels.clear and _fades(frame_plan, seen, each, ends):
            return []
        stays[ends] = stays.get(ends, np.zeros_like(mask)) | (each.model.mask > 0.5)
        slides[ends] += slid
    dilation = _dilation(frame_plan, crops, model)
    return [
        _Extent(
            _placement(mark, ends, replace(model, mask=part.astype(np.float32)), dilation),
            tuple(_placement(mark, (frame, frame), off, dilation) for frame, off in slides[ends]),
        )
        for ends, part in stays.items()
    ]


def _agree_ends(part: "_Part", parts_of_it: Sequence["_Part"], candidate: Candidate) -> tuple[int, int]:
    """The part's ends. Where none of the samples next to them showed the mark, it is taken to be there only if all of its parts are.

    A logo and its word do not come or go at the very same time: a few frames in between are left to them.
    """
    first, last = part.ends
    clear = [other.ends for other in parts_of_it if other.levels.clear] or [part.ends]
    latest, earliest = max(ends[0] for ends in clear), min(ends[1] for ends in clear)
    if first < min(latest - MAX_SLIDE_FRAMES, candidate.first_sample - candidate.slack_frames):
        first = latest
    if last > max(earliest + MAX_SLIDE_FRAMES, candidate.last_sample + candidate.slack_frames):
        last = earliest
    return first, max(first, last)


class _FilledCrops:
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
        crop, moved = to_float(self._crops[frame]), _moved(part, top, left)
        hole = (self._mask & (part.mask < 0.5)) | (moved.mask > 0.5)
        return presence_score(crop, fill_hole(crop, hole), moved)


@dataclass(frozen=True)
class _ScoreLevels:
    """Scores typical without and with the mark, and whether they tell the one from the other."""

    absent: float
    present: float
    clear: bool


@dataclass(frozen=True)
class _Part:
    """A part of a mark, such as its word: its look, how it is told, and its first and last frame."""

    model: MarkModel
    levels: _ScoreLevels
    ends: tuple[int, int]


def _score_levels(frame_plan: FramePlan, seen: _FilledCrops, model: MarkModel) -> _ScoreLevels:
    inside, outside = (
        [presence_score(*seen.pair(i), model) for i in frames] for frames in (frame_plan.marked_frames, frame_plan.bare_frames)
    )
    present, absent = float(np.median(inside)), float(np.median(outside)) if outside else 0.0
    spread = max(float(np.median(np.abs(np.subtract(of, level)))) for of, level in ((inside, present), (outside or [0.0], absent)))
    clear = present >= MIN_CLEAR_SCORE or (present >= MIN_SCORE and present - absent >= MIN_CLEAR_SIGMAS * spread)
    return _ScoreLevels(min(absent, 0.5 * present), present, clear)


def _find_ends(
    candidate: Candidate, frame_plan: FramePlan, seen: _FilledCrops, model: MarkModel, levels: _ScoreLevels
) -> tuple[int, int] | None:
    """(first, last) frame of the mark or of a part of it; None where an unsure one is not clearly there."""
    inside, slack = (candidate.first_sample, candidate.last_sample), candidate.slack_frames
    if not levels.clear:  # a mark that hardly differs from the scene: rather too long than one marked frame
        near = [i for i in frame_plan.end_frames if inside[0] - slack - UNCLEAR_EXTRA_FRAMES < i < inside[1] + slack + UNCLEAR_EXTRA_FRAMES]
        return (min([inside[0], *near]), max([inside[1], *near])) if candidate.confirmed else None
    scores = LazyScores(frame_plan.end_frames, lambda frame: presence_score(*seen.pair(frame), model))
    return first_and_last_frame(scores, inside, levels.absent, levels.present)


def _slides(
    frame_plan: FramePlan, seen: _FilledCrops, model: MarkModel, ends: tuple[int, int], levels: _ScoreLevels
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
    frame_plan: FramePlan, seen: _FilledCrops, model: MarkModel, ends: tuple[int, int], step: int, levels: _ScoreLevels
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
        found.append((frame, _moved(model, top, left)))
    return edge, found


def _fades(frame_plan: FramePlan, seen: _FilledCrops, part: _Part, ends: tuple[int, int]) -> bool:
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
    halves = [(half, _score_levels(frame_plan, seen, half)) for half in _halves(part.model)]
    told = [(part.model, part.levels), *((half, levels) for half, levels in halves if levels.clear)]
    for frames in spans:
        falls = [_steepest_fall([presence_score(*seen.pair(frame), model) for frame in frames], levels) for model, levels in told]
        if min(share for share, _ in falls) < MIN_STEEPEST_FALL or np.ptp([frame for _, frame in falls]) > MAX_HALVES_APART_FRAMES:
            return True
    return False


def _steepest_fall(scores: Sequence[float], levels: _ScoreLevels) -> tuple[float, int]:
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


def _moved(model: MarkModel, top: int, left: int) -> MarkModel:
    height, width = model.mask.shape
    return crop_model(model, -top, -left, height, width)


def _dilation(frame_plan: FramePlan, crops: Crops, model: MarkModel) -> int:
    return dilation_pixels([crops[frame] for frame in frame_plan.marked_frames], model)


def _placement(mark: MeasuredMark, ends: tuple[int, int], model: MarkModel, dilation: int) -> Placement:
    candidate = mark.candidate
    return Placement(
        *ends,
        candidate.box,
        model.mask,
        model.opacity,
        model.colour,
        mark.confidence,
        candidate.kind,
        model.opacity_sigma,
        dilation_pixels=dilation,
    )
