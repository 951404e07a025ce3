"""A placement's box in pieces of a size that the inpainter takes."""

from dataclasses import dataclass
from itertools import pairwise

from service.pipeline.placement import Box

TILE_PIXELS = 256  # larger boxes are cut into tiles of this size at most
TILE_CONTEXT_PIXELS = 24


@dataclass(frozen=True)
class Tile:
    """A piece of a placement. `seen` is what the network gets, `kept` the part of its answer that is used; both in the picture's pixels."""

    seen: Box
    kept: Box


def tiles(box: Box, size: int = TILE_PIXELS, context: int = TILE_CONTEXT_PIXELS) -> list[Tile]:
    """Cuts a box into tiles that share `context` pixels and more with their neighbours, or into one. The kept parts partition it."""
    rows, columns = _spans(box.top, box.bottom, size, context), _spans(box.left, box.right, size, context)
    return [Tile(Box(x[0], y[0], x[1], y[1]), Box(x[2], y[2], x[3], y[3])) for y in rows for x in columns]


def _spans(start: int, stop: int, size: int, context: int) -> list[tuple[int, int, int, int]]:
    """(first seen, last seen, first kept, last kept) of the tiles along one axis, half open."""
    length = stop - start
    if length <= size:
        return [(start, stop, start, stop)]
    count = -(-(length - 2 * context) // (size - 2 * context))
    size = -(-(length + 2 * context * (count - 1)) // count)  # no larger than so many need to be
    firsts = [start + round(i * (length - size) / (count - 1)) for i in range(count)]
    cuts = [start, *((a + size + b) // 2 for a, b in pairwise(firsts)), stop]
    return [(first, first + size, cuts[i], cuts[i + 1]) for i, first in enumerate(firsts)]
