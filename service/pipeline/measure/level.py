"""The level and the colours of a mark of known shape: the most probable ones, given the crops and what the matte network predicts. Pure.

As in `models.blend`, the fine detail of the crops follows the mark's shape only as far as the mark shows in them, which makes the factor of
its opacity and the shifts of its colours the coefficients of a linear regression. Here each colour of the mark, such as that of the letters
and that of their outline, has a shift of its own, and the prediction is the prior of a Bayesian regression (Bishop, "Pattern Recognition
and Machine Learning", 2006, section 3.3): over a scene of one shade a lower opacity with a stronger colour explains the crops as well, and
there the prediction decides. A colour cannot leave its range, and the frames of a still scene count as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from models.blend import (
    CORRELATED_PIXELS,
    DETAIL_NOISE,
    ITERATIONS,
    MAX_VALUES,
    SCALE_RANGE,
    detail_pixels,
    local_mean,
    local_scene,
    neighbourhood,
    reach,
    subsample,
)

# Errors of the matte network: 1.48 times the median of 95 held-out samples below DENSE_LEVEL, 0.21 and 0.085.
FACTOR_ERROR: Final = 0.3  # of the opacity's level, as a share
SHIFT_ERROR: Final = 0.12  # of each channel of the colour, in [0, 1]
MIN_COLOUR_DIFFERENCE: Final = 0.25  # of RGB in [0, 1], from the core's colour: such a pixel is an outline or a shadow

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """factor: of the opacity, with its standard deviation `error`. shift: (3, h, w), added to the colour."""

    factor: float
    error: float
    shift: Floats = field(repr=False)


def fit_level(crops: Floats, opacity: Floats, colour: Floats) -> Level:
    """The level and the colours with which a mark of this shape explains the crops.

    crops: (N, 3, h, w) float32 RGB in [0, 1] with the mark. opacity: (h, w) and colour: (3, h, w), both in [0, 1], as predicted; without
    a mark, where the opacity is 0 everywhere, the result is factor 1, error 1.
    """
    width = detail_pixels(opacity)
    area = neighbourhood(opacity, width)
    if area is None:
        return Level(1.0, 1.0, np.zeros_like(colour))
    shares, here = colour_shares(opacity, colour), (..., *reach(area, width))
    seen = subsample(crops[here], max(1, MAX_VALUES // area[here].size))
    factor, error, shifts = _most_probable(seen, opacity[here], colour[here], shares[here], area[here], width)
    return Level(factor, error, _spread(shifts, shares))


def _most_probable(
    crops: Floats, opacity: Floats, colour: Floats, shares: Floats, area: Floats, width: int
) -> tuple[float, float, Doubles]:
    """The factor, its standard deviation, and the shifts (K, 3) of the colours."""
    factor, error, shifts = 1.0, 1.0, np.zeros((len(shares), 3))
    near = area > 0
    crop_details = [(crop - local_mean(crop, width))[:, near] for crop in crops]
    details = np.stack([(share - local_mean(share, width))[near] for share in opacity * shares])
    for _ in range(ITERATIONS):  # each estimates the scene with the values of the one before
        shade = np.clip(colour + _spread(shifts, shares), 0, 1)
        unblended, scene = local_scene(crops, np.minimum(factor * opacity, 1).astype(np.float32), shade, width)
        normal, right_side = _evidence(crop_details, details, unblended, scene, opacity, shade, near, width)
        precision = 1 / np.square([FACTOR_ERROR, *np.full(shifts.size, SHIFT_ERROR * factor)])
        normal += np.diag(precision)
        right_side += precision * [1.0, *(-factor * shifts.ravel())]
        means = [(opacity * share * shade).sum((1, 2)) / max(float((opacity * share).sum()), 1e-6) for share in shares]
        solution = _within_range(normal, right_side, np.concatenate(means))
        factor = float(np.clip(solution[0], *SCALE_RANGE))
        shifts = np.clip(shifts + solution[1:].reshape(-1, 3) / factor, -1, 1)
        error = min(float(np.sqrt(np.linalg.inv(normal)[0, 0])), 1.0)
    return factor, error, shifts


def colour_shares(opacity: Floats, colour: Floats) -> Floats:
    """How much each of the mark's colours has of each pixel: (1, h, w) or (2, h, w), whose sum is 1 everywhere.

    The colours are split in two along the direction in which they differ most, so that most of the variance lies between the two (Otsu
    1979). A mark whose two colours are close to each other has one.
    """
    weight = opacity[opacity > 0]
    if len(weight) < 2:
        return np.ones((1, *opacity.shape), np.float32)
    pixels = colour[:, opacity > 0].astype(np.float64)
    direction = np.linalg.eigh(np.cov(pixels, aweights=weight, ddof=0))[1][:, -1]
    along = direction @ pixels
    order = np.argsort(along)[:-1]
    below = np.cumsum(weight[order], dtype=np.float64)
    sums, whole = np.cumsum((weight * pixels)[:, order], 1), (weight * pixels).sum(1, keepdims=True)
    first, second = sums / below, (whole - sums) / (weight.sum() - below)
    best = int(np.argmax(below * (weight.sum() - below) * np.square(second - first).sum(0)))
    first, second = first[:, best], second[:, best]
    if np.abs(second - first).mean() < MIN_COLOUR_DIFFERENCE:
        return np.ones((1, *opacity.shape), np.float32)
    step = (second - first) / np.square(second - first).sum()
    share = np.clip(np.tensordot(step, colour - first[:, None, None], 1), 0, 1).astype(np.float32)
    return np.stack([1 - share, share])


def _spread(shifts: Doubles, shares: Floats) -> Floats:
    """The shifts (K, 3) of the colours at each pixel: (3, h, w)."""
    return np.tensordot(shifts.T, shares, 1).astype(np.float32)


def _evidence(
    crop_details: Sequence[Floats],
    details: Floats,
    unblended: Floats,
    scene: Floats,
    opacity: Floats,
    shade: Floats,
    near: Mask,
    width: int,
) -> tuple[Doubles, Doubles]:
    """The normal equations of the regression, in units of inverse variance: of 1 + 3 K unknowns, and their right side.

    crop_details: (3, pixels) of each crop near the mark, whose pixels (h, w) are `near`; details: (K, pixels), of each colour's opacity.
    Unknowns: the factor, and the shifts of the K colours, each times the factor.
    """
    colours = len(details)
    normal, right_side = np.zeros((1 + 3 * colours, 1 + 3 * colours)), np.zeros(1 + 3 * colours)
    for detail, clean, smooth in zip(crop_details, unblended, scene, strict=True):
        effect = opacity * (shade - smooth)
        effect = (effect - local_mean(effect, width))[:, near]
        weight = 1 / (local_mean(np.square(clean - smooth).mean(0), width) + DETAIL_NOISE)[near]
        for channel in range(3):
            unknowns = [0, *range(1 + channel, 1 + 3 * colours, 3)]
            design = np.concatenate([effect[channel : channel + 1], details])
            normal[np.ix_(unknowns, unknowns)] += (design * weight) @ design.T
            right_side[unknowns] += (design * weight) @ detail[channel]
    share = _independent_frames(unblended[..., near], (unblended - scene)[..., near]) / len(crop_details)
    return normal * share / CORRELATED_PIXELS, right_side * share / CORRELATED_PIXELS


def _independent_frames(scene: Floats, detail: Floats) -> float:
    """Between 1 and N: as many frames as say something of their own, by how much of the detail (N, 3, pixels) changes over time."""
    changing, whole = (float(np.square(values).mean()) for values in (scene - scene.mean(0), detail))
    return 1 + (len(scene) - 1) * min(1.0, changing / max(whole, 1e-9))


def _within_range(normal: Doubles, right_side: Doubles, means: Doubles) -> Doubles:
    """The solution of the normal equations whose colours stay in [0, 1]: a channel that would leave the range is held at its end.

    means: of the channels of the colours, from which the shifts count.
    """
    held: dict[int, float] = {}
    while True:
        free = [number for number in range(len(right_side)) if number not in held]
        whole = np.eye(len(right_side))[:, free]  # from the free unknowns to all: a held one is a multiple of the factor
        whole[list(held), 0] = list(held.values())
        solution: Doubles = whole @ np.linalg.solve(whole.T @ normal @ whole, whole.T @ right_side)
        shifted = means + solution[1:] / max(float(solution[0]), SCALE_RANGE[0])
        outside = [number for number in free[1:] if not -1e-4 <= shifted[number - 1] <= 1 + 1e-4]
        if not outside:
            return solution
        held |= {number: float(shifted[number - 1] > 1) - float(means[number - 1]) for number in outside}
