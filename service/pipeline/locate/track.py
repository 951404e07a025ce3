"""Link detections over time to tracks, one for each interval that a mark stays at one place. Pure.

Memory grows with the number of marks, not with the length of the video.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.locate.closer_look import LookCloser
from service.pipeline.locate.segment import Detection
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.marks.similarity import iou
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, bounding_box

MIN_PROBABILITY = 0.5  # a pixel above it counts as detected; a track too, by the mean over its pixels in closer looks
# Mean probability over its pixels that a track of few detections needs if the video's first or last sample may have cut it short.
MIN_CONFIDENCE_AT_ENDS = 0.76
# Least IoU of a track and a region that extends it. A static mark has 0.7 to 1, mostly over 0.95; two subtitles in one place 0.25 to 0.7.
SAME_MARK_IOU = 0.65
STABLE_SAMPLES = 4  # stable samples in a row that make a track stable; a different shape is then another subtitle in the same place
STABLE_IOU = 0.8  # IoU of two samples of a stable track, and of a stable track with what continues it, in place of SAME_MARK_IOU
JOIN_DISTANCE_SHARE = 0.02  # share of the picture's long side; parts nearer than this are one mark, such as a word and its logo
MIN_PIXELS = 14  # of a mark, at analysis size
MAX_MISSES = 2  # samples in a row without a detection that a track survives
MAX_GAP_FRAMES = 30  # from a track's last sample to the first of the next one, up to which both may be one track
MAX_SIZE_RATIO = 2.5  # of the pixels of two tracks of one mark: the word of a logo may be undetected in one of them
MAX_UNCONFIRMED = 24  # unconfirmed tracks kept
MIN_SAMPLES = 3  # detections that a confirmed track needs; fewer if the video has fewer samples, or may have cut it short
MIN_FRAMES = 6  # from its first to its last sample; fewer if the video is shorter. At both ends of the video every frame is a sample


@dataclass(eq=False)
class Track:
    """Detections of one place that follow each other in time, at analysis size. It grows while it is open.

    first_sample, last_sample: frame indices of its first and last detection. detection_count: how many it has. misses: samples without
    one since the last. probability_sum: (h, w), the sum over its detections. confirmed: detected often and clearly enough to count as a
    mark without matching another track. static: found in every part of the video. stable_samples: detections in a row that hardly
    changed its shape. closer: what closer looks at it found, each the mean probability over its mask.
    """

    first_sample: int
    last_sample: int
    detection_count: int
    misses: int
    probability_sum: Floats = field(repr=False)
    confirmed: bool = True
    static: bool = False
    stable_samples: int = 0
    closer: list[float] = field(default_factory=list)

    @property
    def mean(self) -> Floats:
        """(h, w): the mean probability over its detections."""
        return self.probability_sum / np.float32(self.detection_count)

    @property
    def mask(self) -> Mask:
        """(h, w): the pixels whose mean probability is above MIN_PROBABILITY."""
        return self.mean > MIN_PROBABILITY

    @property
    def confidence(self) -> float:
        """The mean probability over its mask, in [0, 1]; 0 if the mask is empty."""
        mask = self.mask
        return float(self.mean[mask].mean()) if mask.any() else 0.0

    @property
    def box(self) -> Box:
        """The bounding box of its mask, in pixels at analysis size."""
        return bounding_box(self.mask)


def track(detections: Iterable[Detection], look_closer: LookCloser, decisions: Decisions = UNRECORDED) -> list[Track]:
    """The confirmed tracks, in the order in which they end, followed by the unconfirmed ones, the most confident first."""
    open_tracks: list[Track] = []
    ended: list[Track] = []
    last: Detection | None = None
    samples, first_frame, last_frame = 0, 0, 0
    for detection in detections:
        samples, last_frame = samples + 1, detection.frame_index
        first_frame = first_frame if samples > 1 else last_frame
        unmatched = _extend(open_tracks, find_regions(detection.probability), detection)
        ended += [t for t in open_tracks if t.misses > MAX_MISSES]
        open_tracks = [t for t in open_tracks if t.misses <= MAX_MISSES]
        open_tracks += [_begin(region, detection) for region in unmatched]
        last = detection
        _look_closer([t for t in open_tracks if _is_due(t, first_frame)], detection, look_closer)
    if last:
        _look_closer([t for t in open_tracks if not t.closer and not t.misses], last, look_closer)
    tracks = [t for t in _merge_gaps(ended + open_tracks) if t.mask.sum() >= MIN_PIXELS]
    confirmed = [t for t in tracks if _persists(t, first_frame, last_frame, samples)]
    unconfirmed = _unconfirmed([t for t in tracks if t not in confirmed], confirmed)
    _note_tracks(tracks, confirmed, unconfirmed, min(MIN_SAMPLES, samples), decisions)
    return confirmed + unconfirmed


def _begin(region: Mask, detection: Detection) -> Track:
    """A new track of a region (h, w) of a detection."""
    return Track(detection.frame_index, detection.frame_index, 1, 0, np.where(neighbourhood(region), detection.probability, 0))


def _is_due(track: Track, first_frame: int) -> bool:
    """Whether a closer look at a track is due: at its third detection, and whenever their number has doubled.

    One that includes the video's first sample may be at its end: at that too.
    """
    begins = track.first_sample == first_frame and not track.closer
    return not track.misses and (begins or track.detection_count == MIN_SAMPLES << len(track.closer))


def _look_closer(tracks: list[Track], detection: Detection, look_closer: LookCloser) -> None:
    """Look closer at tracks, where a detection shows them."""
    tracks = [t for t in tracks if t.mask.any()]
    if tracks:
        for one, answer in zip(tracks, look_closer(detection.pictures, [t.mask for t in tracks]), strict=True):
            one.closer.append(float(answer[detection.place]))


def _unconfirmed(tracks: list[Track], confirmed: list[Track]) -> list[Track]:
    """The tracks of about the size of a confirmed one, most confident first. Each may be another interval of that mark."""
    sizes = [int(t.mask.sum()) for t in confirmed]
    similar = [t for t in tracks if any(size / MAX_SIZE_RATIO < t.mask.sum() < size * MAX_SIZE_RATIO for size in sizes)]
    return [replace(t, confirmed=False) for t in sorted(similar, key=lambda t: -t.confidence)[:MAX_UNCONFIRMED]]


def _persists(track: Track, first_frame: int, last_frame: int, samples: int) -> bool:
    """Whether a track has enough detections, and a closer look shows a mark too.

    A confident one that includes the video's first or last sample needs no more detections: the video may have cut it short.
    """
    at_an_end = track.first_sample == first_frame or track.last_sample == last_frame
    cut_short = at_an_end and track.confidence >= MIN_CONFIDENCE_AT_ENDS
    long_enough = track.last_sample - track.first_sample >= min(MIN_FRAMES, last_frame - first_frame)
    often_enough = track.detection_count >= min(MIN_SAMPLES, samples)
    return (cut_short or (long_enough and often_enough)) and is_mark_closely(track.closer)


def is_mark_closely(closer: Sequence[float]) -> bool:
    """Whether closer looks, each a mean probability, show a mark; without any, what was seen counts."""
    return not closer or sum(closer) / len(closer) > MIN_PROBABILITY


def find_regions(probability: Floats) -> list[Mask]:
    """The masks (h, w) of the marks in one detection: pixels above MIN_PROBABILITY, grouped if they are near each other."""
    detected = probability > MIN_PROBABILITY
    count, labels = cv2.connectedComponents(neighbourhood(detected).astype(np.uint8))
    regions = [(labels == label) & detected for label in range(1, count)]
    return [region for region in regions if np.count_nonzero(region) >= MIN_PIXELS]


def neighbourhood(mask: Mask) -> Mask:
    """The mask (h, w) and the pixels near it. A pixel that is uncertain in one sample may be certain in the next."""
    return dilate(mask, max(1, round(JOIN_DISTANCE_SHARE * max(mask.shape) / 2)))


def _extend(open_tracks: list[Track], regions: list[Mask], detection: Detection) -> list[Mask]:
    """Adds to each open track the regions that match it, or counts a miss. Returns the regions that match no track."""
    unmatched = list(regions)
    for open_track in open_tracks:
        mask = open_track.mask
        matching = _matching_regions(unmatched, mask)
        union = np.logical_or.reduce(matching) if matching else np.zeros_like(mask)
        overlap = iou(union, mask)
        if not matching or overlap < _min_iou(open_track.stable_samples):
            open_track.misses += 1
            continue
        open_track.probability_sum += np.where(neighbourhood(union | mask), detection.probability, 0)
        open_track.detection_count += 1
        open_track.misses, open_track.last_sample = 0, detection.frame_index
        open_track.stable_samples = open_track.stable_samples + 1 if overlap >= STABLE_IOU else 0
        unmatched = [region for region in unmatched if not any(region is other for other in matching)]
    return unmatched


def _matching_regions(regions: list[Mask], mask: Mask) -> list[Mask]:
    """The regions of which the mask (h, w) covers at least half. If there are none, the first one of a similar shape."""
    covered = [region for region in regions if np.count_nonzero(region & mask) >= 0.5 * np.count_nonzero(region)]
    return covered or [region for region in regions if iou(region, mask) >= SAME_MARK_IOU][:1]


def _merge_gaps(tracks: list[Track]) -> list[Track]:
    """Merges tracks of one mark that was undetected for some samples in between."""
    merged: list[Track] = []
    for late in sorted(tracks, key=lambda t: t.first_sample):
        early = next((t for t in merged if 0 < late.first_sample - t.last_sample <= MAX_GAP_FRAMES and _same_mark(t, late)), None)
        if early is None:
            merged.append(late)
        else:
            early.probability_sum = early.probability_sum + late.probability_sum
            early.detection_count, early.last_sample = early.detection_count + late.detection_count, late.last_sample
            early.closer += late.closer
    return merged


def _same_mark(early: Track, late: Track) -> bool:
    """Whether two tracks are of one mark. Two stable ones have to be more alike, because one subtitle may follow another."""
    return iou(early.mask, late.mask) >= _min_iou(min(early.stable_samples, late.stable_samples))


def _min_iou(stable_samples: int) -> float:
    """The least IoU of two shapes of one mark, given the number of stable samples in a row."""
    return STABLE_IOU if stable_samples >= STABLE_SAMPLES else SAME_MARK_IOU


def _note_tracks(tracks: list[Track], confirmed: list[Track], unconfirmed: list[Track], min_samples: int, decisions: Decisions) -> None:
    """Note of every track whether it was kept, with its detections and its confidence."""
    possible = [id(t.probability_sum) for t in unconfirmed]
    for number, one in enumerate(tracks):
        box, notes = one.box, decisions.about("track", number)
        outcome = (
            "confirmed"
            if one in confirmed
            else "unconfirmed"
            if id(one.probability_sum) in possible
            else "dropped: too brief, or no mark in a closer look"
        )
        place = f"frames {one.first_sample} to {one.last_sample}, box {box.left},{box.top},{box.right},{box.bottom} at analysis size"
        notes("samples that show it", one.detection_count, min_samples, f"{outcome}: {place}")
        notes("confidence", one.confidence, None, outcome)
        if one.closer:
            notes("confidence in closer looks", sum(one.closer) / len(one.closer), MIN_PROBABILITY, outcome)
