"""Step 5 beside tracking: marks that stand through the whole video.

Frames far apart tell them from the scene best: the scene has moved on, they have not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import SEGMENTER_FRAMES
from service.inference.batcher import Batcher
from service.pipeline.placement import Kind
from service.pipeline.segment import Sample, Sighting, sightings_of
from service.pipeline.track import Track, track

Mask = NDArray[np.bool_]

MOST_KEPT = 4 * SEGMENTER_FRAMES  # frames, evenly over the video
LEAST_KEPT = 2 * SEGMENTER_FRAMES  # in a shorter video the groups of neighbouring samples are far enough apart
SEEN_SHARE = 0.8  # of the kept samples that must show it
PART_SHARE = 0.6  # of a track's pixels that are a standing mark's too, or next to them: the track has seen a part of it
NEXT_PIXELS = 9  # side of the square by which a mark is grown to tell what is next to it


@dataclass
class Spread:
    """Keeps a few samples, evenly over a video whose length is not known: every second one goes when there are too many."""

    kept: list[Sample] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, sample: Sample) -> None:
        if self._seen % self._every == 0:
            self.kept.append(sample)
        self._seen += 1
        if len(self.kept) > MOST_KEPT:
            self.kept, self._every = self.kept[::2], 2 * self._every


def standing(spread: Spread, network: Batcher, classes: frozenset[Kind]) -> list[Track]:
    """The marks that are in every kept sample, in one place. The samples of a group are as far apart as can be."""
    if len(spread.kept) < LEAST_KEPT:
        return []
    groups = -(-len(spread.kept) // SEGMENTER_FRAMES)
    seen: list[Sighting] = []
    for first in range(groups):
        group = spread.kept[first::groups]
        seen += sightings_of(group, group, network, classes)
    seen.sort(key=lambda sighting: sighting.frame_index)
    first_frame, last_frame = seen[0].frame_index, seen[-1].frame_index
    found = [t for t in track(seen) if t.sure and t.seen >= SEEN_SHARE * len(seen)]
    return [t for t in found if t.first_sample == first_frame and t.last_sample == last_frame]


def merged(tracks: Iterable[Track], stand: Sequence[Track]) -> list[Track]:
    """All tracks, and the standing marks with what tracks showed of them: which of the two is right, a nearer look will tell."""
    rest = list(tracks)
    whole: list[Track] = []
    for mark in stand:
        near = cv2.dilate(mark.mask.astype(np.uint8), np.ones((NEXT_PIXELS, NEXT_PIXELS), np.uint8)) > 0
        both = [mark, *(t for t in rest if t.sure and _part(t.mask, near))]
        mean = np.maximum.reduce([t.mean for t in both])
        first, last = min(t.first_sample for t in both), max(t.last_sample for t in both)
        whole.append(Track(first, last, mark.seen, 0, mean * np.float32(mark.seen), standing=True))
    return rest + whole


def _part(mask: Mask, near: Mask) -> bool:
    return float((mask & near).sum()) >= PART_SHARE * float(mask.sum())
