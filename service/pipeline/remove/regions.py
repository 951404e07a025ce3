"""Cut a mark that is larger than a tile into regions that are restored by themselves: the work grows with the marked pixels. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.arrays import Mask
from service.pipeline.placement import Box, bounding_box, hull
from service.pipeline.remove.tiles import TILE_PIXELS, Tile, tiles

CONTEXT_PIXELS = 16  # of the scene that a region has around it, as a small mark has around its box
GAP_PIXELS = 16  # between two pixels of a hole, up to which they belong together, such as the letters of a word
TILE_COST_PIXELS = 4096  # a tile costs as much as a tile that is larger by so many pixels, beside what its pixels cost
MAX_CLUSTERS = 256  # of a mark that is cut; one of more clusters is noise


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of the picture that are restored together: those of `hole`, (h, w), in `box`. tiles: each has such a pixel."""

    box: Box
    hole: Mask = field(repr=False)
    tiles: Sequence[Tile] = field(repr=False)

    @classmethod
    def of(cls, box: Box, hole: Mask) -> "Region":
        """The region of a hole (h, w) in its box."""
        return cls(box, hole, [tile for tile in tiles(box) if hole[_inside(tile.seen, box)].any()])

    @property
    def cost(self) -> int:
        """What its tiles cost, in pixels."""
        return sum(_cost(tile.seen) for tile in self.tiles)


def regions(box: Box, hole: Mask) -> list[Region]:
    """The regions of a mark's hole (h, w) in its box; each of its pixels is in the hole of one of them.

    A box of at most a tile is one region. In a larger one, groups of pixels apart from the others are regions with CONTEXT_PIXELS around
    them, unless it costs less to restore all of it in tiles.
    """
    whole = Region.of(box, hole)
    if max(box.width, box.height) <= TILE_PIXELS:
        return [whole]
    count, labels = cv2.connectedComponents(_grown(hole))
    if not 1 < count <= MAX_CLUSTERS:
        return [whole]
    clusters = _merged(_Cluster.of(label, labels, hole, box) for label in range(1, count))
    parts = [Region.of(cluster.box, cluster.hole(labels, hole, box)) for cluster in clusters]
    return parts if sum(part.cost for part in parts) < whole.cost else [whole]


@dataclass(frozen=True)
class _Cluster:
    """Some of the connected components of a hole, and a box around them with context, in pixels of the picture."""

    labels: frozenset[int]
    box: Box

    @classmethod
    def of(cls, label: int, labels: Mask, hole: Mask, box: Box) -> "_Cluster":
        own = bounding_box((labels == label) & hole).expanded(CONTEXT_PIXELS, box.width, box.height)
        return cls(frozenset({label}), Box(own.left + box.left, own.top + box.top, own.right + box.left, own.bottom + box.top))

    def hole(self, labels: Mask, hole: Mask, box: Box) -> Mask:
        """Its own pixels, (h, w) of its box."""
        inside = _inside(self.box, box)
        own: Mask = hole[inside] & np.isin(labels[inside], list(self.labels))
        return own


def _merged(clusters: Iterable[_Cluster]) -> list[_Cluster]:
    """The clusters, with those joined that cost no more as one tile."""
    kept: list[_Cluster] = []
    for cluster in clusters:
        while partner := next((other for other in kept if _better_as_one(other.box, cluster.box)), None):
            kept.remove(partner)
            cluster = _Cluster(cluster.labels | partner.labels, hull(cluster.box, partner.box))
        kept.append(cluster)
    return kept


def _better_as_one(one: Box, other: Box) -> bool:
    both = hull(one, other)
    return max(both.width, both.height) <= TILE_PIXELS and _cost(both) <= _cost(one) + _cost(other)


def _cost(box: Box) -> int:
    return box.width * box.height + TILE_COST_PIXELS


def _grown(hole: Mask) -> Mask:
    """The hole, as bytes, with a margin of half a gap."""
    side = GAP_PIXELS + 1
    return cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8))


def _inside(box: Box, outer: Box) -> tuple[slice, slice]:
    """The box as an index into the pixels of one that holds it."""
    return slice(box.top - outer.top, box.bottom - outer.top), slice(box.left - outer.left, box.right - outer.left)
