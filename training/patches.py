"""What a mark is once it is drawn: a patch a frame, an alpha map and a colour map at a place; and how it is laid over a picture."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from training.vocabulary import Vocabulary

Rng = np.random.Generator

KEPT_PATCHES = 32  # of a lazy sequence: a patch as large as a 720p frame is 15 MB


@dataclass(frozen=True)
class Patch:
    """A drawn mark in one frame, perhaps partly outside of it. alpha: (h, w) float32 and colour: (h, w, 3) float32 RGB in [0, 1]."""

    left: int
    top: int
    alpha: NDArray[np.float32] = field(repr=False)
    colour: NDArray[np.float32] = field(repr=False)


class LazyPatches(Sequence[Patch | None]):
    """One patch a frame, drawn when it is asked for: samples look at few of a clip's frames. Frames of one key share one patch."""

    def __init__(self, keys: Sequence[Hashable | None], draw: Callable[..., Patch], kept: int | None = KEPT_PATCHES) -> None:
        self.keys = tuple(keys)
        self.draw = lru_cache(maxsize=kept)(draw)

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
class Showing:
    """What a kind of mark draws: see `Mark`."""

    patches: Sequence[Patch | None]
    stays: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class Mark:
    """A mark over a clip: one patch a frame, None where it is absent.

    `stays` numbers the stretches in which it is at one place, perhaps turning or trembling there: one number a frame, None where it
    is absent. Without it, frames of the same place and the same alpha map are one stay.
    """

    kind: str
    patches: Sequence[Patch | None]
    stays: tuple[int | None, ...] | None = None

    def visible(self) -> list[int]:
        """The frames in which the mark is present."""
        shown = self.stays or self.patches
        return [i for i, value in enumerate(shown) if value is not None]

    def stay(self, anchor: int) -> list[int]:
        """Every frame in which the mark is where it is at frame `anchor` (a subtitle's next line is another mark)."""
        if self.stays is not None:
            return [i for i in self.visible() if self.stays[i] == self.stays[anchor]]
        return [i for i in self.visible() if self._same_place(i, anchor)]

    def _same_place(self, frame: int, anchor: int) -> bool:
        here, there = self.patches[frame], self.patches[anchor]
        if here is None or there is None:
            return False
        return (here.left, here.top) == (there.left, there.top) and here.alpha is there.alpha


@dataclass(frozen=True)
class Canvas:
    """What a kind needs to know to draw itself. `photos`: (H, W, 3) uint8 pictures that stickers may be cut from; `cutouts`: of things."""

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
    """The (H, W, 3) picture with the patch blended over it: `(1 - alpha) * picture + alpha * colour`."""
    if patch is None:
        return rgb
    marked, where = rgb.copy(), reach(patch, rgb.shape[0], rgb.shape[1])
    if not marked[where].size:
        return marked
    alpha, colour = cropped(patch, where)
    a = alpha[..., None]
    marked[where] = np.rint((1 - a) * rgb[where] + a * colour * 255).astype(np.uint8)
    return marked


def reach(patch: Patch, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of a picture that the patch lies over; empty ones if it lies beside."""
    h, w = patch.alpha.shape
    y, x = min(max(0, patch.top), height), min(max(0, patch.left), width)
    return slice(y, max(y, min(height, patch.top + h))), slice(x, max(x, min(width, patch.left + w)))


def cropped(patch: Patch, where: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Alpha and colour of the patch in the rows and columns of a picture that `reach` named, if they are not empty."""
    rows, columns = where
    inner = slice(rows.start - patch.top, rows.stop - patch.top), slice(columns.start - patch.left, columns.stop - patch.left)
    return patch.alpha[inner], patch.colour[inner]


def placed(patch: Patch | None, height: int, width: int, top: int, left: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Alpha (height, width) and colour (height, width, 3) of the patch in the window whose corner is (top, left)."""
    alpha, colour = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
    if patch is None:
        return alpha, colour
    moved = replace(patch, top=patch.top - top, left=patch.left - left)
    where = reach(moved, height, width)
    if alpha[where].size:
        alpha[where], colour[where] = cropped(moved, where)
    return alpha, colour
