"""Step 6: what was behind the marks of one frame. Windows of native crops for the network, and its answers as patches."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import mean_of_known
from models.preprocess import padded
from models.references import Reference
from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import Arrays, Batcher
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.mark_windows import MarkWindow, MarkWindows, placement_hole
from service.pipeline.remove.reference_alignment import ReferenceAligner
from service.pipeline.remove.temporal_smoothing import TemporalSmoother
from service.pipeline.remove.tiles import Tile, tiles
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

MIN_SHARED_PIXELS = 64
MAX_LIGHT_CHANGE = 0.1  # of the brightness, in [0, 1]: more is another scene
LIGHT_KERNEL_PIXELS = 41  # side of the square over which a change of light is measured
LIGHT_PRIOR_SHARE = 0.02  # share of the square below which the whole window tells


@dataclass(frozen=True)
class Patch:
    """Clean pixels for one frame: rgb (3, h, w) in [0, 1], to be laid over the box with alpha (h, w), feathered at the mark's edge."""

    box: Box
    rgb: Floats = field(repr=False)
    alpha: Floats = field(repr=False)


def feather(hole_mask: Floats) -> Floats:
    """Alpha for pasting: 1 inside the hole, falling over its outermost pixel, 0 outside."""
    return (cv2.GaussianBlur(hole_mask, (3, 3), 0) * hole_mask).astype(np.float32, copy=False)


class Inpainter:
    """Restores frames of one video. Marks are known for the whole video; frames are given as far as the references reach."""

    def __init__(self, network: Batcher, marks: Sequence[Placement], info: VideoInfo) -> None:
        self._network = network
        self._marks = marks
        self._info = info
        self._windows = MarkWindows(marks, info)
        self._borrowers: dict[Box, ReferenceAligner] = {}
        self._steady = TemporalSmoother()

    def patches(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> dict[int, list[Patch]]:
        """Patches by frame index for the target frames, which come in order; `frames` holds them and those REACH_FRAMES around them."""
        return self.begin(targets, frames)()

    def begin(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> Callable[[], dict[int, list[Patch]]]:
        """Gives the windows to the network and returns at once. Called, gives what `patches` gives; calls in the order of the targets."""
        windows: list[Arrays] = []
        places: list[tuple[int, Patch, Tile]] = []
        patches: dict[int, list[Patch]] = {index: [] for index in targets}
        for index in targets:
            for marks in self._by_box(index):
                patch = _empty_patch(marks)
                patches[index].append(patch)
                for tile in tiles(patch.box):
                    view = View.of(tile.seen)
                    if self._windows.window_of(index, view).mask.any():
                        windows.append(self._window(index, tile.seen, frames))
                        places.append((index, patch, tile))
        answers = self._network.begin(windows)
        here = self._boxes_from(max(targets, default=0))
        self._borrowers = {box: borrower for box, borrower in self._borrowers.items() if box in here}

        def finish() -> dict[int, list[Patch]]:
            for (index, patch, tile), window, answer in zip(places, windows, answers(), strict=True):
                mask, opacity = window["mask"][0, 0], window["opacity"][0, 0]
                _write_tile(patch, tile, self._steady.smooth(index, tile.seen, answer["clean"], mask, opacity))
            self._steady.forget(here)
            return patches

        return finish

    def _by_box(self, index: int) -> list[list[Placement]]:
        """The marks of a frame; parts of one mark, which share a box, are restored at once."""
        groups: dict[Box, list[Placement]] = defaultdict(list)
        for mark in self._marks:
            if mark.covers(index):
                groups[mark.box].append(mark)
        return list(groups.values())

    def _window(self, index: int, box: Box, frames: Mapping[int, Frame]) -> Arrays:
        """The network's inputs for one tile: the frame itself first, then its references."""
        if box not in self._borrowers:
            self._borrowers[box] = ReferenceAligner(box, self._windows, self._info)
        borrower = self._borrowers[box]
        rows = [Reference(index, 0, 0), *borrower.references(index, frames)]
        views = [View.of(box).moved(row.dy, row.dx) for row in rows]
        drawn = [self._windows.window_of(row.frame, view) for row, view in zip(rows, views, strict=True)]
        crops = [self._crop(frames[row.frame], view) for row, view in zip(rows, views, strict=True)]
        parts = {
            "frames": [crops[0], *(match_brightness(crops[0], drawn[0], *other) for other in zip(crops[1:], drawn[1:], strict=True))],
            "mask": [look.mask for look in drawn],
            "opacity": [look.opacity for look in drawn],
            "colour": [look.colour for look in drawn],
            "doubt": [look.opacity_sigma for look in drawn],
        }
        return {name: padded(np.stack(values), INPAINTER_MULTIPLE) for name, values in parts.items()}

    def _crop(self, frame: Frame, view: View) -> Floats:
        inner = view.inner(self._info.width, self._info.height)
        assert inner is not None, "a reference that shows nothing is not chosen"
        return view.padded(crop_rgb(frame, inner, self._info), inner)

    def _boxes_from(self, frame: int) -> set[Box]:
        """The windows of the marks that are there in this frame or come later."""
        return {tile.seen for mark in self._marks if mark.last_frame >= frame for tile in tiles(mark.box)}


def match_brightness(target: Floats, here: MarkWindow, crop: Floats, there: MarkWindow) -> Floats:
    """A reference's crop (3, h, w) as bright as the target, channel by channel and place by place: light changes with time.

    Measured where both show the scene and continued from there. Under a mark of the reference only what passes through it is changed.
    """
    shown = ((here.mask[0] < 0.5) & (there.mask[0] < 0.5)).astype(np.float32)
    if shown.sum() < MIN_SHARED_PIXELS:
        return crop
    change = np.clip(mean_of_known(target - crop, shown, LIGHT_KERNEL_PIXELS, LIGHT_PRIOR_SHARE), -MAX_LIGHT_CHANGE, MAX_LIGHT_CHANGE)
    lit: Floats = np.clip(crop + change * (1 - there.opacity * there.mask), 0, 1)
    return lit


def _empty_patch(marks: Sequence[Placement]) -> Patch:
    """A patch for all marks of one box, without its pixels yet."""
    box = marks[0].box
    mask = np.logical_or.reduce([placement_hole(mark) > 0 for mark in marks]).astype(np.float32)
    return Patch(box, np.zeros((3, box.height, box.width), np.float32), feather(mask))


def _write_tile(patch: Patch, tile: Tile, clean: Floats) -> None:
    """Writes the kept part of a tile's answer into the patch."""
    kept, seen, box = tile.kept, tile.seen, patch.box
    part = clean[:, kept.top - seen.top : kept.bottom - seen.top, kept.left - seen.left : kept.right - seen.left]
    patch.rgb[:, kept.top - box.top : kept.bottom - box.top, kept.left - box.left : kept.right - box.left] = part
