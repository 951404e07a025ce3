"""What is known of all marks together, in any window of any frame: where they are, how opaque, of what colour, and how far that is sure."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.view import View
from service.pipeline.placement import Placement
from service.pipeline.video import VideoInfo

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_ANIMATION_SIGMA = (
    0.15  # change of the opacity, from frame to frame, by which an outline swings; beyond a mask no other doubt is so large
)
ANIMATION_PIXELS = 6  # as far from there the mark may come
MAX_CACHED_WINDOWS = 64
MAX_CACHED_MASKS = 12  # as large as the picture
MAX_CACHED_FRAMES = 256


def dilated_hole(mask: Floats, margin_pixels: int) -> Floats:
    """The pixels that are made anew: the mark's, and a margin. (h, w) of 0 and 1."""
    side = 2 * margin_pixels + 1
    shape = cv2.MORPH_ELLIPSE if margin_pixels > 1 else cv2.MORPH_RECT  # an ellipse of three is a cross: corners would be feathered
    around = cv2.getStructuringElement(shape, (side, side))
    return cv2.dilate((mask > 0.5).astype(np.float32), around).astype(np.float32, copy=False)


def placement_hole(placement: Placement) -> Floats:
    """A person's box or mask is meant as it is drawn; what was found gets a margin, a wider one where its outline is not at rest."""
    if placement.kind == "user":
        return dilated_hole(placement.mask, 0)
    swing = (placement.mask < 0.5) & (np.asarray(placement.opacity_sigma) > MIN_ANIMATION_SIGMA)
    return np.maximum(dilated_hole(placement.mask, placement.dilation_pixels), swing.astype(np.float32))


@dataclass(frozen=True)
class MarkWindow:
    """The marks in a window: mask, opacity and doubt (1, h, w), colour (3, h, w)."""

    mask: Floats = field(repr=False)
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)


class MarkWindows:
    """The marks of one video. Drawings are kept while they are asked for: most windows of a stay look alike."""

    def __init__(self, marks: Sequence[Placement], info: VideoInfo) -> None:
        self._marks = marks
        self._holes = [placement_hole(mark) > 0 for mark in marks]
        self._size = info.width, info.height
        self._active: dict[int, tuple[int, ...]] = {}
        self._drawings: dict[Hashable, MarkWindow] = {}
        self._covers: dict[Hashable, Mask] = {}

    def active(self, index: int) -> tuple[int, ...]:
        """The numbers of the marks that are there in a frame."""
        if index not in self._active:
            self._active[index] = tuple(n for n, mark in enumerate(self._marks) if mark.covers(index))
            _forget(self._active, MAX_CACHED_FRAMES)
        return self._active[index]

    def hidden_pixels(self, index: int, view: View, around_frames: int = 0) -> Mask:
        """(h, w): the pixels of the view that are marked in the frame, or in the few around it, or lie outside of the picture."""
        active = tuple(sorted({n for i in range(index - around_frames, index + around_frames + 1) for n in self.active(i)}))
        if active not in self._covers:
            self._covers[active] = self._cover(active)
            _forget(self._covers, MAX_CACHED_MASKS)
        covered = np.ones((view.height, view.width), bool)
        if (inner := view.inner(*self._size)) is not None:
            top, left = inner.top - view.top, inner.left - view.left
            covered[top : top + inner.height, left : left + inner.width] = self._covers[active][inner.slices]
        return covered

    def window_of(self, index: int, view: View) -> MarkWindow:
        """All marks of the frame in the view. What lies outside of the picture counts as opaque mark."""
        active = self.active(index)
        if (view, active) not in self._drawings:
            self._drawings[view, active] = self._draw(active, view)
            _forget(self._drawings, MAX_CACHED_WINDOWS)
        return self._drawings[view, active]

    def _cover(self, active: tuple[int, ...]) -> Mask:
        width, height = self._size
        cover = np.zeros((height, width), bool)
        for number in active:
            cover[self._marks[number].box.slices] |= self._holes[number]
        return cover

    def _draw(self, active: tuple[int, ...], view: View) -> MarkWindow:
        mask, opacity = np.ones((2, 1, view.height, view.width), np.float32)
        colour, opacity_sigma = np.zeros((3, view.height, view.width), np.float32), np.zeros((1, view.height, view.width), np.float32)
        if (inner := view.inner(*self._size)) is not None:
            top, left = inner.top - view.top, inner.left - view.left
            for plane in (mask, opacity):
                plane[0, top : top + inner.height, left : left + inner.width] = 0
        for number in active:
            mark = self._marks[number]
            if (shared := view.within(mark.box)) is None:
                continue
            here, there = shared
            own = self._holes[number][there]
            mask[0][here][own] = 1
            opacity[0][here][own] = mark.opacity[there][own]
            opacity_sigma[0][here][own] = np.broadcast_to(mark.opacity_sigma, mark.mask.shape)[there][own]
            colour[:, here[0], here[1]][:, own] = mark.colour[:, there[0], there[1]][:, own]
        return MarkWindow(mask, opacity, colour, opacity_sigma)


def _forget(kept: dict[Any, Any], most: int) -> None:
    """Lets the oldest go."""
    while len(kept) > most:
        del kept[next(iter(kept))]
