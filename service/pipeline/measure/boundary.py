"""The boundary of a mark of known level, labelled by a Markov random field so that the un-blended scene continues across it. Pure.

Every pixel is labelled as marked or bare. With the right labels the mark's outline vanishes when it is un-blended: neighbours then look
alike, whatever their labels. The labels are those with the least total cost, found by min-sum belief propagation (for its use on pictures
see Felzenszwalb and Huttenlocher, "Efficient Belief Propagation for Early Vision", International Journal of Computer Vision 70, 2006).
Where the scene has the mark's colour, both labels cost the same and the prior decides.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.arrays import Floats, Mask
from models.blend import subsample
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, neighbour_slices
from service.pipeline.measure.dilation import MAX_CROPS
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE

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
    bare_first, bare_second = crops[(..., *here)], crops[(..., *there)]
    marked_first, marked_second = unblended[(..., *here)], unblended[(..., *there)]
    bare_difference = np.abs(bare_first - bare_second).mean(1)
    usual = DIFFERENCE_CODEC_NOISE + np.median(bare_difference, axis=(1, 2))[:, None, None]

    def cost(difference: Floats) -> Floats:
        mean: Floats = PAIR_WEIGHT * np.minimum(difference / usual, MAX_PAIR_COST).mean(0)
        return mean.astype(np.float32, copy=False)

    return _PairCosts(
        neither=cost(bare_difference),
        second=cost(np.abs(bare_first - marked_second).mean(1)),
        first=cost(np.abs(marked_first - bare_second).mean(1)),
        both=cost(attenuation * np.abs(marked_first - marked_second).mean(1)),
    )


def _min_sum(own_cost: Floats, costs: dict[Offset, _PairCosts]) -> Floats:
    """(h, w): how much more it costs to label a pixel as marked than as bare, its own cost and that of its neighbours together."""
    messages = {offset: (np.zeros_like(own_cost), np.zeros_like(own_cost)) for offset in costs}  # to the neighbour, and from it
    total = own_cost.copy()
    for _ in range(ITERATIONS):
        for offset, cost in costs.items():
            (here, there), (onward, back) = neighbour_slices(own_cost.shape, offset), messages[offset]
            known_here, known_there = total[here] - back[here], total[there] - onward[there]
            new_onward = np.minimum(cost.second, cost.both + known_here) - np.minimum(cost.neither, cost.first + known_here)
            new_back = np.minimum(cost.first, cost.both + known_there) - np.minimum(cost.neither, cost.second + known_there)
            for message, place, new in ((onward, there, new_onward), (back, here, new_back)):
                change = (1 - DAMPING) * (new - message[place])
                message[place] += change
                total[place] += change
    return total
