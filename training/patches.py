"""Drawn marks: for each frame a patch, an alpha and a colour map at a place; and how a patch is composited on a picture."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from training.vocabulary import Vocabulary

Rng = np.random.Generator

CACHED_PATCHES = 32  # by a lazy sequence: a patch of a 720p frame's size is 15 MB


@dataclass(frozen=True)
class Patch:
    """A mark drawn in one frame, perhaps partly outside it. alpha: (h, w) float32 and colour: (h, w, 3) float32 RGB, in [0, 1].

    text: the words that it shows, if they are known; lines of their own are separated by line breaks.
    """

    left: int
    top: int
    alpha: NDArray[np.float32] = field(repr=False)
    colour: NDArray[np.float32] = field(repr=False)
    text: str = ""


class LazyPatches(Sequence[Patch | None]):
    """One patch per frame, drawn on access, as samples use few of a clip's frames. Frames with equal keys share one patch."""

    def __init__(self, keys: Sequence[Hashable | None], draw: Callable[..., Patch], cache_size: int | None = CACHED_PATCHES) -> None:
        self.keys = tuple(keys)
        self.draw = lru_cache(maxsize=cache_size)(draw)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Patch | None: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Patch | None, ...]: ...
    def __getitem__(self, index: int | slice) -> Patch | tuple[Patch | None, ...] | None:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        key = self.keys[index]
        return None if key is None else self.draw(key)


@dataclass(frozen=True)
class MarkFrames:
    """The patches and intervals that a kind of mark draws; see `Mark`."""

    patches: Sequence[Patch | None]
    intervals: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class Mark:
    """A mark on a clip: one patch per frame, None where it is absent.

    `intervals` has a number for each frame, None where the mark is absent: frames with equal numbers show it at one place, where it may
    turn or tremble. Without it, frames with the same place and the same alpha map belong together.
    """

    kind: str
    patches: Sequence[Patch | None]
    intervals: tuple[int | None, ...] | None = None

    def visible(self) -> list[int]:
        """The indices of the frames in which the mark is present."""
        shown = self.intervals or self.patches
        return [i for i, value in enumerate(shown) if value is not None]

    def interval_of(self, anchor: int) -> list[int]:
        """The indices of all frames of the interval of frame `anchor`. (The next line of a subtitle is another interval.)"""
        if self.intervals is not None:
            return [i for i in self.visible() if self.intervals[i] == self.intervals[anchor]]
        return [i for i in self.visible() if self._same_place(i, anchor)]

    def _same_place(self, frame: int, anchor: int) -> bool:
        here, there = self.patches[frame], self.patches[anchor]
        if here is None or there is None:
            return False
        return (here.left, here.top) == (there.left, there.top) and here.alpha is there.alpha


@dataclass(frozen=True)
class Canvas:
    """What a kind of mark needs to draw itself. `photos`: (H, W, 3) uint8 pictures for stickers; `cutouts`: files of cut-out objects."""

    width: int
    height: int
    frames: int
    vocabulary: Vocabulary
    photos: Sequence[NDArray[np.uint8]] = ()
    cutouts: Sequence[Path] = ()

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)


def apply(rgb: NDArray[np.uint8], patch: Patch | None) -> NDArray[np.uint8]:
    """Composite the patch on the (H, W, 3) picture: `(1 - alpha) * picture + alpha * colour`."""
    if patch is None:
        return rgb
    marked, where = rgb.copy(), overlap_slices(patch, rgb.shape[0], rgb.shape[1])
    if not marked[where].size:
        return marked
    alpha, colour = cropped(patch, where)
    a = alpha[..., None]
    marked[where] = np.rint((1 - a) * rgb[where] + a * colour * 255).astype(np.uint8)
    return marked


def overlap_slices(patch: Patch, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of a (height, width) picture that the patch covers; empty if it lies outside."""
    h, w = patch.alpha.shape
    y, x = min(max(0, patch.top), height), min(max(0, patch.left), width)
    return slice(y, max(y, min(height, patch.top + h))), slice(x, max(x, min(width, patch.left + w)))


def cropped(patch: Patch, where: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Alpha and colour of the patch in the rows and columns that `overlap_slices` returned, which must not be empty."""
    rows, columns = where
    inner = slice(rows.start - patch.top, rows.stop - patch.top), slice(columns.start - patch.left, columns.stop - patch.left)
    return patch.alpha[inner], patch.colour[inner]


def placed(patch: Patch | None, height: int, width: int, top: int, left: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Alpha (height, width) and colour (height, width, 3) of the patch in the window with its corner at (top, left)."""
    alpha, colour = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
    if patch is None:
        return alpha, colour
    moved = replace(patch, top=patch.top - top, left=patch.left - left)
    where = overlap_slices(moved, height, width)
    if alpha[where].size:
        alpha[where], colour[where] = cropped(moved, where)
    return alpha, colour
