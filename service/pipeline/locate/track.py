"""Link detections over time to tracks, one for each interval that a mark stays at one place. Pure.

Memory grows with the number of marks, not with the length of the video.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from functools import reduce

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.preprocess import SEGMENTER_FRAMES
from service.pipeline.locate.closer_look import LookCloser
from service.pipeline.locate.local_sum import LocalSum
from service.pipeline.locate.segment import Detection
from service.pipeline.marks.appearance import Appearance, appearance, is_another
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.marks.similarity import iou
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, bounding_box

MIN_PROBABILITY = 0.5  # a pixel above it counts as detected; a track too, by the mean over its pixels in closer looks
# Least IoU of a track and a region that extends it. A static mark has 0.7 to 1, mostly over 0.95; two subtitles in one place 0.25 to 0.7.
SAME_MARK_IOU = 0.65
# The same of a track and what is seen at its own place, where more appears beside it. With 0.65, karaoke loses 0.7 dB and subtitles 0.2 (3
# clips of each).
STABLE_IOU = 0.8
JOIN_DISTANCE_SHARE = 0.02  # share of the picture's long side; parts nearer than this are one mark, such as a word and its logo
MIN_PIXELS = 14  # of a mark, at analysis size
MAX_MISSES = 2  # samples in a row without a detection that a track survives
MAX_GAP_FRAMES = 30  # from a track's last sample to the first of the next one, up to which both may be one track
MAX_SIZE_RATIO = 2.5  # of the pixels of two tracks of one mark: the word of a logo may be undetected in one of them
MAX_UNCONFIRMED = 24  # unconfirmed tracks kept
# Mean probability over its pixels that a briefer track needs as well, as a look at a single picture says less: cars on a motorway have 0.50
# to 0.69, words of 0.2 to 0.5 s 0.73 to 0.95.
MIN_BRIEF_CONFIDENCE = 0.7
LOOK_SAMPLES = 3  # detections of a track after which it is looked at closer; a briefer one is when it ends


@dataclass(eq=False)
class Track:
    """Detections of one place that follow each other in time, at analysis size. It grows while it is open.

    first_sample, last_sample: frame indices of its first and last detection. detection_count: how many it has. misses: samples without
    one since the last. total: (h, w), the sum of the probabilities over its detections. confirmed: closer looks show a mark, so that it
    counts without matching another track. static: found in every part of the video. in_samples: in single samples, not in long exposures
    alone. closer: what closer looks at it found, each the mean probability over its mask. looks: how it looked first and last. in_line:
    it appeared beside another, as the next word of a line does, or another did beside it; or others take its place. latest: its last
    detections, at most SEGMENTER_FRAMES, while it is open.
    """

    first_sample: int
    last_sample: int
    detection_count: int
    misses: int
    total: InitVar[Floats]
    confirmed: bool = True
    static: bool = False
    in_samples: bool = True
    closer: list[float] = field(default_factory=list)
    looks: list[Appearance] = field(default_factory=list, repr=False)
    in_line: bool = False
    latest: deque[Detection] = field(default_factory=lambda: deque(maxlen=SEGMENTER_FRAMES), repr=False)
    sum: LocalSum = field(init=False, repr=False)

    def __post_init__(self, total: Floats) -> None:
        self.sum = LocalSum(total)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures, in pixels at analysis size."""
        height, width = self.sum.shape
        return height, width

    @property
    def mean(self) -> Floats:
        """(h, w): the mean probability over its detections."""
        return self.sum.whole() / np.float32(self.detection_count)

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


@dataclass(frozen=True, eq=False)
class _Region:
    """Pixels (h, w) of a detection that may be a mark. in_line: they appeared beside another."""

    pixels: Mask
    in_line: bool = False


@dataclass(frozen=True, eq=False)
class _Match:
    """What a detection shows of a track: its pixels (h, w), its place (h, w), the regions that are not of it, and those new beside it."""

    seen: Mask
    place: Mask
    others: list[_Region]
    words: list[_Region] = field(default_factory=list)


def track(detections: Iterable[Detection], look_closer: LookCloser, decisions: Decisions = UNRECORDED) -> list[Track]:
    """The confirmed tracks, in the order in which they end, followed by the unconfirmed ones, the most confident first."""
    open_tracks: list[Track] = []
    ended: list[Track] = []
    samples = 0
    for detection in detections:
        samples += 1
        begun = _extend(open_tracks, detection)
        ended += (ending := [t for t in open_tracks if t.misses > MAX_MISSES])
        open_tracks = [t for t in open_tracks if t.misses <= MAX_MISSES] + begun
        _look_closer([t for t in open_tracks if _is_due(t)], look_closer)
        _end(ending, look_closer)
    _end(open_tracks, look_closer)
    tracks = [t for t in merge_gaps(ended + open_tracks) if t.mask.sum() >= MIN_PIXELS]
    confirmed = [t for t in tracks if _is_mark(t, samples)]
    unconfirmed = _unconfirmed([t for t in tracks if t not in confirmed], confirmed)
    _note_tracks(tracks, confirmed, unconfirmed, decisions)
    return confirmed + unconfirmed


def _begin(region: _Region, detection: Detection, look: Appearance) -> Track:
    """A new track of a region of a detection."""
    seen = np.where(neighbourhood(region.pixels), detection.probability, 0)
    begun = Track(detection.frame_index, detection.frame_index, 1, 0, seen, looks=[look], in_line=region.in_line)
    begun.latest.append(detection)
    return begun


def _end(tracks: Sequence[Track], look_closer: LookCloser) -> None:
    """Look closer at those of these tracks that were not, and keep no picture of them."""
    _look_closer([t for t in tracks if not t.closer], look_closer)
    for one in tracks:
        one.latest.clear()


def _is_due(track: Track) -> bool:
    """Whether a closer look at a track is due: at its third detection, and whenever their number has doubled."""
    return not track.misses and track.detection_count == LOOK_SAMPLES << len(track.closer)


def _look_closer(tracks: Iterable[Track], look_closer: LookCloser) -> None:
    """Look closer at tracks, each in the pictures that show it alone: what is in one of several pictures passes for a scene that moves."""
    alike: dict[tuple[int, ...], list[Track]] = defaultdict(list)  # those that the same pictures show are looked at together
    for one in tracks:
        if one.mask.any():
            alike[tuple(detection.frame_index for detection in one.latest)].append(one)
    for together in alike.values():
        pictures = np.stack([detection.pictures[detection.place] for detection in together[0].latest])
        answers = look_closer(pictures, [one.mask for one in together])
        for one, answer in zip(together, answers, strict=True):
            one.closer.append(float(answer.mean()))


def _unconfirmed(tracks: list[Track], confirmed: list[Track]) -> list[Track]:
    """The tracks of about the size of a confirmed one, most confident first. Each may be another interval of that mark."""
    sizes = [int(t.mask.sum()) for t in confirmed]
    similar = [t for t in tracks if (own := int(t.mask.sum())) and any(1 / MAX_SIZE_RATIO < own / size < MAX_SIZE_RATIO for size in sizes)]
    chosen = sorted(similar, key=lambda t: -t.confidence)[:MAX_UNCONFIRMED]
    for one in chosen:
        one.confirmed = False
    return chosen


def _is_mark(track: Track, samples: int) -> bool:
    """Whether closer looks show a mark, and of a track that is brief in a video of so many samples the detections do so clearly."""
    clear = track.detection_count >= min(LOOK_SAMPLES, samples) or track.confidence > MIN_BRIEF_CONFIDENCE
    return clear and is_mark_closely(track.closer)


def is_mark_closely(closer: Sequence[float]) -> bool:
    """Whether closer looks, each a mean probability, show a mark; without any, what was seen counts."""
    return not closer or sum(closer) / len(closer) > MIN_PROBABILITY


def find_regions(probability: Floats) -> list[Mask]:
    """The masks (h, w) of the marks in one detection: pixels above MIN_PROBABILITY, grouped if they are near each other."""
    return _grouped(probability > MIN_PROBABILITY)


def _grouped(detected: Mask) -> list[Mask]:
    """The pixels (h, w), grouped if they are near each other; groups too small for a mark are left out."""
    count, labels = cv2.connectedComponents(neighbourhood(detected).astype(np.uint8))
    regions = [(labels == label) & detected for label in range(1, count)]
    return [region for region in regions if np.count_nonzero(region) >= MIN_PIXELS]


def neighbourhood(mask: Mask) -> Mask:
    """The mask (h, w) and the pixels near it. A pixel that is uncertain in one sample may be certain in the next."""
    return dilate(mask, max(1, round(JOIN_DISTANCE_SHARE * max(mask.shape) / 2)))


def _extend(open_tracks: list[Track], detection: Detection) -> list[Track]:
    """Adds to each open track what matches it, or counts a miss. Returns the tracks that begin with what matches none."""
    regions = [_Region(pixels) for pixels in find_regions(detection.probability)]
    picture, detected = detection.pictures[detection.place].transpose(1, 2, 0), detection.probability > MIN_PROBABILITY
    for open_track in open_tracks:
        match = _whole(open_track, regions) or _grown(open_track, regions)
        if match is None or is_another(open_track.looks[-1], look := appearance(picture, match.seen, detected)):
            open_track.misses += 1
            continue
        regions = match.others + match.words
        open_track.sum.add(np.where(match.place, detection.probability, 0))
        open_track.detection_count += 1
        open_track.looks = [open_track.looks[0], look]
        open_track.in_line = open_track.in_line or bool(match.words)
        open_track.misses, open_track.last_sample = 0, detection.frame_index
        open_track.latest.append(detection)
    return [_begin(region, detection, appearance(picture, region.pixels, detected)) for region in regions]


def _whole(track: Track, regions: list[_Region]) -> _Match | None:
    """The match of a track with the regions of which its mask covers at least half. If there are none, with one of a similar shape."""
    mask = track.mask
    covered = [one for one in regions if np.count_nonzero(one.pixels & mask) >= 0.5 * np.count_nonzero(one.pixels)]
    matching = covered or [one for one in regions if iou(one.pixels, mask) >= SAME_MARK_IOU][:1]
    seen = _union(matching, mask.shape)
    if not matching or iou(seen, mask) < SAME_MARK_IOU:
        return None
    return _Match(seen, neighbourhood(seen | mask), [region for region in regions if region not in matching])


def _grown(track: Track, regions: list[_Region]) -> _Match | None:
    """The match of a track that lasts while others appear beside it, as words of a line do: with what is seen at its own place."""
    mask = track.mask
    near, matching = neighbourhood(mask), [region for region in regions if (region.pixels & mask).any()]
    seen = _union(matching, mask.shape)
    if not matching or iou(seen & near, mask) < STABLE_IOU:
        return None
    beyond = seen & ~dilate(mask, 1)
    words = [_Region(neighbourhood(piece) & beyond, in_line=True) for piece in _grouped(seen & ~near)]
    return _Match(seen & near, near & ~_union(words, mask.shape), [region for region in regions if region not in matching], words)


def _union(regions: Sequence[_Region], shape: tuple[int, ...]) -> Mask:
    """The pixels (h, w) of all regions."""
    return reduce(np.logical_or, (region.pixels for region in regions), np.zeros(shape, bool))


def merge_gaps(tracks: list[Track]) -> list[Track]:
    """Merges tracks of one mark that was undetected for some samples in between."""
    merged: list[Track] = []
    for late in sorted(tracks, key=lambda t: t.first_sample):
        early = next((t for t in merged if 0 < late.first_sample - t.last_sample <= MAX_GAP_FRAMES and _same_mark(t, late)), None)
        if early is None:
            merged.append(late)
        else:
            early.sum.add(late.sum.whole())
            early.detection_count, early.last_sample = early.detection_count + late.detection_count, late.last_sample
            early.closer, early.looks = early.closer + late.closer, [early.looks[0], late.looks[-1]]
            early.in_line = early.in_line or late.in_line
    return merged


def _same_mark(early: Track, late: Track) -> bool:
    return iou(early.mask, late.mask) >= SAME_MARK_IOU and not is_another(early.looks[-1], late.looks[0])


def _note_tracks(tracks: list[Track], confirmed: list[Track], unconfirmed: list[Track], decisions: Decisions) -> None:
    """Note of every track whether it was kept, with its detections and its confidence."""
    for number, one in enumerate(tracks):
        box, notes = one.box, decisions.about("track", number)
        outcome = "confirmed" if one in confirmed else "unconfirmed" if one in unconfirmed else "dropped: no mark in a closer look"
        place = f"frames {one.first_sample} to {one.last_sample}, box {box.left},{box.top},{box.right},{box.bottom} at analysis size"
        notes("samples that show it", one.detection_count, None, f"{outcome}: {place}")
        notes("confidence", one.confidence, None, outcome)
        if one.closer:
            notes("confidence in closer looks", sum(one.closer) / len(one.closer), MIN_PROBABILITY, outcome)
