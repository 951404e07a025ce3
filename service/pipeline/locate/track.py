"""Step 5, first half: sightings over time to tracks, one for each stay of a mark. Pure; its memory grows with the marks, not the video."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.locate.segment import Detection
from service.pipeline.marks.similarity import iou
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, bounding_box

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_PROBABILITY = 0.5  # a pixel is seen as mark above this probability
MIN_CONFIDENCE = 0.63  # mean probability over its pixels that a track needs
MIN_CONFIDENCE_AT_ENDS = 0.76  # and that one needs which is seen only in the first or last samples of the video
SAME_MARK_IOU = (
    0.65  # between a track and a new region: a still mark has 0.7 to 1 (mostly over 0.95), two lines of subtitles in one place 0.25 to 0.7
)
STABLE_IOU = 0.9  # the same, from where on a track is at rest
STABLE_SAMPLES = 4  # of a track that has come to rest: what then differs is another line in the same place
SAME_LINE_IOU = 0.8  # as far may one at rest differ
JOIN_DISTANCE_SHARE = 0.02  # of the long side: parts nearer than this are one mark (its word and its logo)
MIN_PIXELS = 14  # at analysis size
MAX_MISSES = 2  # samples that a mark may be unseen and still be the same stay
MAX_SIZE_RATIO = 2.5  # stays of one mark do not differ more in pixels: at one of them its word may not be seen
MAX_UNCONFIRMED = 24
MIN_SAMPLES = 3  # a sighting that does not last is no mark, unless the video is that short
MIN_FRAMES = 6  # from its first to its last sample


@dataclass(eq=False)
class Track:
    """A mark that stays in one place while it grows older. Sums are over its samples, at analysis size."""

    first_sample: int  # frame index of the first sample that shows it
    last_sample: int
    seen: int
    misses: int
    total: Floats = field(repr=False)  # (h, w) sum of the probabilities
    confirmed: bool = True  # seen often and clearly enough to be a mark by itself
    static: bool = False  # there in samples all over the video
    stable_samples: int = 0  # samples in a row that showed next to the same

    @property
    def mean(self) -> Floats:
        """(h, w) mean probability while it was seen."""
        return self.total / np.float32(self.seen)

    @property
    def mask(self) -> Mask:
        return self.mean > MIN_PROBABILITY

    @property
    def confidence(self) -> float:
        """Mean probability over its pixels."""
        mask = self.mask
        return float(self.mean[mask].mean()) if mask.any() else 0.0

    @property
    def box(self) -> Box:
        """Of its pixels, at analysis size."""
        return bounding_box(self.mask)


def track(detections: Iterable[Detection]) -> list[Track]:
    """The marks that stay, in the order in which they end."""
    tracks: list[Track] = []
    done: list[Track] = []
    samples, first_frame, last_frame = 0, 0, 0
    for detection in detections:
        samples, last_frame = samples + 1, detection.frame_index
        first_frame = first_frame if samples > 1 else last_frame
        regions = find_regions(detection.probability)
        unmatched = _extend(tracks, regions, detection)
        done += [t for t in tracks if t.misses > MAX_MISSES]
        tracks = [t for t in tracks if t.misses <= MAX_MISSES]
        tracks += [
            Track(detection.frame_index, detection.frame_index, 1, 0, np.where(neighbourhood(r), detection.probability, 0))
            for r in unmatched
        ]
    found = [t for t in _merge_gaps(done + tracks) if t.mask.sum() >= MIN_PIXELS]
    sure = [t for t in found if _persists(t, first_frame, last_frame, samples)]
    return sure + _unconfirmed([t for t in found if not any(t is one for one in sure)], sure)


def _unconfirmed(rest: list[Track], sure: list[Track]) -> list[Track]:
    """Of the other tracks those that may be another stay of a sure one, which will be told by their looks; the clearest first."""
    sizes = [int(t.mask.sum()) for t in sure]
    like = [t for t in rest if any(size / MAX_SIZE_RATIO < t.mask.sum() < size * MAX_SIZE_RATIO for size in sizes)]
    return [replace(t, confirmed=False) for t in sorted(like, key=lambda t: -t.confidence)[:MAX_UNCONFIRMED]]


def _persists(track: Track, first_frame: int, last_frame: int, samples: int) -> bool:
    """Whether it was seen often and surely enough. What begins or ends with the video may have been there for longer."""
    cut_off = track.first_sample == first_frame or track.last_sample == last_frame
    if cut_off and track.confidence >= MIN_CONFIDENCE_AT_ENDS:
        return True
    lasts = track.last_sample - track.first_sample >= min(MIN_FRAMES, last_frame - first_frame)
    return lasts and track.seen >= min(MIN_SAMPLES, samples) and track.confidence >= MIN_CONFIDENCE


def find_regions(probability: Floats) -> list[Mask]:
    """Marks in one sighting: pixels above MIN_PROBABILITY, those near each other together."""
    sure = probability > MIN_PROBABILITY
    count, labels = cv2.connectedComponents(neighbourhood(sure).astype(np.uint8))
    regions = [(labels == label) & sure for label in range(1, count)]
    return [region for region in regions if region.sum() >= MIN_PIXELS]


def neighbourhood(mask: Mask) -> Mask:
    """The mask and what is near it: what is seen there but not surely in one sample may be surer in the next."""
    return dilate(mask, max(1, round(JOIN_DISTANCE_SHARE * max(mask.shape) / 2)))


def _extend(tracks: list[Track], regions: list[Mask], detection: Detection) -> list[Mask]:
    """Gives each open track the regions that cover it; returns the regions that belong to none."""
    free = list(regions)
    for open_track in tracks:
        mask = open_track.mask
        mine = [region for region in free if (region & mask).sum() >= 0.5 * region.sum()]
        whole = np.logical_or.reduce(mine) if mine else np.zeros_like(mask)
        near_by = [region for region in free if not mine and iou(region, mask) >= SAME_MARK_IOU]
        if near_by:
            mine, whole = near_by[:1], near_by[0]
        alike = iou(whole, mask)
        if not mine or alike < _min_iou(open_track.stable_samples):
            open_track.misses += 1
            continue
        open_track.total += np.where(neighbourhood(whole | mask), detection.probability, 0)
        open_track.seen, open_track.misses, open_track.last_sample = open_track.seen + 1, 0, detection.frame_index
        open_track.stable_samples = open_track.stable_samples + 1 if alike >= STABLE_IOU else 0
        free = [region for region in free if not any(region is taken for taken in mine)]
    return free


def _merge_gaps(tracks: list[Track]) -> list[Track]:
    """Tracks of one mark that was lost for some samples and found again, as one."""
    joined: list[Track] = []
    for late in sorted(tracks, key=lambda t: t.first_sample):
        early = next((t for t in joined if 0 < late.first_sample - t.last_sample <= 30 and _same_mark(t, late)), None)
        if early is None:
            joined.append(late)
        else:
            early.total, early.seen, early.last_sample = early.total + late.total, early.seen + late.seen, late.last_sample
    return joined


def _same_mark(early: Track, late: Track) -> bool:
    """Whether both are of one mark; two that had come to rest, if they look the same: else one line of subtitles followed another."""
    return iou(early.mask, late.mask) >= _min_iou(min(early.stable_samples, late.stable_samples))


def _min_iou(stable_samples: int) -> float:
    """Between what is the same mark, by how many samples in a row have shown next to the same."""
    return SAME_LINE_IOU if stable_samples >= STABLE_SAMPLES else SAME_MARK_IOU
