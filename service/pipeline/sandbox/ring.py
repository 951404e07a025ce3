"""Frames in memory that two processes share: a few slots in turn, so that one side can work ahead of the other."""

import mmap
import os
import tempfile
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Any, Self

import numpy as np

from service.pipeline.picture.colour import Planes
from service.pipeline.video import Plane, VideoInfo

RING_BYTES = 32 * 2**20  # about ten frames of 8-bit 1080p
MOST_SLOTS = 8


@dataclass(frozen=True)
class Layout:
    """How a frame's planes lie in a slot, one after the other."""

    shapes: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, info: VideoInfo) -> "Layout":
        form = info.pixel_format
        luma = (info.height, info.width)
        chroma = (-(-info.height >> form.chroma_shift_y), -(-info.width >> form.chroma_shift_x))
        return cls((luma, chroma, chroma), np.dtype(np.uint8 if form.bit_depth == 8 else np.uint16))

    @property
    def frame_bytes(self) -> int:
        return sum(prod(shape) for shape in self.shapes) * self.dtype.itemsize


class Ring:
    """Slots for frames in anonymous shared memory; frame n lies in slot n % slots.

    The sides agree by message on who may touch a slot; nothing here waits.
    """

    def __init__(self, layout: Layout, file: int | None = None) -> None:
        """Create the memory, or attach to that of the open file descriptor `file`."""
        self._layout = layout
        self.slots = max(2, min(MOST_SLOTS, RING_BYTES // layout.frame_bytes))
        size = self.slots * layout.frame_bytes
        self.file = _anonymous_file(size) if file is None else file
        self._memory = mmap.mmap(self.file, size)

    def write(self, index: int, planes: Planes) -> None:
        """Copy frame `index` into its slot."""
        for place, plane in zip(self._slot(index), planes, strict=True):
            place[...] = plane

    def read(self, index: int) -> Planes:
        """A copy of frame `index`, owned by the caller."""
        first, second, third = (place.copy() for place in self._slot(index))
        return first, second, third

    def view(self, index: int) -> Planes:
        """Frame `index` as it lies in its slot."""
        first, second, third = self._slot(index)
        return first, second, third

    def _slot(self, index: int) -> list[Plane]:
        offset = index % self.slots * self._layout.frame_bytes
        places: list[Plane] = []
        for shape in self._layout.shapes:
            place = np.frombuffer(self._memory, self._layout.dtype, prod(shape), offset).reshape(shape)
            places.append(place)
            offset += place.nbytes
        return places

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.file)  # the mapping itself goes with the last view of it


def _anonymous_file(size: int) -> int:
    """An open file of `size` bytes without a name: nothing is left behind, however the processes end."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("frames")
    else:
        with tempfile.TemporaryFile() as named:
            file = os.dup(named.fileno())
    os.ftruncate(file, size)
    return file
