"""Step 6: what was behind the marks of one frame. Windows of native crops for the network, and its answers as patches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import FAR_FRAMES, padded, reference_frames
from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import Arrays, Batcher
from service.pipeline.bound import Measured
from service.pipeline.composite import crop_rgb
from service.pipeline.gather import as_floats
from service.pipeline.placement import Box, Placement, common, meet
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

HOLE_MARGIN_PIXELS = 2  # H.264 carries a mark a little beyond its edge
TILE_PIXELS = 208  # larger boxes are cut into tiles of this size at most
TILE_CONTEXT_PIXELS = 24


@dataclass(frozen=True)
class Patch:
    """Clean pixels for one frame: rgb (3, h, w) in [0, 1], to be laid over the box with alpha (h, w), feathered at the mark's edge."""

    box: Box
    rgb: Floats = field(repr=False)
    alpha: Floats = field(repr=False)


@dataclass(frozen=True)
class Tile:
    """A piece of a placement. `seen` is what the network gets, `kept` the part of its answer that is used; both in the picture's pixels."""

    seen: Box
    kept: Box


def tiles(box: Box, size: int = TILE_PIXELS, context: int = TILE_CONTEXT_PIXELS) -> list[Tile]:
    """Cuts a box into tiles that share `context` pixels with their neighbours; one if it is small enough. The kept parts partition it."""
    rows, columns = _spans(box.top, box.bottom, size, context), _spans(box.left, box.right, size, context)
    return [Tile(Box(x[0], y[0], x[1], y[1]), Box(x[2], y[2], x[3], y[3])) for y in rows for x in columns]


def _spans(start: int, stop: int, size: int, context: int) -> list[tuple[int, int, int, int]]:
    """(first seen, last seen, first kept, last kept) of the tiles along one axis, half open."""
    length = stop - start
    if length <= size:
        return [(start, stop, start, stop)]
    count = -(-(length - 2 * context) // (size - 2 * context))
    firsts = [start + round(i * (length - size) / (count - 1)) for i in range(count)]
    cuts = [start, *((a + size + b) // 2 for a, b in pairwise(firsts)), stop]
    return [(first, first + size, cuts[i], cuts[i + 1]) for i, first in enumerate(firsts)]


def hole(mask: Floats, margin_pixels: int = HOLE_MARGIN_PIXELS) -> Floats:
    """The pixels that are made anew: the mark's, and a margin. (h, w) of 0 and 1."""
    side = 2 * margin_pixels + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate((mask > 0.5).astype(np.float32), ellipse).astype(np.float32, copy=False)


def _hole_of(placement: Placement) -> Floats:
    """A person's box or mask is meant as it is drawn; what was found gets a margin."""
    return hole(placement.mask, 0 if placement.kind == "user" else HOLE_MARGIN_PIXELS)


def feathered(hole_mask: Floats) -> Floats:
    """Alpha for pasting: 1 inside the hole, falling over its outermost pixel, 0 outside."""
    return (cv2.GaussianBlur(hole_mask, (3, 3), 0) * hole_mask).astype(np.float32, copy=False)


class Inpainter:
    """Restores frames of one video. Marks are known for the whole video; frames are given as far as the references reach."""

    def __init__(self, network: Batcher, marks: Sequence[Measured], info: VideoInfo, total_frames: int) -> None:
        self._network = network
        self._marks = marks
        self._info = info
        self._total = total_frames
        self._kept: dict[tuple[Box, tuple[int, ...]], tuple[Floats, Floats, Floats]] = {}

    def patches(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> dict[int, list[Patch]]:
        """Patches by frame index for the target frames; `frames` holds them and those FAR_FRAMES around them."""
        windows: list[Arrays] = []
        places: list[tuple[Patch, Tile]] = []
        patches: dict[int, list[Patch]] = {index: [] for index in targets}
        for index in targets:
            for marks in self._by_box(index):
                patch = _blank(marks)
                patches[index].append(patch)
                longest = max(marks, key=lambda mark: mark.placement.last_frame - mark.placement.first_frame)
                for tile, window in self._windows(index, longest, frames):
                    windows.append(window)
                    places.append((patch, tile))
        for (patch, tile), answer in zip(places, self._network.run(windows), strict=True):
            _put(patch, tile, answer["clean"])
        return patches

    def _by_box(self, index: int) -> list[list[Measured]]:
        """The marks of a frame; parts of one mark, which share a box, are restored at once."""
        groups: dict[Box, list[Measured]] = defaultdict(list)
        for mark in self._marks:
            if mark.placement.covers(index):
                groups[mark.placement.box].append(mark)
        return list(groups.values())

    def _windows(self, index: int, mark: Measured, frames: Mapping[int, Frame]) -> list[tuple[Tile, Arrays]]:
        """The network's inputs for one mark in one frame, tile by tile; tiles without a marked pixel are left out."""
        placement, box = mark.placement, mark.placement.box
        references = reference_frames(index, placement.first_frame, placement.last_frame, self._total)
        wanted = (index, *(_at_hand(i, index, mark) for i in references))
        crops = np.stack([self._crop(i, index, mark, frames) for i in wanted])
        looks = [self._look(i, box) for i in wanted]
        masks, opacities, colours = (np.stack([look[k] for look in looks]) for k in range(3))
        found = []
        for tile in tiles(box):
            rows = slice(tile.seen.top - box.top, tile.seen.bottom - box.top)
            columns = slice(tile.seen.left - box.left, tile.seen.right - box.left)
            if masks[0, :, rows, columns].any():
                parts = {"frames": crops, "mask": masks, "opacity": opacities, "colour": colours}
                found.append((tile, {k: padded(v[:, :, rows, columns], INPAINTER_MULTIPLE) for k, v in parts.items()}))
        return found

    def _crop(self, index: int, target: int, mark: Measured, frames: Mapping[int, Frame]) -> Floats:
        """From the frame itself if it is near, else as it was kept; which of them depends on the distance, not on the frames held."""
        if abs(index - target) <= FAR_FRAMES:
            return crop_rgb(frames[index], mark.placement.box, self._info)
        return as_floats(mark.uncovered[index])

    def _look(self, index: int, box: Box) -> tuple[Floats, Floats, Floats]:
        """Hole (1, h, w), opacity (1, h, w) and colour (3, h, w) of all marks that are in the box in that frame."""
        active = tuple(n for n, m in enumerate(self._marks) if m.placement.covers(index) and meet(m.placement.box, box))
        if (box, active) not in self._kept:
            if len(self._kept) > 64:
                self._kept.clear()
            self._kept[box, active] = self._drawn(active, box)
        return self._kept[box, active]

    def _drawn(self, active: tuple[int, ...], box: Box) -> tuple[Floats, Floats, Floats]:
        mask, opacity = np.zeros((2, 1, box.height, box.width), np.float32)
        colour = np.zeros((3, box.height, box.width), np.float32)
        for number in active:
            placement = self._marks[number].placement
            here, there = common(box, placement.box)
            own = _hole_of(placement)[there] > 0
            mask[0][here][own] = 1
            opacity[0][here][own] = placement.opacity[there][own]
            colour[:, here[0], here[1]][:, own] = placement.colour[:, there[0], there[1]][:, own]
        return mask, opacity, colour


def _at_hand(reference: int, target: int, mark: Measured) -> int:
    """The reference, or the frame farthest towards it that is held: its look must be that of the frame that is really shown."""
    if reference in mark.uncovered:
        return reference
    return min(max(reference, target - FAR_FRAMES), target + FAR_FRAMES)


def _blank(marks: Sequence[Measured]) -> Patch:
    """A patch for all marks of one box, without its pixels yet."""
    box = marks[0].placement.box
    mask = np.logical_or.reduce([_hole_of(mark.placement) > 0 for mark in marks]).astype(np.float32)
    return Patch(box, np.zeros((3, box.height, box.width), np.float32), feathered(mask))


def _put(patch: Patch, tile: Tile, clean: Floats) -> None:
    """Writes the kept part of a tile's answer into the patch."""
    kept, seen, box = tile.kept, tile.seen, patch.box
    part = clean[:, kept.top - seen.top : kept.bottom - seen.top, kept.left - seen.left : kept.right - seen.left]
    patch.rgb[:, kept.top - box.top : kept.bottom - box.top, kept.left - box.left : kept.right - box.left] = part
