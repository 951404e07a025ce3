"""Step 5, first half: sightings over time to tracks, one for each stay of a mark. Pure; its memory grows with the marks, not the video."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.locate.segment import Detection
from service.pipeline.marks.similarity import iou
from service.pipeline.placement import Box, bounding_box

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SURE = 0.5  # a pixel is seen as mark above this probability
CONFIDENT = 0.63  # mean probability over its pixels that a track needs
CONFIDENT_AT_ENDS = 0.76  # and that one needs which is seen only in the first or last samples of the video
SAME_MARK_IOU = (
    0.65  # between a track and a new region: a still mark has 0.7 to 1 (mostly over 0.95), two lines of subtitles in one place 0.25 to 0.7
)
AT_REST_IOU = 0.9  # the same, from where on a track is at rest
RESTED_SAMPLES = 4  # of a track that has come to rest: what then differs is another line in the same place
SAME_LINE_IOU = 0.8  # as far may one at rest differ
JOIN_SHARE = 0.02  # of the long side: parts nearer than this are one mark (its word and its logo)
SMALLEST_PIXELS = 14  # at analysis size
MISSES = 2  # samples that a mark may be unseen and still be the same stay
LIKE_SIZE = 2.5  # stays of one mark do not differ more in pixels: at one of them its word may not be seen
MOST_UNSURE = 24
LEAST_SAMPLES = 3  # a sighting that does not last is no mark, unless the video is that short
LEAST_FRAMES = 6  # from its first to its last sample


@dataclass(eq=False)
class Track:
    """A mark that stays in one place while it grows older. Sums are over its samples, at analysis size."""

    first_sample: int  # frame index of the first sample that shows it
    last_sample: int
    seen: int
    misses: int
    total: Floats = field(repr=False)  # (h, w) sum of the probabilities
    sure: bool = True  # seen often and clearly enough to be a mark by itself
    standing: bool = False  # there in samples all over the video
    rested: int = 0  # samples in a row that showed next to the same

    @property
    def mean(self) -> Floats:
        """(h, w) mean probability while it was seen."""
        return self.total / np.float32(self.seen)

    @property
    def mask(self) -> Mask:
        return self.mean > SURE

    @property
    def confidence(self) -> float:
        """Mean probability over its pixels."""
        mask = self.mask
        return float(self.mean[mask].mean()) if mask.any() else 0.0

    @property
    def box(self) -> Box:
        """Of its pixels, at analysis size."""
        return bounding_box(self.mask)


def track(sightings: Iterable[Detection]) -> list[Track]:
    """The marks that stay, in the order in which they end."""
    tracks: list[Track] = []
    done: list[Track] = []
    samples, first_frame, last_frame = 0, 0, 0
    for sighting in sightings:
        samples, last_frame = samples + 1, sighting.frame_index
        first_frame = first_frame if samples > 1 else last_frame
        regions = find_regions(sighting.probability)
        unmatched = _extend(tracks, regions, sighting)
        done += [t for t in tracks if t.misses > MISSES]
        tracks = [t for t in tracks if t.misses <= MISSES]
        tracks += [
            Track(sighting.frame_index, sighting.frame_index, 1, 0, np.where(neighbourhood(r), sighting.probability, 0)) for r in unmatched
        ]
    found = [t for t in _merge_gaps(done + tracks) if t.mask.sum() >= SMALLEST_PIXELS]
    sure = [t for t in found if _persists(t, first_frame, last_frame, samples)]
    return sure + _unconfirmed([t for t in found if not any(t is one for one in sure)], sure)


def _unconfirmed(rest: list[Track], sure: list[Track]) -> list[Track]:
    """Of the other tracks those that may be another stay of a sure one, which will be told by their looks; the clearest first."""
    sizes = [int(t.mask.sum()) for t in sure]
    like = [t for t in rest if any(size / LIKE_SIZE < t.mask.sum() < size * LIKE_SIZE for size in sizes)]
    return [replace(t, sure=False) for t in sorted(like, key=lambda t: -t.confidence)[:MOST_UNSURE]]


def _persists(track: Track, first_frame: int, last_frame: int, samples: int) -> bool:
    """Whether it was seen often and surely enough. What begins or ends with the video may have been there for longer."""
    cut_off = track.first_sample == first_frame or track.last_sample == last_frame
    if cut_off and track.confidence >= CONFIDENT_AT_ENDS:
        return True
    lasts = track.last_sample - track.first_sample >= min(LEAST_FRAMES, last_frame - first_frame)
    return lasts and track.seen >= min(LEAST_SAMPLES, samples) and track.confidence >= CONFIDENT


def find_regions(probability: Floats) -> list[Mask]:
    """Marks in one sighting: pixels above SURE, those near each other together."""
    sure = probability > SURE
    count, labels = cv2.connectedComponents(neighbourhood(sure).astype(np.uint8))
    regions = [(labels == label) & sure for label in range(1, count)]
    return [region for region in regions if region.sum() >= SMALLEST_PIXELS]


def neighbourhood(mask: Mask) -> Mask:
    """The mask and what is near it: what is seen there but not surely in one sample may be surer in the next."""
    reach = 2 * max(1, round(JOIN_SHARE * max(mask.shape) / 2)) + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0


def _extend(tracks: list[Track], regions: list[Mask], sighting: Detection) -> list[Mask]:
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
        if not mine or alike < _min_iou(open_track.rested):
            open_track.misses += 1
            continue
        open_track.total += np.where(neighbourhood(whole | mask), sighting.probability, 0)
        open_track.seen, open_track.misses, open_track.last_sample = open_track.seen + 1, 0, sighting.frame_index
        open_track.rested = open_track.rested + 1 if alike >= AT_REST_IOU else 0
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
    return iou(early.mask, late.mask) >= _min_iou(min(early.rested, late.rested))


def _min_iou(rested: int) -> float:
    """Between what is the same mark, by how many samples in a row have shown next to the same."""
    return SAME_LINE_IOU if rested >= RESTED_SAMPLES else SAME_MARK_IOU
