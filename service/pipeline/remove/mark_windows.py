"""All marks of a video, drawn into any window of any frame: mask, opacity, colour and opacity sigma."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.picture.chroma import Stain, edge_of
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement
from service.pipeline.video import VideoInfo

# Standard deviation of the opacity from frame to frame at the moving edge of an animated mark. Outside a mask no other opacity sigma is
# as large.
MIN_ANIMATION_SIGMA = 0.15
ANIMATION_PIXELS = 6  # how far beyond such pixels an animated mark may reach
MAX_CACHED_WINDOWS = 64  # drawn windows
MAX_CACHED_PIXELS = 2**21  # of them, 29 bytes each
MAX_CACHED_MASKS = 12  # each as large as the picture
MAX_CACHED_FRAMES = 256  # frames whose marks are known


def dilated_hole(mask: Floats, dilation_pixels: int) -> Floats:
    """The pixels to replace: the mask (h, w), above 0.5, dilated. (h, w) of 0 and 1.

    The structuring element is an ellipse, but a square for one pixel: an ellipse of 3 x 3 is a cross, which would leave the mark's
    corners to the feathered edge.
    """
    side = 2 * dilation_pixels + 1
    shape = cv2.MORPH_ELLIPSE if dilation_pixels > 1 else cv2.MORPH_RECT
    element = cv2.getStructuringElement(shape, (side, side))
    return cv2.dilate((mask > 0.5).astype(np.float32), element).astype(np.float32, copy=False)


def placement_hole(placement: Placement) -> Floats:
    """The pixels of a placement to replace, (h, w) of 0 and 1.

    What a user drew is replaced exactly. A detected mark is dilated, and the pixels that an animated mark reaches are added.
    """
    if placement.kind == "user":
        return dilated_hole(placement.mask, 0)
    animated = (placement.mask < 0.5) & (np.asarray(placement.opacity_sigma) > MIN_ANIMATION_SIGMA)
    return np.maximum(dilated_hole(placement.mask, placement.dilation_pixels), animated.astype(np.float32))


@dataclass(frozen=True)
class MarkWindow:
    """The marks in a window, all in [0, 1]: mask, opacity and opacity sigma (1, h, w), colour (3, h, w) RGB; and what they stain."""

    mask: Floats = field(repr=False)
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)
    stain: Stain = field(repr=False)


class MarkWindows:
    """Draws the marks of one video into windows. Recent drawings are cached, as most frames of an interval share them.

    holes: (h, w) of the box of each of the marks, the pixels to replace. edges: (h, w), see `chroma.edge_of`.
    """

    def __init__(self, marks: Sequence[Placement], info: VideoInfo) -> None:
        self.marks = marks
        self.holes = [placement_hole(mark) > 0 for mark in marks]
        self.edges = [edge_of(mark.opacity * hole, info.decoded_chroma_shifts) for mark, hole in zip(marks, self.holes, strict=True)]
        self._whole = Box(0, 0, info.width, info.height)
        self._shown = self._whole
        self._active: dict[int, tuple[int, ...]] = {}  # by frame index
        self._windows: dict[Hashable, MarkWindow] = {}  # by view and active marks
        self._unions: dict[Hashable, Mask] = {}  # the union of all holes in the whole picture, by active marks

    def limit_to(self, shown: Box) -> None:
        """From now on, what lies outside this box counts as outside the picture."""
        if shown != self._shown:
            self._shown = shown
            self._windows.clear()

    def marks_of(self, index: int) -> Mask:
        """(H, W): the pixels of the whole picture that lie in a hole of the frame."""
        return self._union(self.active(index))

    def active(self, index: int) -> tuple[int, ...]:
        """The numbers of the marks that are present in a frame."""
        if index not in self._active:
            self._active[index] = tuple(n for n, mark in enumerate(self.marks) if mark.covers(index))
            _drop_oldest(self._active, MAX_CACHED_FRAMES)
        return self._active[index]

    def hidden_pixels(self, index: int, view: View, around_frames: int = 0) -> Mask:
        """(h, w): the pixels of the view that do not show the scene: they lie in a hole, in a black bar or outside the picture.

        Holes count if their mark is present in the frame, or in one of the `around_frames` frames before and after it.
        """
        active = tuple(sorted({n for i in range(index - around_frames, index + around_frames + 1) for n in self.active(i)}))
        hidden = np.ones((view.height, view.width), bool)
        if (shared := view.within(self._shown)) is not None:
            in_view, in_shown = shared
            hidden[in_view] = self._union(active)[self._shown.slices][in_shown]
        return hidden

    def window_of(self, index: int, view: View) -> MarkWindow:
        """All marks of a frame in the view. Pixels outside the picture, and black bars, count as an opaque black mark."""
        active = self.active(index)
        if (view, active) not in self._windows:
            self._windows[view, active] = self._draw(active, view)
            _drop_oldest(self._windows, max(1, min(MAX_CACHED_WINDOWS, MAX_CACHED_PIXELS // (view.height * view.width))))
        return self._windows[view, active]

    def _union(self, active: tuple[int, ...]) -> Mask:
        """The holes of the active marks in the whole picture (H, W)."""
        if active not in self._unions:
            union = np.zeros((self._whole.height, self._whole.width), bool)
            for number in active:
                union[self.marks[number].box.slices] |= self.holes[number]
            self._unions[active] = union
            _drop_oldest(self._unions, MAX_CACHED_MASKS)
        return self._unions[active]

    def _draw(self, active: tuple[int, ...], view: View) -> MarkWindow:
        """The active marks in the view. Where holes overlap, the later mark is drawn over the earlier one."""
        mask, opacity = np.ones((2, 1, view.height, view.width), np.float32)
        colour, opacity_sigma = np.zeros((3, view.height, view.width), np.float32), np.zeros((1, view.height, view.width), np.float32)
        if (shown := view.within(self._shown)) is not None:
            for plane in (mask[0], opacity[0]):
                plane[shown[0]] = 0
        own, edge = np.zeros((view.height, view.width), bool), np.zeros((view.height, view.width), np.float32)
        for number in active:
            mark = self.marks[number]
            if (shared := view.within(mark.box)) is None:
                continue
            in_view, in_box = shared
            hole = self.holes[number][in_box]
            mask[0][in_view][hole] = 1
            own[in_view] |= hole
            np.maximum(edge[in_view], self.edges[number][in_box], out=edge[in_view])
            opacity[0][in_view][hole] = mark.opacity[in_box][hole]
            opacity_sigma[0][in_view][hole] = np.broadcast_to(mark.opacity_sigma, mark.mask.shape)[in_box][hole]
            colour[:, in_view[0], in_view[1]][:, hole] = mark.colour[:, in_box[0], in_box[1]][:, hole]
        return MarkWindow(mask, opacity, colour, opacity_sigma, Stain(own, opacity[0], opacity_sigma[0], colour, edge))


def _drop_oldest(cache: dict[Any, Any], max_entries: int) -> None:
    """Drops the entries added first until at most `max_entries` are left."""
    while len(cache) > max_entries:
        del cache[next(iter(cache))]
