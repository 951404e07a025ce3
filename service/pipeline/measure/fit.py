"""The one estimator of a mark's opacity and colour: hypotheses compared by one likelihood, that of the pictures' detail. Pure.

With I the picture, B the scene, a the opacity and w the colour, I = (1 - a) B + a w. The scene is not known, but its mean, its variance and
the covariance of pixels a few pixels apart are: those beside the mark. So under a hypothesis each pixel x is predicted from a neighbour y,

    I(x) = (1 - a(x)) (m + g (U(y) - m)) + a(x) w(x) + e,    U(y) = (I(y) - a(y) w(y)) / (1 - a(y)),

with the scene's mean m and the gain g of the best linear prediction; e has three independent parts: what the neighbour does not predict,
times 1 - a(x), the codec's noise, and the error that the sigma of the predicted shape stands for. Too low an opacity leaves an outline
and too little contrast inside it, too high a one a negative and too much contrast; an opaque mark has no contrast but its own. The same
likelihood thus judges the level, the colour, whether one opacity and one colour do for all of the mark, and whether it is opaque. Where
the scene is too smooth to say, the matte network's answer is the prior and decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from models.blend import OPACITY_LIMIT, mean_of_known, subsample
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import CORE_SHARE, FULL_SHARE, MarkModel, opacity_level, split_parts
from service.pipeline.measure.noise import CODEC_NOISE, MIN_OPACITY_SIGMA, SURROUNDINGS_KERNEL_PIXELS
from service.pipeline.measure.predict import Prediction
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import neighbour_slices

NEIGHBOUR_OFFSETS: Final = ((0, 3), (3, 0), (2, 2), (2, -2), (0, 6), (6, 0), (4, 4), (4, -4))  # (y, x) pixels: beyond an outline's blur
CORRELATED_PIXELS: Final = max(map(max, NEIGHBOUR_OFFSETS)) ** 2  # pixels that share their neighbours count as one
MAX_PAIRS: Final = 4000  # of pixels, chosen at random: with more, no level changes by 0.01
MAX_FRAMES: Final = 6  # crops that are used, evenly spaced
OUTLIER_SHARE: Final = 0.05  # of the pixels that follow no hypothesis: edges of the scene, ringing
LEVEL_STEP: Final = 0.05  # of the levels tried; the last one, OPACITY_LIMIT, stands for an opaque mark
COLOUR_SIGMA: Final = 0.03  # standard deviation of the error of a pixel's predicted colour, once the mean is right
LEVEL_SIGMA: Final = 0.08  # standard deviation of the error of the network's level
ITERATIONS: Final = 3  # of the colour's fit, each weighted by the errors of the one before
EDGE_PIXELS: Final = 2  # around a part: the reach of its outline


@dataclass(frozen=True)
class Shape:
    """A hypothesis but for its level. share: (h, w), of the level; colour: (3, h, w), up to a shift.

    share_sigma: (h, w), colour_sigma: standard deviations of their errors. freedom: how many independent numbers the network saw in the
    crops to tell it. Each costs one unit of log-likelihood, which is what it loses on crops that it was not fitted to (Akaike 1974).
    """

    name: str
    share: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    share_sigma: Floats = field(repr=False)
    colour_sigma: float
    freedom: float


@dataclass(frozen=True)
class Level:
    """A shape at its most likely level. opaque: posterior probability that it is opaque. level, sigma: the posterior's where it is not.

    evidence: natural log of the posterior's integral, less the shape's freedom; shift: (3,), of the colour.
    """

    shape: Shape
    opaque: float
    level: float
    sigma: float
    evidence: float
    shift: Floats


def fit_mark(crops: Floats, mask: Mask, predicted: Prediction, notes: Notes = UNNOTED) -> MarkModel:
    """The model of a mark with these pixels (h, w), in crops (N, 3, h, w) in [0, 1]; each part, such as a logo or a word, for itself."""
    model = MarkModel(mask.astype(np.float32), predicted.opacity, predicted.colour, predicted.opacity_sigma)
    if not mask.any():
        return model
    chosen, parts = subsample(crops, MAX_FRAMES), split_parts(mask)
    for number, (part, place) in enumerate(zip(parts, _places(parts), strict=True)):
        best = max(_levels(chosen, part, mask, predicted), key=lambda level: level.evidence)
        _note(notes.of_part(number), best, opacity_level(predicted.opacity, part))
        model = _with_part(model, place, best)
    return model


def _places(parts: Sequence[Mask]) -> list[Mask]:
    """The pixels (h, w) that are nearer to each part than to the others."""
    distances = [cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for part in parts]
    nearest = np.argmin(np.stack(distances), axis=0)
    return [nearest == number for number in range(len(parts))]


def _levels(crops: Floats, part: Mask, mask: Mask, predicted: Prediction) -> Iterator[Level]:
    """Every shape that the part may have, at its level."""
    level = max(opacity_level(predicted.opacity, part), LEVEL_STEP)
    core = part & (predicted.opacity > CORE_SHARE * level)
    if not core.any():
        core = part
    opaque_prior = float(np.clip(predicted.hides[core].mean(), 0.01, 0.99))
    pairs = _pairs(crops, part, mask)
    for shape in _shapes(part, core, level, predicted):
        yield _fit_level(pairs, shape, level, opaque_prior)


def _shapes(part: Mask, core: Mask, level: float, predicted: Prediction) -> Iterator[Shape]:
    """One opacity or that of each pixel, with one colour or that of each pixel."""
    near, pixels = dilate(part, EDGE_PIXELS), float(part.sum()) / CORRELATED_PIXELS
    sigma = np.where(near, np.maximum(predicted.opacity_sigma, MIN_OPACITY_SIGMA) / np.float32(level), np.float32(0))
    own_share = np.where(near, predicted.opacity / np.float32(level), np.float32(0))
    flat_share = np.clip(own_share / np.float32(FULL_SHARE), 0, 1).astype(np.float32)
    flat_colour = np.broadcast_to(np.median(predicted.colour[:, core], axis=1)[:, None, None], predicted.colour.shape)
    flat_sigma = np.where(flat_share < 1, sigma, np.float32(0))
    yield Shape("uniform", flat_share, flat_colour, flat_sigma, 0.0, 0)
    yield Shape("of one opacity", flat_share, predicted.colour, flat_sigma, COLOUR_SIGMA, 3 * pixels)
    yield Shape("of one colour", own_share, flat_colour, sigma, 0.0, pixels)
    yield Shape("textured", own_share, predicted.colour, sigma, COLOUR_SIGMA, 4 * pixels)


@dataclass(frozen=True)
class _Pairs:
    """Pixels of a part and a neighbour of each: indices into the flattened crop, and their values (N, 3, pairs).

    mean: (N, 3, pairs), of the scene around; variance, covariance: (N, 1, pairs), of the scene around, and of two such neighbours in it.
    samples: how many of the values are independent.
    """

    here: NDArray[np.intp]
    there: NDArray[np.intp]
    values: Floats
    neighbours: Floats
    mean: Floats
    variance: Floats
    covariance: Floats
    samples: float


def _pairs(crops: Floats, part: Mask, mask: Mask) -> _Pairs:
    """Pairs of pixels of which the first lies in the part (h, w). The scene's statistics are those beside the mark (h, w)."""
    bare, flat = ~dilate(mask, EDGE_PIXELS), crops.reshape(*crops.shape[:2], -1)
    means = _mean_beside(crops, bare)
    variances = _mean_beside(np.square(crops - means).mean(1), bare).reshape(len(crops), -1)
    kinds = [_pairs_at(crops, part, bare, offset) for offset in NEIGHBOUR_OFFSETS]
    here, there = (np.concatenate([kind[number] for kind in kinds]) for number in (0, 1))
    squares = np.concatenate([kind[2] for kind in kinds], axis=1)
    kept = np.random.default_rng(0).permutation(len(here))[:MAX_PAIRS]
    here, there, squares = here[kept], there[kept], squares[:, kept]
    variance = np.maximum(variances[:, here] - CODEC_NOISE**2, 0)
    covariance = np.clip(variances[:, here] - squares / 2, 0, variance).astype(np.float32)  # the codec's noise adds as much to both terms
    samples = float(part.sum()) / CORRELATED_PIXELS * _independent_frames(crops, bare)
    mean = means.reshape(flat.shape)[:, :, here]
    return _Pairs(here, there, flat[:, :, here], flat[:, :, there], mean, variance[:, None], covariance[:, None], samples)


def _pairs_at(crops: Floats, part: Mask, bare: Mask, offset: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Indices of the part's pixels and of their neighbours at an offset, either way; and the mean square difference of such bare ones."""
    one, other = neighbour_slices(part.shape, offset)
    indices = np.arange(part.size).reshape(part.shape)
    squares = np.square(crops[(..., *one)] - crops[(..., *other)]).mean(1)
    usual = _mean_beside(squares, bare[one] & bare[other])
    here = np.concatenate([indices[one][part[one]], indices[other][part[other]]])
    there = np.concatenate([indices[other][part[one]], indices[one][part[other]]])
    return here, there, np.concatenate([usual[:, part[one]], usual[:, part[other]]], axis=1)


def _mean_beside(values: Floats, bare: Mask) -> Floats:
    """The mean of values (..., h, w) over the bare pixels (h, w) around each pixel."""
    return mean_of_known(values, bare.astype(np.float32), SURROUNDINGS_KERNEL_PIXELS)


def _independent_frames(crops: Floats, bare: Mask) -> float:
    """How many of the crops show different scenes: the power of their detail over that of their mean's. 1 where nothing moves."""
    if not bare.any():
        return 1.0
    detail = crops - np.stack([cv2.blur(crop.transpose(1, 2, 0), (9, 9)).transpose(2, 0, 1) for crop in crops])
    power = float(np.square(detail[:, :, bare]).mean())
    return float(np.clip(power / max(float(np.square(detail.mean(0)[:, bare]).mean()), 1e-9), 1, len(crops)))


def _fit_level(pairs: _Pairs, shape: Shape, level: float, opaque_prior: float) -> Level:
    """The posterior of a shape's level. Its prior: opaque with that probability, else normal around the network's level."""
    tried = np.arange(LEVEL_STEP, OPACITY_LIMIT + LEVEL_STEP / 2, LEVEL_STEP)
    fits = [_fit_colour(pairs, shape, float(one)) for one in tried]
    likelihood = pairs.samples * np.array([mean for _, mean in fits])
    prior = -np.square((tried[:-1] - level) / LEVEL_SIGMA) / 2
    prior = np.append(prior - np.log(np.exp(prior).sum() + 1e-9) + np.log(1 - opaque_prior), np.log(opaque_prior))
    posterior = likelihood + prior
    top = posterior.max()
    weights = np.exp(posterior - top)
    evidence = float(top + np.log(weights.sum())) - shape.freedom
    translucent = np.exp(posterior[:-1] - posterior[:-1].max())
    mean = float(np.average(tried[:-1], weights=translucent))
    sigma = float(np.sqrt(np.average(np.square(tried[:-1] - mean), weights=translucent)))
    opaque = float(weights[-1] / weights.sum())
    return Level(shape, opaque, mean, sigma, evidence, fits[-1][0] if opaque > 0.5 else _fit_colour(pairs, shape, mean)[0])


def _fit_colour(pairs: _Pairs, shape: Shape, level: float) -> tuple[Floats, float]:
    """The shift of the colour (3,) that explains the pairs best at this level, and the mean log-likelihood of a value."""
    opacity, sigma = np.minimum(level * shape.share, OPACITY_LIMIT).ravel(), level * shape.share_sigma.ravel()
    a, b = opacity[pairs.here], opacity[pairs.there]
    colour = shape.colour.reshape(3, -1)
    seen_noise = np.square(CODEC_NOISE / (1 - b))  # variance, of the neighbour once it is un-blended
    gain = pairs.covariance / (pairs.variance + seen_noise)  # of the best linear prediction of the pixel's scene from the neighbour's
    slope = (1 - a) * gain / (1 - b)
    change = a - slope * b  # of the residual, for each unit of the colour
    expected = slope * pairs.neighbours + (1 - a) * (1 - gain) * pairs.mean
    residual = pairs.values - expected - (a * colour[:, pairs.here] - slope * b * colour[:, pairs.there])
    known_variance = np.square(1 - a) * (pairs.variance - gain * pairs.covariance) + CODEC_NOISE**2
    known_variance = known_variance + np.square(shape.colour_sigma) * (np.square(a) + np.square(slope * b))
    share_variance = np.square(sigma[pairs.here]) + np.square(slope * sigma[pairs.there])
    contrast, middle = colour[:, pairs.here] - pairs.mean, np.median(colour[:, pairs.here], axis=1)
    shift: Floats = np.zeros(3, np.float32)
    for iteration in range(ITERATIONS + 1):
        effect = np.square(contrast + shift[:, None]).mean(1, keepdims=True)
        width = np.sqrt((known_variance + effect * share_variance) / 2)  # a Laplace distribution's variance is twice its square
        left = residual - change * shift[:, None]
        error = np.abs(left) / width
        if iteration < ITERATIONS:
            robust = _inlier(error, width) / np.maximum(error, 0.3) if iteration else 1  # nearly all are outliers before the first
            weight = robust / np.square(width)
            step = (weight * change * left).sum((0, 2)) / ((weight * np.square(change)).sum((0, 2)) + 1e-6)
            shift = np.asarray(np.clip(middle + shift + step, 0, 1) - middle, np.float32)
    return shift, float(np.log(_density(error, width) + OUTLIER_SHARE).mean())


def _density(error: Floats, width: Floats) -> Floats:
    """Of the values that follow a hypothesis; error: in units of the width."""
    density: Floats = np.float32(1 - OUTLIER_SHARE) * np.exp(-error).astype(np.float32) / (2 * width)
    return density


def _inlier(error: Floats, width: Floats) -> Floats:
    """The probability that a value is none of the outliers, which are spread over [0, 1]."""
    density = _density(error, width)
    return density / (density + np.float32(OUTLIER_SHARE))


def _with_part(model: MarkModel, place: Mask, best: Level) -> MarkModel:
    """The model with the fitted opacity, colour and sigma in a part's place (h, w)."""
    level, sigma = (1.0, 0.0) if best.opaque > 0.5 else (best.level, best.sigma)
    opacity = np.minimum(level * best.shape.share, 1)
    colour = np.clip(best.shape.colour + best.shift[:, None, None], 0, 1)
    opacity_sigma = np.minimum(np.hypot(level * best.shape.share_sigma, sigma * best.shape.share), 1)
    return replace(
        model,
        opacity=np.where(place, opacity, model.opacity).astype(np.float32),
        colour=np.where(place, colour, model.colour).astype(np.float32),
        opacity_sigma=np.where(place, opacity_sigma, model.opacity_sigma).astype(np.float32),
    )


def _note(notes: Notes, best: Level, predicted_level: float) -> None:
    notes("predicted opacity level", predicted_level, None, f"the part is {best.shape.name}")
    notes(
        "probability that it is opaque", best.opaque, 0.5, "filled: it is opaque" if best.opaque > 0.5 else "un-blended: it is translucent"
    )
    notes("fitted opacity level", best.level, None, f"its sigma is {best.sigma:.3f}")
