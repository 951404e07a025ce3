"""The boundary of a mark of known level, labelled by a Markov random field so that the un-blended scene continues across it. Pure.

Every pixel is labelled as marked or bare. With the right labels the mark's outline vanishes when it is un-blended: neighbours then look
alike, whatever their labels. The labels are those with the least total cost, found by min-sum belief propagation (for its use on pictures
see Felzenszwalb and Huttenlocher, "Efficient Belief Propagation for Early Vision", International Journal of Computer Vision 70, 2006).
Where the scene has the mark's colour, both labels cost the same and the prior decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.blend import subsample
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, neighbour_slices
from service.pipeline.measure.dilation import MAX_CROPS
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE
from service.pipeline.picture.tiles import cached_rows

Offset = tuple[int, int]  # (y, x) in pixels

NEIGHBOUR_OFFSETS: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0), (2, 2), (2, -2))  # the far ones skip an outline's blur
PAIR_WEIGHT: Final = 0.75  # of the cost of two neighbours, against the cost of each pixel
MAX_PAIR_COST: Final = 4.0  # times the usual difference: beyond it a larger one costs no more, so that the scene may have edges
SCENE_SHARE: Final = 0.5  # exponent on the transmittance: how much of the usual difference is the scene's, the rest being the codec's
OUT_OF_RANGE_UNIT: Final = 0.05  # of RGB in [0, 1]: by how far outside of it an un-blended pixel costs 2
MAX_OUT_OF_RANGE_COST: Final = 8.0  # the most that it costs
ITERATIONS: Final = 60
DAMPING: Final = 0.5  # share of the old message that is kept; without it they oscillate


@dataclass(frozen=True)
class _PairCosts:
    """The cost (h, w) of two neighbours at one offset, for the four ways to label them. Smaller by the offset than the picture."""

    neither: Floats
    second: Floats
    first: Floats
    both: Floats


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Some rows of all pairs of neighbours at one offset. All arrays (h, w) are views of those of the whole picture.

    first_total, second_total: what it costs, as far as known, to label the first or second of each pair as marked rather than bare.
    onward, back: the share in it of the message from the first to the second, and from the second to the first.
    """

    costs: _PairCosts
    first_total: Floats
    second_total: Floats
    onward: Floats
    back: Floats

    def send(self) -> tuple[Floats, Floats]:
        """New messages, onward and back, damped; returns by how much they differ from those before."""
        costs, known_first, known_second = self.costs, self.first_total - self.back, self.second_total - self.onward
        return (
            _changed(self.onward, _message(known_first, costs.neither, costs.second, costs.first, costs.both)),
            _changed(self.back, _message(known_second, costs.neither, costs.first, costs.second, costs.both)),
        )

    def receive(self, onward: Floats, back: Floats) -> None:
        """Add changes of the messages to the totals."""
        second, first = self.second_total, self.first_total  # views: one array may hold both, so they change one after the other
        second += onward
        first += back


def segment_boundary(crops: Floats, level: OpacityLevel, prior: Floats) -> Mask:
    """The pixels (h, w) of a mark of this level in crops (N, 3, h, w) in [0, 1]; prior: (h, w) log odds of being marked."""
    chosen = subsample(crops, MAX_CROPS)
    scene = (chosen - level.opacity * level.colour[:, None, None]) / np.float32(1 - level.opacity)
    unblended = scene.astype(np.float32, copy=False)
    excess = np.maximum(np.maximum(-unblended, unblended - 1), 0).max(1)
    range_cost = np.minimum(2 * excess / np.float32(OUT_OF_RANGE_UNIT), np.float32(MAX_OUT_OF_RANGE_COST)).mean(0)
    attenuation = (1 - level.opacity) ** SCENE_SHARE
    costs = {offset: _pair_costs(chosen, unblended, offset, attenuation) for offset in NEIGHBOUR_OFFSETS}
    labels: Mask = _min_sum((range_cost - prior).astype(np.float32), costs) < 0
    return labels


def _pair_costs(crops: Floats, unblended: Floats, offset: Offset, attenuation: float) -> _PairCosts:
    """The costs of all pairs of neighbours (N, 3, h, w) at an offset.

    attenuation: the factor by which a mark weakens the differences between neighbours. Without it the cheapest label would always be bare.
    """
    here, there = neighbour_slices(crops.shape[2:], offset)
    totals = [np.zeros(crops[0, 0][here].shape, np.float32) for _ in range(4)]
    for bare, marked in zip(crops, unblended, strict=True):  # one by one: less memory to go through
        bare_first, bare_second, marked_first, marked_second = (each[(..., *place)] for each in (bare, marked) for place in (here, there))
        neither, both = _difference(bare_first, bare_second), _difference(marked_first, marked_second)
        both *= np.float32(attenuation)
        usual = DIFFERENCE_CODEC_NOISE + np.median(neither)
        differences = neither, _difference(bare_first, marked_second), _difference(marked_first, bare_second), both
        for total, difference in zip(totals, differences, strict=True):
            difference /= usual
            total += np.minimum(difference, np.float32(MAX_PAIR_COST), out=difference)
    for total in totals:
        total /= np.float32(len(crops))
        total *= np.float32(PAIR_WEIGHT)
    return _PairCosts(*totals)


def _difference(one: Floats, other: Floats) -> Floats:
    """The mean absolute difference (h, w) of two pictures (3, h, w)."""
    red, green, blue = (np.asarray(cv2.absdiff(a, b), np.float32) for a, b in zip(one, other, strict=True))
    red += green
    red += blue
    red /= np.float32(3)
    return red


def _pieces(total: Floats, offset: Offset, costs: _PairCosts) -> list[_Pairs]:
    """All pairs at an offset, in pieces that fit into the cache. total: (h, w), of all pixels."""
    here, there = neighbour_slices(total.shape, offset)
    arrays = (
        costs.neither,
        costs.second,
        costs.first,
        costs.both,
        total[here],
        total[there],
        *np.zeros((2, *costs.both.shape), np.float32),
    )
    height, width = costs.both.shape
    pieces = ([values[rows] for values in arrays] for rows in cached_rows(height, width, least=abs(offset[0])))
    return [_Pairs(_PairCosts(*own[:4]), *own[4:]) for own in pieces]


def _min_sum(own_cost: Floats, costs: dict[Offset, _PairCosts]) -> Floats:
    """(h, w): how much more it costs to label a pixel as marked than as bare, its own cost and that of its neighbours together."""
    total = own_cost.copy()
    pieces = [_pieces(total, offset, cost) for offset, cost in costs.items()]
    for _ in range(ITERATIONS):
        for rows in pieces:
            _exchange(rows)
    return total


def _exchange(pieces: Sequence[_Pairs]) -> None:
    """All pairs at one offset tell each other what they know.

    A piece changes the totals of its last neighbours, which the next piece reads too. So its changes wait until that one has read them.
    """
    waiting: tuple[_Pairs, Floats, Floats] | None = None
    for pairs in pieces:
        changes = pairs.send()
        if waiting:
            waiting[0].receive(*waiting[1:])
        waiting = pairs, *changes
    if waiting:
        waiting[0].receive(*waiting[1:])


def _message(known: Floats, neither: Floats, own: Floats, other: Floats, both: Floats) -> Floats:
    """What marking a pixel costs more than leaving it bare, by the cheaper label of its neighbour; overwrites `known`, that one's total.

    own: the cost if only this pixel is marked. other: if only the neighbour is.
    """
    bare = other + known
    np.minimum(neither, bare, out=bare)
    known += both
    np.minimum(own, known, out=known)
    known -= bare
    return known


def _changed(message: Floats, new: Floats) -> Floats:
    """Replaces a message by the new one, damped; returns by how much it has changed, in the place of the new one."""
    new -= message
    new *= np.float32(1 - DAMPING)
    message += new
    return new
