"""The first and last frame of a mark, from its presence scores. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from service.pipeline.extent.part_scores import MAX_SLIDE_FRAMES, PRESENT_SCORE, FilledCrops, Part, ScoreLevels
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import FramePlan
from service.pipeline.marks.presence import presence_score


class LazyScores(Mapping[int, float]):
    """Scores by frame, each computed when it is first read: a walk outwards reads only a few of them."""

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


def first_and_last_frame(presence_scores: Mapping[int, float], sampled: tuple[int, int], absent: float, present: float) -> tuple[int, int]:
    """(first, last) frame of a mark, by a walk outwards from frames that are known to show it.

    presence_scores: by frame, for the frames around both ends. sampled: (first, last) sampled frame that seemed to show the mark; the walk
    starts further inside if it did not, as the segmenter sees several frames at once and one part of a mark may vanish before the rest.
    absent, present: the typical scores without and with the mark.
    """
    threshold = absent + PRESENT_SCORE * (present - absent)
    first, last = sampled
    while first < last and presence_scores.get(first, present) < threshold:
        first += 1
    while last > first and presence_scores.get(last, present) < threshold:
        last -= 1
    while first - 1 in presence_scores and presence_scores[first - 1] > threshold:
        first -= 1
    while last + 1 in presence_scores and presence_scores[last + 1] > threshold:
        last += 1
    return first, last


def find_ends(
    candidate: Candidate, frame_plan: FramePlan, filled: FilledCrops, model: MarkModel, levels: ScoreLevels
) -> tuple[int, int] | None:
    """(first, last) frame of a mark or of a part of it; None for an unconfirmed candidate that is not clearly there.

    A mark that hardly differs from the scene gets a few frames too many rather than one too few.
    """
    sampled, slack = (candidate.first_sample, candidate.last_sample), candidate.slack_frames
    if not levels.clear:
        if not candidate.confirmed:
            return None
        near = [frame for frame in frame_plan.end_frames if sampled[0] - slack < frame < sampled[1] + slack]
        return min([sampled[0], *near]), max([sampled[1], *near])
    scores = LazyScores(frame_plan.end_frames, lambda frame: presence_score(*filled.pair(frame), model))
    return first_and_last_frame(scores, sampled, levels.absent, levels.present)


def reconcile_ends(part: Part, parts: Sequence[Part], candidate: Candidate) -> tuple[int, int]:
    """(first, last) frame of a part of a mark, given all its parts.

    Beyond the samples next to the candidate's, which did not show the mark, a part counts as present only while all clear parts are. The
    parts, such as a logo and its word, may still differ by a few frames.
    """
    first, last = part.ends
    clear = [other.ends for other in parts if other.levels.clear] or [part.ends]
    latest_first, earliest_last = max(ends[0] for ends in clear), min(ends[1] for ends in clear)
    if first < min(latest_first - MAX_SLIDE_FRAMES, candidate.first_sample - candidate.slack_frames):
        first = latest_first
    if last > max(earliest_last + MAX_SLIDE_FRAMES, candidate.last_sample + candidate.slack_frames):
        last = earliest_last
    return first, max(first, last)
