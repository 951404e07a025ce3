"""Follow shapes that move through the video, and tell marks from what moves with the scene."""

from bisect import bisect
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from models.arrays import Bytes, Floats
from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS
from service.inference.batcher import Batcher
from service.pipeline.locate.aligned_crops import AlignedCrops
from service.pipeline.locate.closer_look import SURROUNDINGS_PIXELS, closer_look
from service.pipeline.locate.moving_marks import MAX_SPEED_SHARE, MovingShape, patience_frames, seen_alone
from service.pipeline.locate.own_motion import own_motion
from service.pipeline.locate.pooled_shape import Place
from service.pipeline.locate.segment import analysis_size, sampling_stride
from service.pipeline.locate.track import is_mark_closely
from service.pipeline.marks.agreement import RIM_PIXELS, Look, best_agreement, detail_of, look_at
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.view import View, crop_padded
from service.pipeline.placement import Kind
from service.pipeline.video import Frame, VideoInfo

STEP_FRAMES = 2  # from one frame in which a shape is looked for to the next
# Around the expected place, at analysis size: how far off a mark of the highest speed is that turns back.
SEARCH_PIXELS = round(2 * STEP_FRAMES * MAX_SPEED_SHARE * ANALYSIS_LONG_SIDE_PIXELS)
NEAR_PIXELS = RIM_PIXELS  # from where a shape is expected: the line through two places at whole pixels, a step on, is off by 1.5
STEADY_STEPS = 9  # of a path, whose median speed a mark keeps beyond the edge: the last places, seen in part, are inexact


@dataclass(frozen=True, eq=False)
class MovingMark:
    """A mark and where it is: its probability (h, w) at analysis size, and the place of its (0, 0) in each frame from first to last."""

    probability: Floats = field(repr=False)
    places: Mapping[int, tuple[float, float]]


def follow(
    frames: Iterable[Frame], total_frames: int, info: VideoInfo, shapes: Sequence[MovingShape], network: Batcher, classes: frozenset[Kind]
) -> list[MovingMark]:
    """The marks among the shapes, followed through all frames of the video: those that do not move with their surroundings."""
    width, height = analysis_size(info)
    patience = patience_frames(sampling_stride(info))
    waiting = [_Trail(shape, patience, network, classes) for shape in sorted(shapes, key=lambda one: min(one.places))]
    trails: list[_Trail] = []
    recent: deque[tuple[int, Bytes]] = deque(maxlen=patience)
    for frame in frames:
        coming = bool(waiting) and frame.index >= waiting[0].first - patience
        wanted = [trail for trail in trails if trail.wants(frame.index)]
        if not (coming or wanted):
            continue
        picture = shrink_rgb(frame, info, width, height)
        for trail in wanted:
            trail.look(frame.index, picture)
        recent.append((frame.index, picture))
        while waiting and waiting[0].first == frame.index:
            trail = waiting.pop(0)
            if not any(other.holds(trail) for other in trails):
                trail.look_back(recent)
                trails.append(trail)
    as_one = ([one for one in trails if one is trail or one.moves_with(trail)] for trail in trails)
    marks = [trail for trail, shapes in zip(trails, as_one, strict=True) if trail.is_steady and _are_marks(shapes)]
    return [trail.mark((height, width), total_frames) for trail in marks]


def _are_marks(trails: Sequence["_Trail"]) -> bool:
    """Whether shapes that move as one, such as the lines of credits, do so on their own, and look like marks along their path."""
    seen = [trail for trail in trails if trail.own]
    if sum(sum(trail.own) for trail in seen) <= 0:
        return False
    means, pixels = zip(*(trail.closely for trail in seen), strict=True)
    return is_mark_closely([float(np.average(means, weights=pixels))])


@dataclass(frozen=True, eq=False)
class Found:
    """Where a shape was found, as a view of the picture, in a look whose (0, 0) lies at a corner there."""

    view: View
    look: Look
    corner: Place


def find_shape(
    shape: Look, picture: Bytes, expected: View, network: Batcher, classes: frozenset[Kind], near: int = NEAR_PIXELS
) -> Found | None:
    """Where a shape (h, w) is in a picture (H, W, 3), near the view in which it is expected; None if it is not seen there.

    Where the segmenter sees nothing of it, its own pixels count, so many pixels from that view.
    """
    box = expected.grown(SEARCH_PIXELS).inner(picture.shape[1], picture.shape[0])
    if box is None:
        return None
    part, here, corner = np.ascontiguousarray(picture[box.slices]), expected.moved(-box.top, -box.left), (box.top, box.left)
    look = look_at(part, seen_alone(part, network, classes))
    evidence, down, right = best_agreement(shape, look.crop(here.grown(SEARCH_PIXELS)))
    if evidence <= 0:
        supposed = Look(_placed(shape, here, near, part.shape), look.detail)
        evidence, down, right = best_agreement(shape, supposed.crop(here.grown(SEARCH_PIXELS)))
        there = here.moved(down - SEARCH_PIXELS, right - SEARCH_PIXELS)
        look = Look(_placed(shape, there, 0, part.shape), look.detail)
    return Found(expected.moved(down - SEARCH_PIXELS, right - SEARCH_PIXELS), look, corner) if evidence > 0 else None


def _placed(shape: Look, view: View, near: int, size: tuple[int, ...]) -> Floats:
    """The probability (h, w) in a window of this size of a shape that lies in a view, or so many pixels from there."""
    probability = np.asarray(cv2.dilate(np.pad(shape.probability, near), np.ones((2 * near + 1, 2 * near + 1), np.uint8)), np.float32)
    return crop_padded(probability, near - view.top, near - view.left, size[0], size[1], repeat_edge=False)


class _Trail:
    """Follows one shape."""

    def __init__(self, shape: MovingShape, patience: int, network: Batcher, classes: frozenset[Kind]) -> None:
        self._shape, self._network, self._classes, self._patience = shape.shape, network, classes, patience
        self._places = dict(sorted(shape.places.items()))
        self._frames = list(self._places)  # in order
        self.first = self._frames[0]
        self._previous: tuple[int, Floats] | None = None  # frame and its detail
        self._along = AlignedCrops()
        self.own: list[float] = []

    def wants(self, index: int) -> bool:
        return (index - self.first) % STEP_FRAMES == 0 and index <= self._frames[-1] + self._patience

    def look_back(self, recent: Sequence[tuple[int, Bytes]]) -> None:
        """Look for the shape in the frames up to the first in which it was seen, from there backwards."""
        for index, picture in reversed(recent):
            if (self.first - index) % STEP_FRAMES == 0:
                self.look(index, picture)
        self._previous = None

    def look(self, index: int, picture: Bytes) -> None:
        """Look for the shape where it is expected, and compare how it and its surroundings moved."""
        found = self._found(index, picture)
        if found is None:
            self._previous = None
            return
        place = found.view.top - self._shape.view.top, found.view.left - self._shape.view.left
        detail = detail_of(picture)
        if self._previous is not None:
            before = self._shape.at(self._places[self._previous[0]])
            self.own.append(own_motion(self._shape.mask, self._shape.alike, before, found.view, self._previous[1], detail))
        self._shape.add(found.look, found.corner, place)
        self._along.add(picture, found.view, place)
        if index not in self._places:
            self._frames.insert(bisect(self._frames, index), index)
        self._places[index] = place
        self._previous = index, detail

    def _found(self, index: int, picture: Bytes) -> Found | None:
        """Where the shape is in a picture: where it is expected, or where it is if it has turned back at the picture's edge."""
        straight = self.expected(index)
        found = find_shape(self._shape.look, picture, self._shape.at(straight), self._network, self._classes)
        if found is not None:
            return found
        turned = self._turned(index, picture.shape)
        if np.abs(np.subtract(straight, turned)).max() <= NEAR_PIXELS:
            return None
        return find_shape(self._shape.look, picture, self._shape.at(turned), self._network, self._classes, SEARCH_PIXELS)

    def _turned(self, index: int, size: tuple[int, ...]) -> Place:
        """Where the shape should be if it moves on from where it was and turns back at the edges of a picture of this size."""
        at = bisect(self._frames, index)
        near = (self._frames[:at][::-1] if at >= 2 else self._frames)[: STEADY_STEPS + 1]  # from the nearest on
        places = np.array([self._places[frame] for frame in near], np.float64)
        steps = np.diff(places, axis=0) / np.diff(near)[:, None]
        speed = np.abs(steps).mean(0) * np.sign([next((one for one in axis if one), 0.0) for axis in steps.T])
        inner = self._shape.view.grown(-RIM_PIXELS)
        corner = places[0] + speed * (index - near[0]) + (inner.top, inner.left)
        room = np.maximum(1, np.subtract(size[:2], (inner.height, inner.width)))
        y, x = np.abs((corner + room) % (2 * room) - room) - (inner.top, inner.left)
        return round(float(y)), round(float(x))

    def expected(self, index: int) -> Place:
        """Where the shape should be: on the line through the two nearest places that are known."""
        at = bisect(self._frames, index)
        one, other = sorted(self._frames[max(0, at - 2) : at + 2], key=lambda frame: abs(frame - index))[:2]
        share = (index - one) / (other - one)
        y, x = (round(a + share * (b - a)) for a, b in zip(self._places[one], self._places[other], strict=True))
        return y, x

    @property
    def is_steady(self) -> bool:
        """Whether most of its places lie, but for rounding, between those before and after: stripes of a wall are taken for each other."""
        known, places = np.array(self._frames), np.array([self._places[frame] for frame in self._frames], np.float64)
        shares = ((known[1:-1] - known[:-2]) / (known[2:] - known[:-2]))[:, None]
        off = np.abs(places[1:-1] - places[:-2] - shares * (places[2:] - places[:-2])).max(1)
        return not len(off) or bool(np.median(off) <= 1)  # of three places at whole pixels

    @cached_property
    def closely(self) -> tuple[float, int]:
        """The mean probability over its pixels in a closer look along its path, and their number."""
        mask = np.pad(self._shape.mask, SURROUNDINGS_PIXELS)
        (answer,) = closer_look(self._network, self._classes)(self._along.crops(self._shape.view), [mask])
        return float(answer.mean()), int(np.count_nonzero(mask))

    def moves_with(self, other: "_Trail") -> bool:
        """Whether two shapes kept their distance, but for rounding, in the frames in which both were seen."""
        shared = sorted(self._places.keys() & other._places.keys())
        if len(shared) < 2:
            return False
        apart = np.subtract([self._places[frame] for frame in shared], [other._places[frame] for frame in shared])
        return bool(np.ptp(apart, axis=0).max() <= NEAR_PIXELS)

    def holds(self, other: "_Trail") -> bool:
        """Whether another shape, where it was seen first, is this one."""
        if not self._frames[0] <= other.first <= self._frames[-1] + STEP_FRAMES:
            return False
        mine, theirs = self._shape.at(self.expected(other.first)), other._shape.at(other._places[other.first])
        mask = crop_padded(self._shape.mask, theirs.top - mine.top, theirs.left - mine.left, theirs.height, theirs.width, repeat_edge=False)
        least = min(np.count_nonzero(self._shape.mask), np.count_nonzero(other._shape.mask))
        return bool(2 * np.count_nonzero(mask & other._shape.mask) > least)

    def mark(self, size: tuple[int, int], total_frames: int) -> MovingMark:
        """The mark with its place in every frame."""
        known = np.array(self._frames)
        inner = self._shape.view.grown(-RIM_PIXELS)
        paths = np.array([self._places[frame] for frame in known], np.float64) + np.array([inner.top, inner.left])
        frames = range(max(0, known[0] - STEP_FRAMES + 1), min(total_frames, known[-1] + STEP_FRAMES))
        axes = [_with_turns(known, path) for path in paths.T]
        places = {frame: tuple(_at(frame, *axis) for axis in axes) for frame in frames}
        places |= _beyond_the_edge(known, paths, (inner.height, inner.width), size, total_frames)
        probability = self._shape.look.probability[RIM_PIXELS:-RIM_PIXELS, RIM_PIXELS:-RIM_PIXELS]
        return MovingMark(probability, {frame: (place[0], place[1]) for frame, place in sorted(places.items())})


def _with_turns(known: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The known places along one axis, and between them those where the mark turned back without being seen."""
    speeds = np.diff(path) / np.diff(known)
    turns = []
    for at in np.flatnonzero(np.diff(known) > 2 * STEP_FRAMES):
        before, after = (speeds[max(0, at - STEADY_STEPS) : at], speeds[at + 1 : at + 1 + STEADY_STEPS])
        if len(before) and len(after) and (slower := np.median(before) - np.median(after)):
            apart = path[at + 1] - path[at] - np.median(after) * (known[at + 1] - known[at])
            if 0 < apart / slower < known[at + 1] - known[at]:
                turns.append((known[at] + apart / slower, path[at] + np.median(before) * apart / slower))
    frames, places = np.array(sorted([*zip(known, path, strict=True), *turns])).T
    return frames, places


def _at(frame: int, known: np.ndarray, path: np.ndarray) -> float:
    """The place along one axis in a frame, between and just beyond the known ones."""
    if frame < known[0]:
        return float(path[0] + (frame - known[0]) * (path[1] - path[0]) / (known[1] - known[0]))
    if frame > known[-1]:
        return float(path[-1] + (frame - known[-1]) * (path[-1] - path[-2]) / (known[-1] - known[-2]))
    return float(np.interp(frame, known, path))


def _beyond_the_edge(
    known: np.ndarray, paths: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], total_frames: int
) -> dict[int, tuple[float, ...]]:
    """The places in further frames of a mark that enters or leaves: at the edge a part of it is too small to be known again."""
    found: dict[int, tuple[float, ...]] = {}
    speeds = np.diff(paths, axis=0) / np.diff(known)[:, None]
    for end, speed, direction in ((0, -np.median(speeds[:STEADY_STEPS], 0), -1), (-1, np.median(speeds[-STEADY_STEPS:], 0), 1)):
        place, frame = paths[end], int(known[end])
        outwards = any(
            (value <= abs(step) * STEP_FRAMES and step < 0) or (value + side >= limit - abs(step) * STEP_FRAMES and step > 0)
            for value, step, side, limit in zip(place, speed, shape, size, strict=True)
        )
        while outwards and all(-side < value < limit for value, side, limit in zip(place, shape, size, strict=True)):
            if not 0 <= frame < total_frames:
                break
            found[frame] = tuple(float(value) for value in place)
            place, frame = place + speed, frame + direction
    return found
