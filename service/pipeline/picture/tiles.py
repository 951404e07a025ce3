"""Cut a box into tiles of a size that a network takes. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.arrays import Floats
from service.pipeline.placement import Box

Area = tuple[slice, slice]  # rows and columns

TILE_PIXELS = 256  # largest side of a tile that the inpainter gets
TILE_CONTEXT_PIXELS = 24  # half of what two neighbouring tiles share, over which one fades into the other


@dataclass(frozen=True)
class Tile:
    """A piece of a box, in pixels of the picture. seen: what the network gets. weight: (h, w), its share of the result in each pixel."""

    seen: Box
    weight: Floats = field(repr=False, compare=False)


def tiles(box: Box, size: int = TILE_PIXELS, context: int = TILE_CONTEXT_PIXELS) -> list[Tile]:
    """Tiles of one size, at most `size` pixels a side, whose weights add up to 1 in every pixel of the box.

    Neighbours share about twice `context` pixels, across which one's weight falls as the other's grows, so that no seam shows. A box of
    at most `size` pixels a side is one tile.
    """
    rows, columns = _spans(box.top, box.bottom, size, context), _spans(box.left, box.right, size, context)
    return [
        Tile(Box(column.start, row.start, column.stop, row.stop), np.outer(row.weight, column.weight)) for row in rows for column in columns
    ]


def in_tiles(answer: Callable[[Area], Floats], height: int, width: int, size: int) -> Floats:
    """What `answer` gives, (..., h, w), for a picture of this height and width; in tiles where it has more than `size` squared pixels.

    The tiles' answers fade into each other. So the memory that a network takes does not grow with the picture.
    """
    if height * width <= size * size:
        return answer((slice(0, height), slice(0, width)))
    whole: Floats | None = None
    for tile in tiles(Box(0, 0, width, height), size):
        part = answer(tile.seen.slices)
        if whole is None:
            whole = np.zeros((*part.shape[:-2], height, width), np.float32)
        whole[(..., *tile.seen.slices)] += part * tile.weight
    assert whole is not None
    return whole


@dataclass(frozen=True)
class _Span:
    """A tile along one axis, [start, stop), and its weight in each pixel."""

    start: int
    stop: int
    weight: Floats = field(repr=False)


def _spans(start: int, stop: int, size: int, context: int) -> list[_Span]:
    """The tiles of [start, stop) along one axis."""
    length = stop - start
    if length <= size:
        return [_Span(start, stop, np.ones(length, np.float32))]
    count = -(-(length - 2 * context) // (size - 2 * context))
    size = -(-(length + 2 * context * (count - 1)) // count)  # the smallest size that needs no more tiles
    firsts = [start + round(i * (length - size) / (count - 1)) for i in range(count)]
    ramps = [_ramp(size, before=first > start, after=first + size < stop, pixels=2 * context) for first in firsts]
    total = np.zeros(length, np.float32)
    for first, ramp in zip(firsts, ramps, strict=True):
        total[first - start : first - start + size] += ramp
    return [
        _Span(first, first + size, ramp / total[first - start : first - start + size]) for first, ramp in zip(firsts, ramps, strict=True)
    ]


def _ramp(size: int, before: bool, after: bool, pixels: int) -> Floats:
    """Weights (size,) in (0, 1] that rise over the first `pixels` after another tile, and fall over the last before one."""
    rising = np.minimum((np.arange(size, dtype=np.float32) + 1) / np.float32(pixels + 1), 1)
    one = np.ones(size, np.float32)
    return np.minimum(rising if before else one, rising[::-1] if after else one)
