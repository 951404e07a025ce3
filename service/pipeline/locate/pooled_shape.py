"""What is seen of a mark along its path, in its own frame of reference: there its pixels add up, and what it passes over averages out."""

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS
from service.pipeline.locate.track import JOIN_DISTANCE_SHARE, MIN_PROBABILITY
from service.pipeline.marks.agreement import RIM_PIXELS, Look
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import View, crop_padded
from service.pipeline.placement import Box, bounding_box

Place = tuple[int, int]  # (y, x) in pixels at analysis size

MIN_SHAPE_PROBABILITY = 0.35  # of a mark's pixels, the mean over what was seen of it
POOLED_LOOKS = 32  # that count: a mark may grow, turn or fade on its way
NEW_LOOKS = POOLED_LOOKS // 4  # against what was not seen at first: so many looks that did not show it are supposed
JOIN_PIXELS = round(JOIN_DISTANCE_SHARE * ANALYSIS_LONG_SIDE_PIXELS / 2)  # parts nearer to each other than twice this are one mark
MARGIN_PIXELS = 2 * JOIN_PIXELS + RIM_PIXELS


@dataclass(frozen=True, eq=False)
class _Pooled:
    """A window that was looked at, as a view in the mark's frame of reference; how much of the mark is seen in it."""

    view: View
    planes: Floats = field(repr=False)  # (h, w, 5): one, probability, detail
    weight: float


def _no_looks() -> "deque[_Pooled]":
    """An empty list of the last looks."""
    return deque(maxlen=POOLED_LOOKS)


@dataclass(eq=False)
class PooledShape:
    """The shape of a rigid mark: the mean of what was seen of it.

    view: what of its frame of reference the mark takes up. look: what is seen there, (h, w). alike: with MARGIN_PIXELS around it, what may
    be of a mark that moves as this one does. All change as more is seen.
    """

    view: View
    look: Look
    alike: Mask = field(init=False)
    _pooled: deque[_Pooled] = field(default_factory=_no_looks)

    @classmethod
    def of(cls, region: Mask, look: Look) -> "PooledShape":
        """The shape in a region (H, W) of a look at the whole picture. Its frame of reference lies at (0, 0) there."""
        view = View.of(bounding_box(region), RIM_PIXELS)
        shape = cls(view, Look(np.where(region, look.probability, np.float32(0)), look.detail).crop(view))
        shape.add(look, (0, 0), (0, 0))
        return shape

    @property
    def mask(self) -> Mask:
        """(h, w): the pixels of the mark."""
        return self.look.probability > MIN_SHAPE_PROBABILITY

    def at(self, place: Place) -> View:
        """Where in the picture the mark is while its frame of reference lies at a place."""
        return self.view.moved(*place)

    def add(self, look: Look, corner: Place, place: Place) -> None:
        """Take in a look whose (0, 0) lies at a corner in the picture, while the mark's frame of reference lies at a place."""
        moved = self.view.moved(place[0] - corner[0], place[1] - corner[1])  # the mark in the look
        here = look.crop(moved).probability
        weight = float((here * self.look.probability).sum() / np.square(self.look.probability).sum())
        inner = moved.grown(2 * MARGIN_PIXELS).inner(look.probability.shape[1], look.probability.shape[0])
        assert inner is not None, "the mark was seen in it"
        probability = look.probability[inner.slices]  # cut before they are copied: a view would keep whole looks in memory
        planes = np.dstack([np.ones_like(probability), probability, look.detail[inner.slices]])
        view = View.of(inner).moved(corner[0] - place[0], corner[1] - place[1])
        self._pooled.append(_Pooled(view, planes, weight))
        self._pool()

    def _pool(self) -> None:
        """Keep of the mean of all looks what the shape was, as far as it is seen again, and what is joined to it and seen for long."""
        view = self.view.grown(MARGIN_PIXELS)
        sums = np.zeros((view.height, view.width, 5), np.float32)  # of weight, probability and detail
        for one in self._pooled:
            if (shared := one.view.moved(-view.top, -view.left).within(Box(0, 0, view.width, view.height))) is not None:
                inside, here = shared
                sums[here] += np.float32(one.weight) * one.planes[inside]
        mean = np.asarray(sums[..., 1:] / np.maximum(sums[..., :1], 1e-6), np.float32)
        before = np.pad(self.mask, MARGIN_PIXELS)
        fresh = sums[..., 1] > MIN_PROBABILITY * (sums[..., 0] + NEW_LOOKS)
        mask = _joined((dilate(before, RIM_PIXELS) & (mean[..., 0] > MIN_SHAPE_PROBABILITY)) | fresh, before)
        if mask.any():
            inner = View.of(bounding_box(mask), RIM_PIXELS)
            kept = np.where(dilate(mask, RIM_PIXELS), mean[..., 0], np.float32(0))
            self.view, self.look = inner.moved(view.top, view.left), Look(kept, mean[..., 1:]).crop(inner)
            wide, alike = inner.grown(MARGIN_PIXELS), mean[..., 0] > MIN_SHAPE_PROBABILITY
            self.alike = crop_padded(alike, wide.top, wide.left, wide.height, wide.width, repeat_edge=False)


def _joined(mask: Mask, seed: Mask) -> Mask:
    """The parts of a mask (h, w) that touch the seed (h, w) or each other, as near as parts of one mark are."""
    _, labels = cv2.connectedComponents(dilate(mask | seed, JOIN_PIXELS).astype(np.uint8))
    return mask & np.isin(labels, np.unique(labels[seed]))
