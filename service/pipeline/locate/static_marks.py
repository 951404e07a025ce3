"""Find static marks: those at one place from the first to the last frame.

Long exposures show them best. In the mean of many frames the scene blurs, while a static mark stays sharp and loses its noise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.arrays import Bytes, Floats, Mask
from models.preprocess import SEGMENTER_FRAMES
from service.inference.batcher import Batcher
from service.pipeline.locate.closer_look import closer_look
from service.pipeline.locate.segment import Sample, mark_probability
from service.pipeline.locate.track import MIN_PROBABILITY, Track, find_regions, is_mark_closely, neighbourhood
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Kind

MAX_SAMPLES = 4 * SEGMENTER_FRAMES  # samples kept, spread evenly over the video
MIN_SAMPLES = 2 * SEGMENTER_FRAMES  # a video with fewer samples has no long exposures: single frames show as much
# Least correlation between the probabilities of any two exposures. Static marks have 0.82 to 1, subtitles in one place 0.29 to 0.75.
MIN_CORRELATION = 0.78
MIN_PART_SHARE = 0.6  # of the pixels of a track or mark: with as many on another mark, it is a part of that one
SURROUNDINGS_PIXELS = 4  # pixels around a static mark that count as next to it


@dataclass
class ExposureStack:
    """At most MAX_SAMPLES samples, spread evenly over a video of unknown length, and sums over all samples.

    When there are too many samples, every second one is dropped and neighbouring sums are added.
    """

    kept: list[Sample] = field(default_factory=list)
    _sums: list[tuple[int, Floats]] = field(default_factory=list)  # per kept sample: count and sum of it and the ones up to the next
    _stride: int = 1  # from one kept sample to the next, in samples
    _added: int = 0
    _last_frame: int = 0  # index of the last sample's frame, which need not be kept

    def add(self, sample: Sample) -> None:
        """Adds the next sample of the video."""
        if self._added % self._stride == 0:
            self.kept.append(sample)
            self._sums.append((1, sample[1].astype(np.float32)))
        else:
            self._sums[-1] = _add_up([self._sums[-1], (1, sample[1])])
        self._added, self._last_frame = self._added + 1, sample[0]
        if len(self.kept) > MAX_SAMPLES:
            self.kept, self._stride = self.kept[::2], 2 * self._stride
            self._sums = [_add_up(self._sums[i : i + 2]) for i in range(0, len(self._sums), 2)]

    @property
    def span(self) -> tuple[int, int]:
        """The frame indices of the first and the last sample; there must be one."""
        return self.kept[0][0], self._last_frame

    def exposures(self) -> Floats:
        """The mean picture of each of SEGMENTER_FRAMES equal stretches of the video: (SEGMENTER_FRAMES, 3, h, w) RGB in [0, 1]."""
        stretches = np.array_split(np.arange(len(self._sums)), SEGMENTER_FRAMES)
        sums = [_add_up(self._sums[stretch[0] : stretch[-1] + 1]) for stretch in stretches]
        return np.stack([total.transpose(2, 0, 1) / np.float32(255 * count) for count, total in sums])


def _add_up(sums: Sequence[tuple[int, Bytes | Floats]]) -> tuple[int, Floats]:
    """The total of counts and of pictures (h, w, 3)."""
    return sum(count for count, _ in sums), np.sum([total for _, total in sums], 0, dtype=np.float32)


def find_static_marks(stack: ExposureStack, network: Batcher, classes: frozenset[Kind]) -> list[Track]:
    """Tracks of the marks that the segmenter finds in every long exposure, at one place and alike."""
    if len(stack.kept) < MIN_SAMPLES:
        return []
    first, last = stack.span
    exposures = stack.exposures()
    probability = mark_probability(exposures, network, classes)
    regions = [region for region in find_regions(probability.mean(0)) if _same_in_all(probability, region)]
    tracks = [Track(first, last, len(probability), 0, np.where(neighbourhood(region), probability.sum(0), 0)) for region in regions]
    answers = closer_look(network, classes)(exposures, [track.mask for track in tracks])
    for track, answer in zip(tracks, answers, strict=True):
        track.closer.append(float(answer.mean()))
    return [track for track in tracks if is_mark_closely(track.closer)]


def _same_in_all(probability: Floats, region: Mask) -> bool:
    """Whether all exposures (T, h, w) show a mark in the region (h, w), and the same one. Subtitles change their text in one place."""
    around = neighbourhood(region)
    in_all = all(exposure[region].mean() > MIN_PROBABILITY for exposure in probability)
    return in_all and float(np.corrcoef([exposure[around] for exposure in probability]).min()) >= MIN_CORRELATION


def merge_static_marks(tracks: Iterable[Track], static_tracks: Sequence[Track]) -> list[Track]:
    """All tracks, followed by the static marks, each united with the confirmed tracks that show a part of it.

    The tracks stay in the list, because only measuring decides whether the track or the static mark is right.
    """
    tracks = list(tracks)
    united: list[Track] = []
    for mark in static_tracks:
        around = dilate(mark.mask, SURROUNDINGS_PIXELS)
        pieces = [mark, *(t for t in tracks if t.confirmed and _is_part(t.mask, around))]
        mean = np.maximum.reduce([t.mean for t in pieces])
        first, last = min(t.first_sample for t in pieces), max(t.last_sample for t in pieces)
        united.append(Track(first, last, mark.detection_count, 0, mean * np.float32(mark.detection_count), static=True, in_samples=False))
    return tracks + united


def _is_part(mask: Mask, around: Mask) -> bool:
    """Whether most of a track's mask (h, w) lies on or next to a static mark; `around` (h, w) is that mark with its surroundings."""
    return float((mask & around).sum()) >= MIN_PART_SHARE * float(mask.sum())
