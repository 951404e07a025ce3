"""Restore what was behind the marks: crops at the size of the video go to the network, and its answers become patches."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import cv2
import numpy as np

from models.arrays import Floats
from models.preprocess import padded
from models.references import Alignment
from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import Arrays, Batcher
from service.pipeline.picture.chroma import ChromaGrid, at_full_size
from service.pipeline.picture.colour import luma_chroma_matrices
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.picture.tiles import Tile, tiles
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement, intersect, shared_slices
from service.pipeline.remove.active_picture import ActivePicture
from service.pipeline.remove.encodings import Encodings, Piece
from service.pipeline.remove.mark_windows import MarkWindows
from service.pipeline.remove.reference_alignment import ReferenceAligner
from service.pipeline.remove.temporal_smoothing import TemporalSmoother
from service.pipeline.video import Frame, Limits, VideoInfo

TILES_AT_ONCE = 8  # a batch, whose windows are in memory, up to 7 MB each, and as many of those before


@dataclass(frozen=True)
class Patch:
    """Clean pixels of one frame. rgb: (3, h, w) in [0, 1]. alpha: (h, w) in [0, 1], with which rgb is laid over the box."""

    box: Box
    rgb: Floats = field(repr=False)
    alpha: Floats = field(repr=False)


@dataclass(frozen=True, eq=False)
class _Hole:
    """What is restored of the marks of one box. alpha: (h, w), of its patches. tiles: those that contain a pixel of it."""

    box: Box
    alpha: Floats = field(repr=False)
    tiles: Sequence[Tile]

    @classmethod
    def of(cls, numbers: Sequence[int], windows: MarkWindows) -> "_Hole":
        """The hole of marks that share a box, and what they stain beside it. Nothing shows through a pixel that a person gave."""
        marks, holes = [windows.marks[number] for number in numbers], [windows.holes[number].astype(np.float32) for number in numbers]
        beyond = [hole if mark.kind == "user" else windows.edges[n] for n, mark, hole in zip(numbers, marks, holes, strict=True)]
        box, alpha = marks[0].box, np.maximum.reduce([feather(np.maximum.reduce(holes)), *beyond])
        return cls(box, alpha, [tile for tile in tiles(box) if alpha[shared_slices(box, tile.seen)[0]].any()])

    def empty_patch(self) -> Patch:
        """A black patch."""
        return Patch(self.box, np.zeros((3, self.box.height, self.box.width), np.float32), self.alpha)


@dataclass(frozen=True)
class _TileJob:
    """A tile of a frame's patch, and what the network restores it from."""

    index: int
    patch: Patch
    tile: Tile
    pieces: tuple[Piece, ...]  # the target's, then its references'
    shift: Floats = field(repr=False)  # (1+R, 2): (dx, dy) in pixels, from the target to the same content in each piece


def feather(hole_mask: Floats) -> Floats:
    """The alpha (h, w) of a hole (h, w) of 0 and 1: 1 inside, falling over its outermost pixel, 0 outside."""
    return (cv2.GaussianBlur(hole_mask, (3, 3), 0) * hole_mask).astype(np.float32, copy=False)


class Inpainter:
    """Restores the frames of one video, in order. All marks of the video are known; frames are given as far as references reach."""

    def __init__(self, encoder: Batcher, network: Batcher, marks: Sequence[Placement], info: VideoInfo, limits: Limits = Limits()) -> None:
        self._network = network
        self._marks = marks
        self._info = info
        self._matrices = luma_chroma_matrices(info)
        self._windows = MarkWindows(marks, info)
        self._active_picture = ActivePicture(info)
        self._last_seen = -1  # frame whose black bars were looked at
        self._holes: dict[tuple[int, ...], _Hole] = {}  # by the numbers of the marks
        self._encoder, self._encodings, self._limits = encoder, Encodings(encoder, limits.encoded_bytes), limits
        self._aligners: dict[Box, ReferenceAligner] = {}
        self._smoother = TemporalSmoother()

    @property
    def most_tiles(self) -> int:
        """Of the largest mark; at least 1."""
        return max((len(tiles(mark.box)) for mark in self._marks), default=1)

    def patches(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> dict[int, list[Patch]]:
        """The patches of the target frames by frame index. Targets come in order; `frames` also holds REACH_FRAMES on both sides."""
        return self.begin(targets, frames)()

    def begin(self, targets: Sequence[int], frames: Mapping[int, Frame]) -> Callable[[], dict[int, list[Patch]]]:
        """Hands the windows to the network and returns; it waits only for frames that are not encoded yet.

        The returned function waits for the answers and returns what `patches` does. Call these functions in the order of the targets.
        """
        self._look_at_bars(frames)
        shown = self._active_picture.box
        patches: dict[int, list[Patch]] = {index: [] for index in targets}
        jobs: list[_TileJob] = []
        for index in targets:
            for hole in self._holes_of(index):
                patch = hole.empty_patch()
                patches[index].append(patch)
                jobs += [self._tile_job(index, patch, tile, frames) for tile in hole.tiles]
        batches = [jobs[start : start + TILES_AT_ONCE] for start in range(0, len(jobs), TILES_AT_ONCE)]
        begun = deque([self._begin_tiles(batch, frames) for batch in batches[:1]])
        frames_of_rest: Mapping[int, Frame] = frames if len(batches) > 1 else {}  # otherwise they are not held until the answers come
        self._forget_marks_before(max(targets, default=0))
        remaining = {tile.seen for hole in self._holes.values() for tile in hole.tiles}
        self._aligners = {box: aligner for box, aligner in self._aligners.items() if box in remaining}

        def finish() -> dict[int, list[Patch]]:
            for following in (*batches[1:], []):
                begun.append(self._begin_tiles(following, frames_of_rest))  # while the network restores those before
                begun.popleft()()
            self._smoother.forget(remaining)
            for patch in chain.from_iterable(patches.values()):
                _blacken_bars(patch, shown)
            return patches

        return finish

    def _begin_tiles(self, jobs: Sequence[_TileJob], frames: Mapping[int, Frame]) -> Callable[[], None]:
        """Hands tiles to the network. The returned function waits for its answers and adds them to the tiles' patches."""
        marked = [self._marked_frame(job.pieces[0], frames) for job in jobs]
        encodings = self._encodings.of([piece for job in jobs for piece in job.pieces], lambda piece: self._marked_frame(piece, frames))
        answers = self._network.begin([_window(job, inputs, encodings) for job, inputs in zip(jobs, marked, strict=True)])

        def finish() -> None:
            for job, inputs, answer in zip(jobs, marked, answers(), strict=True):
                clean = self._smoother.smooth(job.index, job.tile.seen, answer["clean"], inputs["mask"][0], inputs["opacity"][0])
                _add_tile(job.patch, job.tile, clean)

        return finish

    def _look_at_bars(self, frames: Mapping[int, Frame]) -> None:
        """Takes in the frames that were not looked at yet. Where the active picture grows, what was seen without that is forgotten."""
        before = self._active_picture.box
        for index in sorted(index for index in frames if index > self._last_seen):
            self._active_picture.see(frames[index], self._windows.marks_of(index))
            self._last_seen = index
        if self._active_picture.box != before:
            self._windows.limit_to(self._active_picture.box)
            self._encodings, self._aligners = Encodings(self._encoder, self._limits.encoded_bytes), {}

    def _holes_of(self, index: int) -> list[_Hole]:
        """The holes of a frame. Marks that share a box, which are parts of one mark, are restored together."""
        groups: dict[Box, list[int]] = defaultdict(list)
        for number in self._windows.active(index):
            groups[self._marks[number].box].append(number)
        for numbers in groups.values():
            if tuple(numbers) not in self._holes:
                self._holes[tuple(numbers)] = _Hole.of(numbers, self._windows)
        return [self._holes[tuple(numbers)] for numbers in groups.values()]

    def _forget_marks_before(self, frame: int) -> None:
        """Drops the holes of marks of which one has ended before this frame."""
        ended = [numbers for numbers in self._holes if any(self._marks[number].last_frame < frame for number in numbers)]
        for numbers in ended:
            del self._holes[numbers]

    def _tile_job(self, index: int, patch: Patch, tile: Tile, frames: Mapping[int, Frame]) -> _TileJob:
        """A tile's job: references are cut out on the grid, so that their encodings serve many targets."""
        box = tile.seen
        alignments = self._alignments(index, box, frames)
        crops = [alignment.on_grid for alignment in alignments]
        pieces = tuple(Piece(crop.frame, View.of(box).moved(crop.dy, crop.dx)) for crop in crops)
        shift = np.array([(a.dx - crop.dx, a.dy - crop.dy) for a, crop in zip(alignments, crops, strict=True)], np.float32)
        return _TileJob(index, patch, tile, pieces, shift)

    def _alignments(self, index: int, box: Box, frames: Mapping[int, Frame]) -> list[Alignment]:
        """The target itself, then its references for one tile."""
        if box not in self._aligners:
            self._aligners[box] = ReferenceAligner(box, self._windows, self._info)
        return [Alignment(index, 0, 0), *self._aligners[box].references(index, frames)]

    def _marked_frame(self, piece: Piece, frames: Mapping[int, Frame]) -> Arrays:
        """A piece of a frame with its marks, as the encoder sees it."""
        window, crop = self._windows.window_of(piece.frame, piece.view), self._crop(frames[piece.frame], piece.view)
        inputs = {
            "frame": at_full_size(crop, window.stain, ChromaGrid.at(piece.view.top, piece.view.left, self._info), self._matrices),
            "mask": window.mask,
            "opacity": window.opacity,
            "colour": window.colour,
            "doubt": window.opacity_sigma,
        }
        return {name: padded(values, INPAINTER_MULTIPLE) for name, values in inputs.items()}

    def _crop(self, frame: Frame, view: View) -> Floats:
        """The view of a frame as RGB (3, h, w) in [0, 1], padded where it lies outside the picture."""
        inner = view.inner(self._info.width, self._info.height)
        assert inner is not None, "a reference outside the picture is never chosen"
        return view.padded(crop_rgb(frame, inner, self._info), inner)


def _window(job: _TileJob, marked: Arrays, encodings: Mapping[Piece, Arrays]) -> Arrays:
    """The network's inputs for one tile: the target with its marks, and the encodings of the target and of its references."""
    of_pieces = [encodings[piece] for piece in job.pieces]
    return {**marked, **{name: np.stack([one[name] for one in of_pieces]) for name in of_pieces[0]}, "shift": job.shift}


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
