"""Step 5 in between: where the outline of an even mark runs, if its level is known: there the scene goes on across it. Pure.

A pixel is marked or it is not. Whichever holds of two neighbours, what was behind them must go well together: with the mark taken off
where it is, its outline vanishes. So the labels are those that make all neighbours agree best, found by passing messages between them
(min-sum belief propagation; for its use on pictures see Felzenszwalb and Huttenlocher, "Efficient Belief Propagation for Early Vision",
International Journal of Computer Vision 70, 2006). Over a scene as bright as the mark nothing is learned: what was believed before holds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.blend import some_of
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, neighbour_slices

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Offset = tuple[int, int]

NEIGHBOUR_OFFSETS: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0), (2, 2), (2, -2))  # the far ones skip an outline's blur
PAIR_WEIGHT: Final = 0.75  # of two neighbours, against what is believed of each
CODEC_NOISE: Final = 0.012  # standard deviation, of the brightness in [0, 1], that a codec makes; a scene's texture comes on top
MAX_PAIR_COST: Final = 4.0  # times that: unlike is unlike, edges of the scene are not forbidden
SCENE_SHARE: Final = 0.5  # of what neighbours differ by: that much of it is the scene's, which a mark weakens, the rest the codec's
OUT_OF_RANGE_UNIT: Final = 0.05  # by which what was behind may lie outside of [0, 1]
MAX_OUT_OF_RANGE_COST: Final = 8.0  # times that, which speak against the mark
ITERATIONS: Final = 60
DAMPING: Final = 0.5  # of a message, or they swing
MAX_FRAMES: Final = 8


@dataclass(frozen=True)
class _PairCosts:
    """What it costs that neighbours at an offset are not marked (0) or marked (1): each (h, w), less where one has no neighbour."""

    bare: Floats
    second: Floats
    first: Floats
    both: Floats


def label_boundary(crops: Floats, level: OpacityLevel, belief: Floats) -> Mask:
    """The pixels (h, w) of a mark of this level in crops (N, 3, h, w) in [0, 1]. belief: (h, w), the log odds of being marked."""
    chosen = some_of(crops, MAX_FRAMES)
    unblended = (chosen - level.opacity * level.colour[:, None, None]) / np.float32(1 - level.opacity)
    behind = unblended.astype(np.float32, copy=False)
    outside = np.maximum(np.maximum(-behind, behind - 1), 0).max(1)
    against = np.minimum(2 * outside / np.float32(OUT_OF_RANGE_UNIT), np.float32(MAX_OUT_OF_RANGE_COST)).mean(0)
    costs = {offset: _pair_costs(chosen, behind, offset, (1 - level.opacity) ** SCENE_SHARE) for offset in NEIGHBOUR_OFFSETS}
    labels: Mask = _min_sum((against - belief).astype(np.float32), costs) < 0
    return labels


def _pair_costs(seen: Floats, behind: Floats, offset: Offset, weakened: float) -> _PairCosts:
    """`weakened`: what the mark leaves of the differences between neighbours; or it would always be cheaper that there is none."""
    here, there = neighbour_slices(seen.shape[2:], offset)
    one, other = seen[(..., *here)], seen[(..., *there)]
    bare = np.abs(one - other).mean(1)
    usual = CODEC_NOISE + np.median(bare, axis=(1, 2))[:, None, None]

    def cost(difference: Floats) -> Floats:
        mean: Floats = PAIR_WEIGHT * np.minimum(difference / usual, MAX_PAIR_COST).mean(0)
        return mean.astype(np.float32, copy=False)

    first, second = behind[(..., *here)], behind[(..., *there)]
    unlike = [np.abs(a - b).mean(1) for a, b in ((one, second), (first, other), (first, second))]
    return _PairCosts(cost(bare), cost(unlike[0]), cost(unlike[1]), cost(weakened * unlike[2]))


def _min_sum(own: Floats, costs: dict[Offset, _PairCosts]) -> Floats:
    """(h, w): by how much it is cheaper that a pixel is not marked, own cost and neighbours together."""
    sent = {offset: (np.zeros_like(own), np.zeros_like(own)) for offset in costs}  # to the neighbour, and from it
    total = own.copy()
    for _ in range(ITERATIONS):
        for offset, cost in costs.items():
            (here, there), (onward, back) = neighbour_slices(own.shape, offset), sent[offset]
            known, known_there = total[here] - back[here], total[there] - onward[there]
            news = (
                (onward, there, np.minimum(cost.second, cost.both + known) - np.minimum(cost.bare, cost.first + known)),
                (back, here, np.minimum(cost.first, cost.both + known_there) - np.minimum(cost.bare, cost.second + known_there)),
            )
            for message, to, new in news:
                change = (1 - DAMPING) * (new - message[to])
                message[to] += change
                total[to] += change
    return total
