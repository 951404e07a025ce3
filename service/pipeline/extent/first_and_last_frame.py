"""From presence scores to the first and last frame of a mark. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping

PRESENT_SCORE = 0.4  # between the typical scores without (0) and with the mark (1): above it, the walk outwards goes on
ABSENT_SCORE = 0.35  # between the same: below it, a sampled frame at an end did not show the mark


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
