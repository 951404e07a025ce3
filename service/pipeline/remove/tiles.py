"""Cut a placement's box into tiles of a size that the inpainter takes. Pure."""

from dataclasses import dataclass
from itertools import pairwise

from service.pipeline.placement import Box

TILE_PIXELS = 256  # largest side of a tile
TILE_CONTEXT_PIXELS = 24  # pixels that a tile sees beyond its kept part, where it borders on another tile


@dataclass(frozen=True)
class Tile:
    """A piece of a box, in pixels of the picture. seen: what the network gets. kept: the part of its answer that is used."""

    seen: Box
    kept: Box


def tiles(box: Box, size: int = TILE_PIXELS, context: int = TILE_CONTEXT_PIXELS) -> list[Tile]:
    """Tiles of one size, at most `size` pixels a side, whose kept parts partition the box.

    Towards each neighbour, a tile sees about `context` pixels or more beyond its kept part.
    A box of at most `size` pixels a side is one tile.
    """
    rows, columns = _spans(box.top, box.bottom, size, context), _spans(box.left, box.right, size, context)
    return [
        Tile(
            Box(column.seen_start, row.seen_start, column.seen_stop, row.seen_stop),
            Box(column.kept_start, row.kept_start, column.kept_stop, row.kept_stop),
        )
        for row in rows
        for column in columns
    ]


@dataclass(frozen=True)
class _Span:
    """One tile along one axis; both ranges are half open."""

    seen_start: int
    seen_stop: int
    kept_start: int
    kept_stop: int


def _spans(start: int, stop: int, size: int, context: int) -> list[_Span]:
    """The tiles of [start, stop) along one axis."""
    length = stop - start
    if length <= size:
        return [_Span(start, stop, start, stop)]
    count = -(-(length - 2 * context) // (size - 2 * context))
    size = -(-(length + 2 * context * (count - 1)) // count)  # the smallest size that needs no more tiles
    firsts = [start + round(i * (length - size) / (count - 1)) for i in range(count)]
    cuts = [start, *((a + size + b) // 2 for a, b in pairwise(firsts)), stop]
    return [_Span(first, first + size, cuts[i], cuts[i + 1]) for i, first in enumerate(firsts)]
