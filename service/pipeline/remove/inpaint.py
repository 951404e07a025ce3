"""Restore what was behind the marks: crops at the size of the video go to the network, and its answers become patches."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import cv2
import numpy as np

from models.arrays import Floats
from models.blend import mean_of_known
from models.preprocess import padded
from models.references import Reference
from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import Arrays, Batcher
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement, intersect, shared_slices
from service.pipeline.remove.active_picture import ActivePicture
from service.pipeline.remove.mark_windows import MarkWindow, MarkWindows, placement_hole
from service.pipeline.remove.reference_alignment import ReferenceAligner
from service.pipeline.remove.temporal_smoothing import TemporalSmoother
from service.pipeline.remove.tiles import Tile, tiles
from service.pipeline.video import Frame, VideoInfo

MIN_SHARED_PIXELS = 64  # pixels of the scene that both crops have to show for a change of light to be measured
MAX_LIGHT_CHANGE = 0.1  # of the brightness in [0, 1]; a larger difference is not light but another scene
LIGHT_KERNEL_PIXELS = 41  # side of the square over which a change of light is averaged


@dataclass(frozen=True)
class Patch:
    """Clean pixels of one frame. rgb: (3, h, w) in [0, 1]. alpha: (h, w) in [0, 1], with which rgb is laid over the box."""

    box: Box
    rgb: Floats = field(repr=False)
    alpha: Floats = field(repr=False)


@dataclass(frozen=True)
class _TileJob:
    """A tile of a frame's patch, and the network's inputs for it."""

    index: int
    patch: Patch
    tile: Tile
    inputs: Arrays = field(repr=False)


def feather(hole_mask: Floats) -> Floats:
    """The alpha (h, w) of a hole (h, w) of 0 and 1: 1 inside, falling over its outermost pixel, 0 outside."""
    return (cv2.GaussianBlur(hole_mask, (3, 3), 0) * hole_mask).astype(np.float32, copy=False)


class Inpainter:
    """Restores the frames of one video, in order. All marks of the video are known; frames are given as far as references reach."""

    def __init__(self, network: Batcher, marks: Sequence[Placement], info: VideoInfo) -> None:
        self._network = network
        self._marks = marks
        self._info = info
        self._windows = MarkWindows(marks, info)
        self._active_picture = ActivePicture(info)
        self._last_seen = -1  # frame whose black bars were looked at
        self._aligners: dict[Box, ReferenceAligner] = {}
        self._smoother = TemporalSmoother()

    def patches(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> dict[int, list[Patch]]:
        """The patches of the target frames by frame index. Targets come in order; `frames` also holds REACH_FRAMES on both sides."""
        return self.begin(targets, frames)()

    def begin(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> Callable[[], dict[int, list[Patch]]]:
        """Hands the windows to the network and returns at once.

        The returned function waits for the answers and returns what `patches` does. Call these functions in the order of the targets.
        """
        self._look_at_bars(frames)
        shown = self._active_picture.box
        patches: dict[int, list[Patch]] = {index: [] for index in targets}
        jobs: list[_TileJob] = []
        for index in targets:
            for marks in self._marks_by_box(index):
                patch = _empty_patch(marks)
                patches[index].append(patch)
                jobs += self._tile_jobs(index, patch, frames)
        answers = self._network.begin([job.inputs for job in jobs])
        remaining = self._tile_boxes_from(max(targets, default=0))
        self._aligners = {box: aligner for box, aligner in self._aligners.items() if box in remaining}

        def finish() -> dict[int, list[Patch]]:
            for job, answer in zip(jobs, answers(), strict=True):
                mask, opacity = job.inputs["mask"][0, 0], job.inputs["opacity"][0, 0]
                clean = self._smoother.smooth(job.index, job.tile.seen, answer["clean"], mask, opacity)
                _add_tile(job.patch, job.tile, clean)
            self._smoother.forget(remaining)
            for patch in chain.from_iterable(patches.values()):
                _blacken_bars(patch, shown)
            return patches

        return finish

    def _look_at_bars(self, frames: Mapping[int, Frame]) -> None:
        """Takes in the frames that were not looked at yet."""
        for index in sorted(index for index in frames if index > self._last_seen):
            self._active_picture.see(frames[index], self._windows.marks_of(index))
            self._last_seen = index
        self._windows.limit_to(self._active_picture.box)

    def _marks_by_box(self, index: int) -> list[list[Placement]]:
        """The marks of a frame, grouped by box: parts of one mark share a box and are restored together."""
        groups: dict[Box, list[Placement]] = defaultdict(list)
        for mark in self._marks:
            if mark.covers(index):
                groups[mark.box].append(mark)
        return list(groups.values())

    def _tile_jobs(self, index: int, patch: Patch, frames: Mapping[int, Frame]) -> list[_TileJob]:
        """One job for each tile of the patch that contains a pixel to restore."""
        return [
            _TileJob(index, patch, tile, self._network_inputs(index, tile.seen, frames))
            for tile in tiles(patch.box)
            if self._windows.window_of(index, View.of(tile.seen)).mask.any()
        ]

    def _network_inputs(self, index: int, box: Box, frames: Mapping[int, Frame]) -> Arrays:
        """The network's inputs for one tile: the target frame first, then its references."""
        if box not in self._aligners:
            self._aligners[box] = ReferenceAligner(box, self._windows, self._info)
        references = [Reference(index, 0, 0), *self._aligners[box].references(index, frames)]
        views = [View.of(box).moved(reference.dy, reference.dx) for reference in references]
        windows = [self._windows.window_of(reference.frame, view) for reference, view in zip(references, views, strict=True)]
        target, *others = (self._crop(frames[reference.frame], view) for reference, view in zip(references, views, strict=True))
        matched = [match_brightness(target, windows[0], crop, window) for crop, window in zip(others, windows[1:], strict=True)]
        inputs = {
            "frames": [target, *matched],
            "mask": [window.mask for window in windows],
            "opacity": [window.opacity for window in windows],
            "colour": [window.colour for window in windows],
            "doubt": [window.opacity_sigma for window in windows],
        }
        return {name: padded(np.stack(values), INPAINTER_MULTIPLE) for name, values in inputs.items()}

    def _crop(self, frame: Frame, view: View) -> Floats:
        """The view of a frame as RGB (3, h, w) in [0, 1], padded where it lies outside the picture."""
        inner = view.inner(self._info.width, self._info.height)
        assert inner is not None, "a reference outside the picture is never chosen"
        return view.padded(crop_rgb(frame, inner, self._info), inner)

    def _tile_boxes_from(self, frame: int) -> set[Box]:
        """The tiles of the marks that are present in this frame or in a later one."""
        return {tile.seen for mark in self._marks if mark.last_frame >= frame for tile in tiles(mark.box)}


def match_brightness(target: Floats, target_window: MarkWindow, crop: Floats, crop_window: MarkWindow) -> Floats:
    """A reference's crop (3, h, w) with the brightness of the target (3, h, w), because light changes over time. RGB in [0, 1].

    The difference is measured for each channel where both show the scene, and extended from there. Under a mark of the reference it is
    applied only to the scene's share. If both show fewer than MIN_SHARED_PIXELS, the crop is returned as it is.
    """
    both_known = ((target_window.mask[0] < 0.5) & (crop_window.mask[0] < 0.5)).astype(np.float32)
    if both_known.sum() < MIN_SHARED_PIXELS:
        return crop
    difference = mean_of_known(target - crop, both_known, LIGHT_KERNEL_PIXELS)
    change = np.clip(difference, -MAX_LIGHT_CHANGE, MAX_LIGHT_CHANGE)
    matched: Floats = np.clip(crop + change * (1 - crop_window.opacity * crop_window.mask), 0, 1)
    return matched


def _empty_patch(marks: Sequence[Placement]) -> Patch:
    """A black patch with the alpha of all marks of one box."""
    box = marks[0].box
    hole = np.logical_or.reduce([placement_hole(mark) > 0 for mark in marks]).astype(np.float32)
    return Patch(box, np.zeros((3, box.height, box.width), np.float32), feather(hole))


def _blacken_bars(patch: Patch, shown: Box) -> None:
    """Makes the patch black outside `shown`, the active picture."""
    bars = np.ones((patch.box.height, patch.box.width), bool)
    if intersect(patch.box, shown):
        bars[shared_slices(patch.box, shown)[0]] = False
    patch.rgb[:, bars] = 0


def _add_tile(patch: Patch, tile: Tile, clean: Floats) -> None:
    """Adds a tile's clean pixels (3, h, w), padded below and to the right, to the patch, by their weight."""
    top, left = tile.seen.top - patch.box.top, tile.seen.left - patch.box.left
    patch.rgb[:, top : top + tile.seen.height, left : left + tile.seen.width] += (
        tile.weight * clean[:, : tile.seen.height, : tile.seen.width]
    )
