"""Find what moves unlike the scene around it, and look at it as if it stood.

In a single picture the segmenter misses a faint mark over a busy scene (on a half-transparent word its probability is 0.00), and over
several pictures it knows a mark by its standing still. So pictures are moved along with what moves by itself. There a mark stands, the
scene passes, and the segmenter sees it as it sees any other (0.9 on the same word).

What moves by itself is found without the segmenter. Each picture is compared with the one before, moved along with the scene of each place:
the scene cancels out, and what moves otherwise is left, in each pair of pictures at another place.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats
from models.references import summit
from service.inference.batcher import Batcher
from service.pipeline.locate.segment import mark_probability
from service.pipeline.marks.agreement import DETAIL_NOISE, DETAIL_PIXELS, evidence_of
from service.pipeline.marks.gather import to_float
from service.pipeline.marks.registration import fine_detail, moved
from service.pipeline.picture.view import View, crop_padded
from service.pipeline.placement import Box, Kind

TILE_PIXELS = 48, 96  # height and width at analysis size, about those of a word: in a larger tile it is lost among the scene
LOOKS = 2  # at what moves most evidently by itself: marks that single pictures miss come first in 4 of 6 glances, else not among six
APART_PIXELS = DETAIL_PIXELS // 4  # motions nearer to each other are one: so wide is a correlation's peak, on either side

Motion = tuple[float, float]  # (dy, dx) in pixels, from one picture to the next


@dataclass(frozen=True)
class OwnMotion:
    """A tile in the second of some pictures whose contents move by themselves. evidence: in nats, beyond what chance reaches."""

    tile: Box
    motion: Motion
    evidence: float


@dataclass(frozen=True, eq=False)
class Standing:
    """A look at some pictures along a motion: what moves so stands in it.

    box: in the last picture. probability: (T, h, w), that a pixel belongs to a mark, of each picture where the last one shows it.
    """

    box: Box
    motion: Motion
    probability: Floats = field(repr=False)


def looks_along(pictures: Sequence[Bytes], reach: int, network: Batcher, classes: frozenset[Kind]) -> list[Standing]:
    """Looks at what moves by itself most evidently.

    pictures: (h, w, 3), evenly apart in time. reach: the most pixels that a mark moves from one to the next. network: the segmenter.
    """
    steps, looks = len(pictures) - 1, []
    for one in _most_evident(own_motions(pictures, reach), LOOKS):
        (dy, dx), box = one.motion, _window(one, steps - 1, pictures[-1].shape)
        if box is not None:
            parts = [_at(picture, box, ((index - steps) * dy, (index - steps) * dx)) for index, picture in enumerate(pictures)]
            looks.append(Standing(box, one.motion, mark_probability(np.stack(parts), network, classes)))
    return looks


def _window(one: OwnMotion, steps: int, size: tuple[int, ...]) -> Box | None:
    """The tile so many steps later, with room for what reaches beyond it; None if it has left the picture."""
    down, right = (round(steps * value) for value in one.motion)
    return View.of(one.tile).moved(down, right).grown(TILE_PIXELS[0]).inner(size[1], size[0])


def _at(picture: Bytes, box: Box, offset: Motion) -> Floats:
    """(3, h, w) in [0, 1]: what a picture shows in a box moved by an offset. Beyond the picture its edge goes on."""
    (down, up), (right, left) = (divmod(value, 1) for value in offset)
    top, beside = box.top + int(down) - 1, box.left + int(right) - 1
    around = crop_padded(picture.transpose(2, 0, 1), top, beside, box.height + 3, box.width + 3, repeat_edge=True)
    return moved(to_float(around), up, left, cv2.INTER_LINEAR)[:, 1:-2, 1:-2]


def own_motions(pictures: Sequence[Bytes], reach: int) -> list[OwnMotion]:
    """What moves unlike the scene around it in the same way from each picture (h, w, 3) to the next, the most evident first."""
    if all(np.array_equal(one, pictures[0]) for one in pictures[1:]):
        return []
    details = [fine_detail(to_float(picture.transpose(2, 0, 1)), DETAIL_PIXELS).mean(0) for picture in pictures]
    scenes = [_scene_motion(before, after, reach) for before, after in pairwise(details)]
    rests = [_rest(*pair, scene) for pair, scene in zip(pairwise(details), scenes, strict=True)]
    scene, chance, found = np.mean(scenes, axis=0), 2 * math.log(2 * reach + 1), []
    places, tiles = zip(*_tiles(details[0].shape, overlapping=True), strict=True)
    evidences = zip(*(_evidence(before, after, tiles, reach) for before, after in pairwise(rests)), strict=True)
    for (row, column), tile, of_pairs in zip(places, tiles, evidences, strict=True):
        evidence = np.sum(of_pairs, axis=0) - chance
        y, x = (round(float(value)) + reach for value in scene[row // 2, column // 2])
        evidence[max(0, y - APART_PIXELS) : max(0, y + APART_PIXELS + 1), max(0, x - APART_PIXELS) : max(0, x + APART_PIXELS + 1)] = 0
        place = _peak(evidence)
        if evidence[place] > 0:
            dy, dx = summit(evidence, *place)
            found.append(OwnMotion(tile, (place[0] - reach + dy, place[1] - reach + dx), float(evidence[place])))
    return sorted(found, key=lambda one: -one.evidence)


def _most_evident(motions: Sequence[OwnMotion], count: int) -> list[OwnMotion]:
    """The first of them that differ from each other in motion or in place."""
    kept: list[OwnMotion] = []
    for one in motions:
        if len(kept) < count and not any(_alike(one, other) for other in kept):
            kept.append(one)
    return kept


def _alike(one: OwnMotion, other: OwnMotion) -> bool:
    near = abs(one.tile.top - other.tile.top) <= TILE_PIXELS[0] and abs(one.tile.left - other.tile.left) <= TILE_PIXELS[1]
    return near and float(np.abs(np.subtract(one.motion, other.motion)).max()) <= APART_PIXELS


def _scene_motion(before: Floats, after: Floats, reach: int) -> NDArray[np.float64]:
    """(rows, columns, 2): how each tile of a detail (h, w) and those around it moved to the next detail, as (dy, dx)."""
    places, tiles = zip(*_tiles(before.shape, overlapping=False), strict=True)
    rows, columns = (1 + max(numbers) for numbers in zip(*places, strict=True))
    evidence = np.stack(list(_evidence(before, after, tiles, reach))).reshape(rows, columns, 2 * reach + 1, -1)
    motion = np.zeros((rows, columns, 2))
    for row, column in np.ndindex(rows, columns):
        whole = evidence[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum((0, 1))
        place = _peak(whole)
        motion[row, column] = np.add(place, summit(whole, *place)) - reach
    return motion


def _rest(before: Floats, after: Floats, motion: NDArray[np.float64]) -> Floats:
    """What is left of a detail (h, w) without the one before it, moved along with the scene; 0 where that lies beyond the edge."""
    height, width = after.shape
    everywhere = cv2.resize(motion.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[:height, :width].astype(np.float32) - everywhere.transpose(2, 0, 1)
    rest = after - np.asarray(cv2.remap(before, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)
    edge = DETAIL_PIXELS // 2  # so near to it the detail is not the same as in the middle
    inside = (y >= edge) & (x >= edge) & (y <= height - 1 - edge) & (x <= width - 1 - edge)
    return np.where(inside, rest, np.float32(0))


def _tiles(size: tuple[int, ...], overlapping: bool) -> Iterator[tuple[tuple[int, int], Box]]:
    """The tiles of a picture of this size, by row and column; overlapping ones lie half a tile apart."""
    steps = 2 if overlapping else 1
    counts = [max(1, round(side / tile)) for side, tile in zip(size, TILE_PIXELS, strict=True)]
    ys, xs = (np.linspace(0, side, steps * count + 1).astype(int).tolist() for side, count in zip(size, counts, strict=True))
    for row, (top, bottom) in enumerate(zip(ys, ys[steps:], strict=False)):
        for column, (left, right) in enumerate(zip(xs, xs[steps:], strict=False)):
            yield (row, column), Box(left, top, right, bottom)


def _evidence(before: Floats, after: Floats, tiles: Iterable[Box], reach: int) -> Iterator[NDArray[np.float64]]:
    """Yields for each tile (2 reach + 1, 2 reach + 1): how much it says, at each shift to the next detail (h, w), that it moved so."""
    wide = cv2.copyMakeBorder(after, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    sums, shifts = np.asarray(cv2.integral(np.square(wide), sdepth=cv2.CV_64F), np.float64), 2 * reach + 1

    def sums_from(top: int, left: int) -> NDArray[np.float64]:
        """The sums of squares above and left of a corner of the tile, at each shift."""
        return sums[top : top + shifts, left : left + shifts]

    for tile in tiles:
        known, pixels = before[tile.slices], tile.height * tile.width
        around = wide[tile.top : tile.bottom + 2 * reach, tile.left : tile.right + 2 * reach]
        product = np.asarray(cv2.matchTemplate(around, known, cv2.TM_CCORR), np.float64)
        power = sums_from(tile.bottom, tile.right) - sums_from(tile.top, tile.right)
        power += sums_from(tile.top, tile.left) - sums_from(tile.bottom, tile.left)
        np.maximum(power, 0, out=power)
        yield evidence_of(product, float(np.square(known).sum()), power, DETAIL_NOISE * pixels, pixels)


def _peak(values: NDArray[np.float64]) -> tuple[int, int]:
    """The highest of the values (h, w) that have others on all sides."""
    inner = values[1:-1, 1:-1]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return 1 + int(row), 1 + int(column)
