"""A ring buffer of frames in memory that two processes share, so that one side can work ahead of the other."""

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
MAX_SLOTS = 8


@dataclass(frozen=True)
class Layout:
    """Shapes (h, w) and type of a frame's planes, which lie in a slot one after the other."""

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
    """Slots for frames in anonymous shared memory. Frame n lies in slot n % slots.

    The two sides agree by message on who may use a slot; nothing here waits.
    """

    def __init__(self, layout: Layout, file: int | None = None) -> None:
        """Create the memory, or map that of the open file descriptor `file`."""
        self._layout = layout
        self.slots = max(2, min(MAX_SLOTS, RING_BYTES // layout.frame_bytes))
        size = self.slots * layout.frame_bytes
        self.file = _anonymous_file(size) if file is None else file
        self._memory = mmap.mmap(self.file, size)

    def write(self, index: int, planes: Planes) -> None:
        """Copy frame `index` into its slot."""
        for stored, plane in zip(self._slot_planes(index), planes, strict=True):
            stored[...] = plane

    def read(self, index: int) -> Planes:
        """A copy of frame `index`, owned by the caller."""
        first, second, third = (plane.copy() for plane in self._slot_planes(index))
        return first, second, third

    def view(self, index: int) -> Planes:
        """Frame `index` as views into its slot."""
        first, second, third = self._slot_planes(index)
        return first, second, third

    def _slot_planes(self, index: int) -> list[Plane]:
        offset = index % self.slots * self._layout.frame_bytes
        planes: list[Plane] = []
        for shape in self._layout.shapes:
            plane = np.frombuffer(self._memory, self._layout.dtype, prod(shape), offset).reshape(shape)
            planes.append(plane)
            offset += plane.nbytes
        return planes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.file)  # the mapping is freed with the last view of it


def _anonymous_file(size: int) -> int:
    """The descriptor of an open, unnamed file of `size` bytes. It vanishes with its processes, however they end."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("frames")
    else:
        with tempfile.TemporaryFile() as named:
            file = os.dup(named.fileno())
    os.ftruncate(file, size)
    return file
