"""Step 5, third look at the file: in which frames each mark is there, exact at both ends."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.pipeline.marks.gather import Bytes, Crops, Place, as_bytes, as_floats, gather
from service.pipeline.marks.parallel_map import in_order
from service.pipeline.marks.plan import Candidate, Plan, plan
from service.pipeline.marks.presence import Look, Scores, cut, filled, first_and_last, parts, score
from service.pipeline.measure.dilation import margin_pixels
from service.pipeline.measure.measure import Mark
from service.pipeline.placement import Placement, common, meet
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

CLEAR_SCORE = 0.25  # a mark's own frames score about 1; where they score less the score may say nothing
LEAST_SCORE = 0.05  # of a mark that can be told at all
CLEAR_SPREADS = 6.0  # between the scores without and with the mark: then a lower one, of a mark taken for too opaque, is clear as well
SAME_SHARE = 0.7  # of a mark's pixels that another one has too, where both are the same
BEYOND_FRAMES = 3  # beyond the first sample that did not show a mark it is taken to be there if that cannot be seen
STILL = 0.92  # between the scores without and with the mark: less, and it may have begun to move
ELSEWHERE = 0.9  # between the same, for one that is shifted as suits it best, in frames in which it was seen
SLIDE_GAIN = 0.7  # of what is missing at its place, that the shift must bring
STILL_THERE = 0.6  # between the scores without and with the mark, shifted likewise, in frames beyond
SLIDE_FRAMES = 4
SLIDE_PIXELS = range(-2, 3)  # from one frame to the next, either way
SHY = 0.78  # of the confidence: a mark that is less sure must come and go at once
AT_ONCE = 0.5  # of all that the score falls: it does so from one frame to the next
TOGETHER_FRAMES = 2  # between the falls of its halves
NEAR_END_FRAMES = 8
LARGEST_SLIDING = 0.25  # of the picture: larger marks are not looked for elsewhere


def bound(frames: Iterable[Frame], info: VideoInfo, marks: Sequence[Mark], total_frames: int) -> list[Placement]:
    """The placements of every mark: usually one; several where its parts come and go at different times."""
    candidates = [mark.candidate for mark in marks]
    plans = [plan(candidate, candidates, total_frames) for candidate in candidates]
    places = [Place(c.box, frozenset(p.inside + p.outside + p.ends)) for c, p in zip(candidates, plans, strict=True)]

    def bounded(gathered: tuple[int, Crops]) -> list[_Stay]:
        number, crops = gathered
        small = places[number].box.width * places[number].box.height < LARGEST_SLIDING * info.width * info.height
        return _bounded(marks[number], plans[number], crops, may_slide=small)

    found = list(chain.from_iterable(in_order(bounded, gather(frames, info, places))))
    kept = [placement for stay in _distinct(found) for placement in (stay.placement, *stay.slides)]
    return sorted(kept, key=lambda placement: placement.first_frame)


@dataclass(frozen=True)
class _Stay:
    """A stay, and the frames just before and after it in which the mark slides."""

    placement: Placement
    slides: tuple[Placement, ...] = ()


def _distinct(found: list[_Stay]) -> list[_Stay]:
    """Without those that another one, longer, already covers: parts of one mark may have been found from each other's side."""
    kept: list[_Stay] = []
    for stay in sorted(found, key=lambda s: s.placement.first_frame - s.placement.last_frame):
        if stay.placement.kind == "user" or not any(_covers(other.placement, stay.placement) for other in kept):
            kept.append(stay)
    return kept


def _covers(longer: Placement, other: Placement) -> bool:
    """Whether most pixels of `other` are the longer one's too, in the same frames."""
    if longer.first_frame > other.first_frame or longer.last_frame < other.last_frame or not meet(longer.box, other.box):
        return False
    here, there = common(longer.box, other.box)
    shared = (longer.mask[here] > 0.5) & (other.mask[there] > 0.5)
    return float(shared.sum()) >= SAME_SHARE * float((other.mask > 0.5).sum())


def _bounded(mark: Mark, looked_at: Plan, crops: Crops, may_slide: bool) -> list[_Stay]:
    candidate, look, mask = mark.candidate, mark.look, mark.look.mask > 0.5
    if not candidate.slack_frames:  # the frames were given, or there is but one
        return [_Stay(_placement(mark, (candidate.first_sample, candidate.last_sample), look, _margin(looked_at, crops, look)))]
    split, seen = parts(mask), _Seen(crops, mask)
    found: list[_Part] = []
    for part in split:
        own = replace(look, mask=part.astype(np.float32))
        levels = _levels(looked_at, seen, own)
        if (ends := _ends(candidate, looked_at, seen, own, levels)) is not None:
            found.append(_Part(own, levels, ends))
    stays: dict[tuple[int, int], NDArray[np.bool_]] = {}
    slides: dict[tuple[int, int], list[tuple[int, Look]]] = defaultdict(list)
    for each in found:
        ends, slid = _agreed(each, found, candidate), list[tuple[int, Look]]()
        if may_slide and each.levels.clear:
            ends, slid = _slides(looked_at, seen, each.look, ends, each.levels)
        if mark.confidence < SHY and each.levels.clear and _lingers(looked_at, seen, each, ends):
            return []
        stays[ends] = stays.get(ends, np.zeros_like(mask)) | (each.look.mask > 0.5)
        slides[ends] += slid
    margin = _margin(looked_at, crops, look)
    return [
        _Stay(
            _placement(mark, ends, replace(look, mask=part.astype(np.float32)), margin),
            tuple(_placement(mark, (frame, frame), off, margin) for frame, off in slides[ends]),
        )
        for ends, part in stays.items()
    ]


def _agreed(part: "_Part", parts_of_it: Sequence["_Part"], candidate: Candidate) -> tuple[int, int]:
    """The part's ends. Where none of the samples next to them showed the mark, it is taken to be there only if all of its parts are.

    A logo and its word do not come or go at the very same time: a few frames in between are left to them.
    """
    first, last = part.ends
    clear = [other.ends for other in parts_of_it if other.levels.clear] or [part.ends]
    latest, earliest = max(ends[0] for ends in clear), min(ends[1] for ends in clear)
    if first < min(latest - SLIDE_FRAMES, candidate.first_sample - candidate.slack_frames):
        first = latest
    if last > max(earliest + SLIDE_FRAMES, candidate.last_sample + candidate.slack_frames):
        last = earliest
    return first, max(first, last)


class _Seen:
    """A candidate's crops by frame, and each with the mark's place filled in, which is done once."""

    def __init__(self, crops: Crops, mask: NDArray[np.bool_]) -> None:
        self._crops, self._mask = crops, mask
        self._fills: dict[int, Bytes] = {}

    def pair(self, frame: int) -> tuple[Floats, Floats]:
        crop = as_floats(self._crops[frame])
        if frame not in self._fills:
            self._fills[frame] = as_bytes(filled(crop, self._mask))
        return crop, as_floats(self._fills[frame])

    def moved(self, frame: int, part: Look, top: int, left: int) -> float:
        """The score of a part of the mark that has been moved; what was marked where it had rested is scene again."""
        crop, moved = as_floats(self._crops[frame]), _moved(part, top, left)
        hole = (self._mask & (part.mask < 0.5)) | (moved.mask > 0.5)
        return score(crop, filled(crop, hole), moved)


@dataclass(frozen=True)
class _Levels:
    """Scores typical without and with the mark, and whether they tell the one from the other."""

    absent: float
    present: float
    clear: bool


@dataclass(frozen=True)
class _Part:
    """A part of a mark, such as its word: its look, how it is told, and its first and last frame."""

    look: Look
    levels: _Levels
    ends: tuple[int, int]


def _levels(looked_at: Plan, seen: _Seen, look: Look) -> _Levels:
    inside, outside = ([score(*seen.pair(i), look) for i in frames] for frames in (looked_at.inside, looked_at.outside))
    present, absent = float(np.median(inside)), float(np.median(outside)) if outside else 0.0
    spread = max(float(np.median(np.abs(np.subtract(of, level)))) for of, level in ((inside, present), (outside or [0.0], absent)))
    clear = present >= CLEAR_SCORE or (present >= LEAST_SCORE and present - absent >= CLEAR_SPREADS * spread)
    return _Levels(min(absent, 0.5 * present), present, clear)


def _ends(candidate: Candidate, looked_at: Plan, seen: _Seen, look: Look, levels: _Levels) -> tuple[int, int] | None:
    """(first, last) frame of the mark or of a part of it; None where an unsure one is not clearly there."""
    inside, slack = (candidate.first_sample, candidate.last_sample), candidate.slack_frames
    if not levels.clear:  # a mark that hardly differs from the scene: rather too long than one marked frame
        near = [i for i in looked_at.ends if inside[0] - slack - BEYOND_FRAMES < i < inside[1] + slack + BEYOND_FRAMES]
        return (min([inside[0], *near]), max([inside[1], *near])) if candidate.sure else None
    scores = Scores(looked_at.ends, lambda frame: score(*seen.pair(frame), look))
    return first_and_last(scores, inside, levels.absent, levels.present)


def _slides(
    looked_at: Plan, seen: _Seen, look: Look, ends: tuple[int, int], levels: _Levels
) -> tuple[tuple[int, int], list[tuple[int, Look]]]:
    """The frames around both ends in which the mark is some pixels off, as it sinks away or slides in: the ends without them, and them."""
    edges, found = list(ends), list[tuple[int, Look]]()
    for k, step in ((0, -1), (1, 1)):
        edges[k], slid = _slide(looked_at, seen, look, ends, step, levels)
        found += slid
    if edges[0] > edges[1]:
        return ends, []
    return (edges[0], edges[1]), found


def _slide(
    looked_at: Plan, seen: _Seen, look: Look, ends: tuple[int, int], step: int, levels: _Levels
) -> tuple[int, list[tuple[int, Look]]]:
    """At one end, the last frame in which the mark is still at rest, and those in which it is not, with where it is in them.

    It slides only if it is clearly found better elsewhere in every frame until it has gone: a score that sinks may be the scene's.
    """
    still, elsewhere, least = (levels.absent + share * (levels.present - levels.absent) for share in (STILL, ELSEWHERE, STILL_THERE))
    end = ends[0] if step < 0 else ends[1]
    edge = end
    while abs(end - edge) < min(SLIDE_FRAMES, ends[1] - ends[0]) and edge in looked_at.ends and score(*seen.pair(edge), look) < still:
        edge -= step
    found, top, left = list[tuple[int, Look]](), 0, 0
    for frame in range(edge + step, end + step * (SLIDE_FRAMES + 1), step):
        if frame not in looked_at.ends:
            break
        beyond = (frame - end) * step > 0
        shifts = [(top + y, left + x) for y in SLIDE_PIXELS for x in SLIDE_PIXELS]
        best, y, x = max((seen.moved(frame, look, y, x), y, x) for y, x in shifts)
        if not (found or beyond or y or x):  # still at rest
            edge = frame
            continue
        if beyond and (best < least or not found):
            break
        if not beyond and (best < elsewhere or best - (here := score(*seen.pair(frame), look)) < SLIDE_GAIN * (levels.present - here)):
            return end, []
        top, left = y, x
        found.append((frame, _moved(look, top, left)))
    return edge, found


def _lingers(looked_at: Plan, seen: _Seen, part: _Part, ends: tuple[int, int]) -> bool:
    """Whether a part comes or goes little by little, or its halves apart, as things of the scene do that are moved or covered.

    A mark is there or it is not.
    """
    spans = list[list[int]]()
    for end, step in ((ends[0], -1), (ends[1], 1)):
        frames = [f for f in range(end - step * NEAR_END_FRAMES, end + step * NEAR_END_FRAMES + step, step) if f in looked_at.ends]
        if frames and abs(frames[-1] - end) >= NEAR_END_FRAMES:  # else the video ends, or what is beyond was not looked at
            spans.append(frames)
    if not spans:
        return False
    halves = [(half, _levels(looked_at, seen, half)) for half in _halves(part.look)]
    told = [(part.look, part.levels), *((half, levels) for half, levels in halves if levels.clear)]
    for frames in spans:
        falls = [_steepest([score(*seen.pair(frame), look) for frame in frames], levels) for look, levels in told]
        if min(share for share, _ in falls) < AT_ONCE or np.ptp([frame for _, frame in falls]) > TOGETHER_FRAMES:
            return True
    return False


def _steepest(scores: Sequence[float], levels: _Levels) -> tuple[float, int]:
    """The most that the scores fall from one frame to the next, as a share of all that they fall; and where."""
    steps = -np.diff(scores)
    most = int(steps.argmax())
    falls = max(levels.present - levels.absent, float(np.ptp(scores)))  # what leaves may show more of itself before
    return float(steps[most]) / falls, most


def _halves(look: Look) -> Iterable[Look]:
    """The upper, lower, left and right half."""
    for place, line in zip(np.indices(look.mask.shape), (np.median(along) for along in np.nonzero(look.mask > 0.5)), strict=True):
        for half in (place <= line, place > line):
            yield replace(look, mask=look.mask * half)


def _moved(look: Look, top: int, left: int) -> Look:
    height, width = look.mask.shape
    return cut(look, -top, -left, height, width)


def _margin(looked_at: Plan, crops: Crops, look: Look) -> int:
    return margin_pixels([crops[frame] for frame in looked_at.inside], look)


def _placement(mark: Mark, ends: tuple[int, int], look: Look, margin: int) -> Placement:
    candidate = mark.candidate
    return Placement(
        *ends, candidate.box, look.mask, look.opacity, look.colour, mark.confidence, candidate.kind, look.doubt, margin_pixels=margin
    )
