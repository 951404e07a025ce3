"""Find marks that move on their own way: they drift across the picture, bounce off its edges, scroll.

Over several frames the segmenter knows a mark by its standing still, so one that moves is seen in single frames alone. There, text of
the scene is seen as well, and what touches a mark. So single frames are glanced at. What two of them show alike to the pixel, at different
places, may be a mark; `follow` then tells marks from what moves with the scene. What moves by itself over a few samples is looked at along
its motion as well (`second_motion`).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from models.arrays import Bytes, Floats, Mask
from models.preprocess import SEGMENTER_FRAMES
from service.inference.batcher import Batcher
from service.pipeline.locate.pooled_shape import Place, PooledShape
from service.pipeline.locate.second_motion import APART_PIXELS, Standing, looks_along
from service.pipeline.locate.segment import Sample, mark_probability
from service.pipeline.locate.track import find_regions
from service.pipeline.marks.agreement import Look, best_agreement, look_at
from service.pipeline.marks.gather import to_float
from service.pipeline.picture.view import crop_padded
from service.pipeline.placement import Kind

GLANCE_SAMPLES = 3  # between two samples that are looked at by themselves: two glances a second
MIN_TRAVEL_PIXELS = 6  # at analysis size, mostly, between two glances: with less, a mark stands
STANDING_STEPS = SEGMENTER_FRAMES - 1  # of samples, along which what moves by itself is looked at
MAX_SPEED_SHARE = 0.01  # of the picture's long side, a frame: 12 pixels at 720 lines


def _no_pictures() -> deque[Bytes]:
    """An empty list of the last samples."""
    return deque(maxlen=SEGMENTER_FRAMES)


@dataclass(eq=False)
class MovingShape:
    """A shape that was seen in glances that follow each other, at the place of its frame of reference in each, by frame."""

    shape: PooledShape
    places: dict[int, Place]

    @property
    def travels(self) -> bool:
        """Whether it mostly moves from one glance to the next; it may turn back in between."""
        steps = [np.abs(np.subtract(after, before)).max() for before, after in pairwise(self.places.values())]
        return bool(steps) and float(np.median(steps)) >= MIN_TRAVEL_PIXELS

    @property
    def first_corner(self) -> Place:
        """Where the (0, 0) of the shape's mask was seen first."""
        view = self.shape.at(next(iter(self.places.values())))
        return view.top, view.left


@dataclass
class Glances:
    """Looks at some of the samples one by one, and links what is seen in them. stride_frames: between two samples."""

    network: Batcher
    classes: frozenset[Kind]
    stride_frames: int
    _closed: list[MovingShape] = field(default_factory=list)  # those that moved
    _open: list[MovingShape] = field(default_factory=list)
    _even: deque[Bytes] = field(default_factory=_no_pictures)  # the last samples that are evenly apart in time
    _next: int = 0  # frame index of the next glance, or before it

    def add(self, sample: Sample) -> None:
        """Take in the next sample of the video."""
        index, picture = sample
        if index % self.stride_frames == 0:
            self._even.append(picture)
        if index >= self._next:
            self._next = index + GLANCE_SAMPLES * self.stride_frames
            probability, standing = seen_alone(picture, self.network, self.classes), self._standing(picture)
            for one in standing:
                here = probability[one.box.slices]
                np.maximum(here, one.probability[-1], out=here)
            self._link(index, look_at(picture, probability), standing)

    def _standing(self, picture: Bytes) -> list[Standing]:
        """Looks at the samples up to this one along what moves by itself."""
        if len(self._even) < SEGMENTER_FRAMES or picture is not self._even[-1]:
            return []
        reach = math.ceil(MAX_SPEED_SHARE * max(picture.shape) * self.stride_frames)
        return looks_along(list(self._even), reach, self.network, self.classes)

    @property
    def moving(self) -> list[MovingShape]:
        """The shapes that were seen at different places."""
        return [one for one in (*self._closed, *self._open) if one.travels]

    def _link(self, index: int, look: Look, standing: Sequence[Standing]) -> None:
        """Find the open shapes again in a look at the whole picture; what is not one of them may be a new one."""
        taken, still_open = np.zeros(look.probability.shape, bool), list[MovingShape]()
        max_speed, patience = MAX_SPEED_SHARE * max(taken.shape), patience_frames(self.stride_frames)
        for one in self._open:
            place = _found_again(one, index, look, max_speed)
            if place is None and index - max(one.places) < patience:
                still_open.append(one)
            elif place is None:
                self._closed += [one] if one.travels else []
            elif not _covers(taken, mask := _in_picture(one.shape, place, taken.shape)):
                one.shape.add(look, (0, 0), place)
                one.places[index] = place
                still_open.append(one)
                taken |= mask
        fresh = [region for region in find_regions(look.probability) if not _covers(taken, region)]
        earlier = [self._earlier(one) for one in standing] if fresh else []
        self._open = still_open + [self._begun(region, index, look, earlier) for region in fresh]

    def _earlier(self, one: Standing) -> tuple[Place, Look]:
        """How far back along its motion what stands was in the first of the samples, and what that sample shows there."""
        y, x = (-round(STANDING_STEPS * value) for value in one.motion)
        height, width = self._even[0].shape[:2]
        probability = np.zeros((height, width), np.float32)
        probability[one.box.slices] = one.probability[0]
        return (y, x), look_at(self._even[0], crop_padded(probability, -y, -x, height, width, repeat_edge=False))

    def _begun(self, region: Mask, index: int, look: Look, earlier: Sequence[tuple[Place, Look]]) -> MovingShape:
        """A new shape in a region (H, W). One that was seen standing, along its motion, was seen in the first of those samples too."""
        shape = PooledShape.of(region, look)
        for (y, x), first in earlier:
            evidence, down, right = best_agreement(shape.look, first.crop(shape.at((y, x)).grown(APART_PIXELS)))
            if evidence > 0:
                place = y + down - APART_PIXELS, x + right - APART_PIXELS
                shape.add(first, (0, 0), place)
                return MovingShape(shape, {index - STANDING_STEPS * self.stride_frames: place, index: (0, 0)})
        return MovingShape(shape, {index: (0, 0)})


def patience_frames(stride_frames: int) -> int:
    """After how many frames a mark that is not seen counts as gone: two glances. stride_frames: between two samples."""
    return 2 * GLANCE_SAMPLES * stride_frames


def _found_again(one: MovingShape, index: int, look: Look, max_speed: float) -> Place | None:
    """The place at which a look at the whole picture shows the shape, near enough for the time since it was seen; None if at none."""
    last, (y, x) = list(one.places.items())[-1]
    reach = round(max_speed * (index - last))
    evidence, down, right = best_agreement(one.shape.look, look.crop(one.shape.at((y, x)).grown(reach)))
    return (y + down - reach, x + right - reach) if evidence > 0 else None


def _in_picture(shape: PooledShape, place: Place, size: tuple[int, ...]) -> Mask:
    """The pixels (H, W) of the picture on which the shape lies."""
    view = shape.at(place)
    mask: Mask = crop_padded(shape.mask, -view.top, -view.left, size[0], size[1], repeat_edge=False)
    return mask


def _covers(taken: Mask, mask: Mask) -> bool:
    """Whether two masks (H, W) are of one thing, of which one may be seen together with what touches it."""
    return bool(2 * np.count_nonzero(taken & mask) > min(np.count_nonzero(taken), np.count_nonzero(mask)))


def seen_alone(picture: Bytes, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """The probability (h, w) that a pixel of one picture (h, w, 3) belongs to a mark, by that picture alone."""
    probability: Floats = mark_probability(to_float(picture.transpose(2, 0, 1)[None]), network, classes)[0]
    return probability
