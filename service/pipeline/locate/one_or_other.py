"""What was seen both as a track and as a moving shape is one of the two. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.arrays import Mask
from service.pipeline.locate.follow import MovingMark
from service.pipeline.locate.moving_marks import MovingShape
from service.pipeline.locate.pooled_shape import MIN_SHAPE_PROBABILITY
from service.pipeline.locate.track import LOOK_SAMPLES, Track, neighbourhood
from service.pipeline.picture.view import crop_padded


def those_that_move(shapes: Sequence[MovingShape], tracks: Sequence[Track]) -> list[MovingShape]:
    """The shapes without those that a track shows to stand: captions that follow each other may look like one that moves."""
    return [shape for shape in shapes if not any(_stands(shape, track) for track in tracks)]


def those_that_stand(tracks: Sequence[Track], marks: Sequence[MovingMark]) -> list[Track]:
    """The tracks without the brief ones that show a moving mark as it passes."""
    return [track for track in tracks if track.detection_count >= LOOK_SAMPLES or not any(_passes(mark, track) for mark in marks)]


def _stands(shape: MovingShape, track: Track) -> bool:
    """Whether a track holds a shape at one of its places for so long that it would have left it."""
    frames = range(track.first_sample, track.last_sample + 1)
    places = [place for frame, place in shape.places.items() if frame in frames]
    if not places or not (mask := track.mask).any() or _speed(shape) * (len(frames) - 1) <= min(track.box.width, track.box.height):
        return False
    near, views = neighbourhood(mask), [shape.shape.at(place) for place in places]
    return any(_mostly_on(_placed(shape.shape.mask, view.top, view.left, mask), near) for view in views)


def _speed(shape: MovingShape) -> float:
    """Its median speed from glance to glance, in pixels a frame at analysis size."""
    steps = [np.abs(np.subtract(then, now)).max() / (late - early) for (early, now), (late, then) in pairwise(shape.places.items())]
    return float(np.median(steps)) if steps else 0.0


def _passes(mark: MovingMark, track: Track) -> bool:
    """Whether most of a track's pixels are those of a moving mark, where that is in the track's first frame."""
    place = mark.places.get(track.first_sample)
    if place is None:
        return False
    there = _placed(mark.probability > MIN_SHAPE_PROBABILITY, round(place[0]), round(place[1]), track.mask)
    return _mostly_on(track.mask, neighbourhood(there))


def _placed(pixels: Mask, top: int, left: int, picture: Mask) -> Mask:
    """The pixels (h, w) at their place in a picture as large as this one (H, W)."""
    height, width = picture.shape
    return crop_padded(pixels, -top, -left, height, width, repeat_edge=False)


def _mostly_on(pixels: Mask, where: Mask) -> bool:
    """Whether there are such pixels (h, w), and most of them lie on the others (h, w)."""
    return bool(2 * np.count_nonzero(pixels & where) > np.count_nonzero(pixels))
