"""Step 5 beside tracking: marks that stand through the whole video.

Long exposures tell them from the scene best: in the mean of many frames it blurs, they stay sharp and lose their noise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.preprocess import SEGMENTER_FRAMES
from service.inference.batcher import Batcher
from service.pipeline.locate.segment import Sample, mark_probability
from service.pipeline.locate.track import MIN_CONFIDENCE, MIN_PROBABILITY, Track, find_regions, neighbourhood
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Kind

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAX_SAMPLES = 4 * SEGMENTER_FRAMES  # frames, evenly over the video
MIN_SAMPLES = 2 * SEGMENTER_FRAMES  # of a shorter video single frames show as much
MIN_CORRELATION = (
    0.78  # correlation of any two exposures' probabilities: true marks have 0.82 to 1, lines of subtitles in one place 0.29 to 0.75
)
MIN_PART_SHARE = 0.6  # of a track's pixels that are a standing mark's too, or next to them: the track has seen a part of it
SURROUNDINGS_PIXELS = 4  # around a static mark: pixels of a track there belong to it too


@dataclass
class ExposureStack:
    """Keeps a few samples, evenly over a video whose length is not known, and the sums of those between: neighbours merge when there are
    too many."""

    kept: list[Sample] = field(default_factory=list)
    _sums: list[tuple[int, Floats]] = field(default_factory=list)  # of each kept one and those that follow it: how many, and their sum
    _every: int = 1
    _seen: int = 0

    def add(self, sample: Sample) -> None:
        if self._seen % self._every == 0:
            self.kept.append(sample)
            self._sums.append((1, sample[1].astype(np.float32)))
        else:
            self._sums[-1] = _add_up([self._sums[-1], (1, sample[1])])
        self._seen += 1
        if len(self.kept) > MAX_SAMPLES:
            self.kept, self._every = self.kept[::2], 2 * self._every
            self._sums = [_add_up(self._sums[i : i + 2]) for i in range(0, len(self._sums), 2)]

    def exposures(self) -> Floats:
        """(SEGMENTER_FRAMES, 3, h, w) in [0, 1]: the means of the samples of each quarter of the video."""
        sums = [_add_up(self._sums[part[0] : part[-1] + 1]) for part in np.array_split(np.arange(len(self._sums)), SEGMENTER_FRAMES)]
        return np.stack([total.transpose(2, 0, 1) / np.float32(255 * count) for count, total in sums])


def _add_up(sums: Sequence[tuple[int, NDArray[np.uint8] | Floats]]) -> tuple[int, Floats]:
    return sum(count for count, _ in sums), np.sum([total for _, total in sums], 0, dtype=np.float32)


def find_static_marks(spread: ExposureStack, network: Batcher, classes: frozenset[Kind]) -> list[Track]:
    """The marks that are in every part of the video, in one place."""
    if len(spread.kept) < MIN_SAMPLES:
        return []
    first, last = spread.kept[0][0], spread.kept[-1][0]
    probability = mark_probability(spread.exposures(), network, classes)
    regions = [region for region in find_regions(probability.mean(0)) if _same_in_all(probability, region)]
    seen = [Track(first, last, len(probability), 0, np.where(neighbourhood(region), probability.sum(0), 0)) for region in regions]
    return [mark for mark in seen if mark.confidence >= MIN_CONFIDENCE]


def _same_in_all(probability: Floats, region: Mask) -> bool:
    """Whether all exposures (T, h, w) show the mark, and the same one: lines of subtitles follow each other in one place."""
    around = neighbourhood(region)
    seen = all(part[region].mean() > MIN_PROBABILITY for part in probability)
    return seen and float(np.corrcoef([part[around] for part in probability]).min()) >= MIN_CORRELATION


def merge_static_marks(tracks: Iterable[Track], static_tracks: Sequence[Track]) -> list[Track]:
    """All tracks, and the standing marks with what tracks showed of them: which of the two is right, a nearer look will tell."""
    rest = list(tracks)
    whole: list[Track] = []
    for mark in static_tracks:
        around = dilate(mark.mask, SURROUNDINGS_PIXELS)
        both = [mark, *(t for t in rest if t.confirmed and _is_part(t.mask, around))]
        mean = np.maximum.reduce([t.mean for t in both])
        first, last = min(t.first_sample for t in both), max(t.last_sample for t in both)
        whole.append(Track(first, last, mark.seen, 0, mean * np.float32(mark.seen), static=True))
    return rest + whole


def _is_part(mask: Mask, around: Mask) -> bool:
    return float((mask & around).sum()) >= MIN_PART_SHARE * float(mask.sum())
