"""From presence scores to the first and last frame of a mark. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from service.pipeline.extent.part_scores import FilledCrops, Part, ScoreLevels
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score

PRESENT_SCORE = 0.4  # between the typical scores without (0) and with the mark (1): above it, the walk outwards goes on
ABSENT_SCORE = 0.35  # between the same: below it, a sampled frame at an end did not show the mark
UNCLEAR_EXTRA_FRAMES = 3  # beyond the first sample that did not show a mark it is taken to be there if that cannot be seen
PARTS_APART_FRAMES = 4  # by which the parts of a mark, such as a logo and its word, come and go at different times


class LazyScores(Mapping[int, float]):
    """Scores by frame, each computed when it is first asked for: a walk from the middle outwards ends soon."""

    def __init__(self, frames: Iterable[int], score_of: Callable[[int], float]) -> None:
        self._frames = dict.fromkeys(frames)
        self._score_of = score_of
        self._known: dict[int, float] = {}

    def __getitem__(self, frame: int) -> float:
        if frame not in self._known:
            if frame not in self._frames:
                raise KeyError(frame)
            self._known[frame] = self._score_of(frame)
        return self._known[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._frames

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


def first_and_last_frame(presence_scores: Mapping[int, float], inside: tuple[int, int], absent: float, present: float) -> tuple[int, int]:
    """Walks from the frames known to be inside outwards while the mark is there.

    scores: by frame, for the frames around both ends. inside: (first, last) sampled frame that showed the mark, or was taken to: the
    segmenter sees several frames at once, and a part of a mark may have gone before the rest of it. absent, present: scores typical
    without and with it. Returns (first, last).
    """
    there = absent + PRESENT_SCORE * (present - absent)
    gone = absent + ABSENT_SCORE * (present - absent)
    first, last = inside
    while first < last and presence_scores.get(first, present) < gone:
        first += 1
    while last > first and presence_scores.get(last, present) < gone:
        last -= 1
    while first - 1 in presence_scores and presence_scores[first - 1] > there:
        first -= 1
    while last + 1 in presence_scores and presence_scores[last + 1] > there:
        last += 1
    return first, last


def find_ends(
    candidate: Candidate, frame_plan: FramePlan, seen: FilledCrops, model: MarkModel, levels: ScoreLevels
) -> tuple[int, int] | None:
    """(first, last) frame of the mark or of a part of it; None where an unsure one is not clearly there."""
    inside, slack = (candidate.first_sample, candidate.last_sample), candidate.slack_frames
    if not levels.clear:  # a mark that hardly differs from the scene: rather too long than one marked frame
        near = [i for i in frame_plan.end_frames if inside[0] - slack - UNCLEAR_EXTRA_FRAMES < i < inside[1] + slack + UNCLEAR_EXTRA_FRAMES]
        return (min([inside[0], *near]), max([inside[1], *near])) if candidate.confirmed else None
    scores = LazyScores(frame_plan.end_frames, lambda frame: presence_score(*seen.pair(frame), model))
    return first_and_last_frame(scores, inside, levels.absent, levels.present)


def agree_ends(part: Part, parts_of_it: Sequence[Part], candidate: Candidate) -> tuple[int, int]:
    """The part's ends. Where none of the samples next to them showed the mark, it is taken to be there only if all of its parts are.

    A logo and its word do not come or go at the very same time: a few frames in between are left to them.
    """
    first, last = part.ends
    clear = [other.ends for other in parts_of_it if other.levels.clear] or [part.ends]
    latest, earliest = max(ends[0] for ends in clear), min(ends[1] for ends in clear)
    if first < min(latest - PARTS_APART_FRAMES, candidate.first_sample - candidate.slack_frames):
        first = latest
    if last > max(earliest + PARTS_APART_FRAMES, candidate.last_sample + candidate.slack_frames):
        last = earliest
    return first, max(first, last)
