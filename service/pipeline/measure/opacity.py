"""Step 5 in between: how opaque a measured mark is and of what colour, from the matte head, and whether that can be true."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import explain, mean_of_known
from models.preprocess import matte_statistics, padded
from models.spec import MATTE_MULTIPLE
from service.inference.batcher import Batcher
from service.pipeline.marks.mark_model import MarkModel, split_parts
from service.pipeline.marks.presence import fill_hole, presence_scores
from service.pipeline.picture.morphology import dilate, erode, ring
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS, MIN_ANIMATION_SIGMA

Floats = NDArray[np.float32]

UNBLENDED_NOISE = 1e-3  # mean square by which H.264 alone makes un-blended pixels differ
MAX_RESIDUAL_RATIO = 12.0  # times as far from the fill as the scene around is, in squares: not the scene
MAX_RESIDUAL_RATIO_BESIDE_OPAQUE = 5.0  # the same beside a part that hides the scene, where nothing else tells: opaque words have 1.9 to 8
SURE_PROBABILITY = 0.6  # probability at native size above which a pixel is surely mark
MAX_LEVEL_CORRECTION = 2.0  # the matte's level is corrected by this factor at most
MAX_COMPLETION_ROUNDS = 3  # each completes what the one before saw
FITTED_SIGMA_SHARE = 0.5  # of the head's doubt is left once the level is explained: with all of it faint marks are filled too much
DENSE_LEVEL = 0.6  # above it a mark is levelled by its area, below it by its outline
NEARLY_OPAQUE_LEVEL = 0.85  # above it a mark whose area asks for a level lower than this share of its own is taken for an opaque one
SURELY_OPAQUE_LEVEL = (
    0.93  # level for which its area asks: opaque subtitles have 0.95 to 1.16, marks of opacity 0.71 to 0.77 from 0.63 to 0.87
)
ANIMATION_REACH_PIXELS = 10  # beyond a mark's outline that are filled too: it may be there at times
RING_KERNEL_PIXELS = 31  # side of the square around a pixel that tells how far a fill of the place errs, and whether the mark is there
RING_PRIOR_SHARE = 0.02  # share of the square below which all surroundings tell
RING_KERNEL = (RING_KERNEL_PIXELS, RING_KERNEL_PIXELS)
MIN_LOCAL_PRESENCE = 0.5  # of what the mark does to that square: with less, this part of it is not in the frame
MIN_FRAMES = 8  # frames that tell whether a mark changes
FILL_NOISE_FACTOR = 4.0  # times a fill's error: what changes by less is the scene
MAX_OPAQUE_TRANSMITTANCE = (
    0.19  # share of the changes that shows through: opaque logos have 0.02 to 0.18, marks of opacity 0.75 from 0.26 on
)
STRENGTH_WEIGHT = 0.4  # of their strength, which a fill makes too small, beside what it knows of them
CODEC_NOISE = 0.008  # of the brightness in [0, 1]: by that much an opaque mark changes too
MIN_SCENE_STD = 0.015  # standard deviation over time, of the brightness in [0, 1]: a stiller scene tells nothing
SIMILAR_LEVEL_SHARE = 0.6  # of the head's level for a part that hides the scene: then another part of the mark does so as well
MIN_CORE_PIXELS = 30  # without its rim, which shows the scene beside the mark
OPAQUE_LEVEL = 0.9  # above it next to nothing of the scene is left to tell the level by


def predict_matte(marked_crops: Floats, probability: Floats, bare_crops: Floats, network: Batcher) -> tuple[Floats, Floats, Floats]:
    """Opacity (h, w), colour (3, h, w) and doubt (h, w) from crops (N, 3, h, w) with the mark and (M, 3, h, w) without."""
    height, width = probability.shape
    statistics = padded(matte_statistics(marked_crops, probability, bare_crops), MATTE_MULTIPLE)
    (answer,) = network.run([{"statistics": statistics}])
    opacity, colour, opacity_sigma = (answer[name][:, :height, :width] for name in ("opacity", "colour", "doubt"))
    return opacity[0], colour, opacity_sigma[0]


def complete_mask(marked_crops: Floats, probability: Floats, bare_crops: Floats, network: Batcher) -> tuple[Floats, MarkModel]:
    """The probability with what the segmenter overlooked, and the look of it all (its mask is that probability).

    What the head is surer of than not counts as seen in its next look, so that a word is completed letter by letter.
    """
    for _ in range(MAX_COMPLETION_ROUNDS):
        model = MarkModel(probability, *predict_matte(marked_crops, probability, bare_crops, network))
        sure = probability > SURE_PROBABILITY
        if not sure.any():
            break
        level = max(float(np.percentile(model.opacity[sure], 80)), 1e-3)
        believed = np.clip(model.opacity / level, 0, 1) * np.clip(2 - 2.5 * model.opacity_sigma / np.maximum(model.opacity, 1e-3), 0, 1)
        seen = np.maximum(probability, believed).astype(np.float32)
        if ((seen > SURE_PROBABILITY) == sure).all():  # the next look would see the same
            break
        probability = seen
    return probability, model


def fit_opacity(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The look at the level that explains the crops (N, 3, h, w), each part of the mark, such as its logo and its word, at its own.

    Of a part that nothing tells about, as before a scene at rest, less is believed beside one that hides the scene.
    """
    pieces = [replace(model, mask=piece.astype(np.float32)) for piece in split_parts(model.mask > 0.5)]
    hide, untold = _find_opaque(marked_crops, model, pieces)
    found = [_fit_part(marked_crops, piece, hides) for piece, hides in zip(pieces, hide, strict=True)]
    if any(one.opacity.min() >= 1 for one in found):
        found = [
            _as_opaque(one) if no and residual_ratio(marked_crops, one) > MAX_RESIDUAL_RATIO_BESIDE_OPAQUE else one
            for one, no in zip(found, untold, strict=True)
        ]
    away = [cv2.distanceTransform((piece.mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for piece in pieces]
    nearest = np.argmin(np.stack(away), axis=0)
    opacity, colour, opacity_sigma = (
        np.select([nearest == number for number in range(len(found))], [getattr(one, name) for one in found])
        for name in ("opacity", "colour", "opacity_sigma")
    )
    return MarkModel(model.mask, opacity, colour, opacity_sigma)


def _find_opaque(marked_crops: Floats, model: MarkModel, pieces: Sequence[MarkModel]) -> tuple[list[bool], list[bool]]:
    """Which parts hide the scene: those that show nothing of its changes, and those that the head takes for about as opaque.

    And of which nothing is known, as the scene hardly changes. In a single picture nothing is; there all parts count as opaque if one is
    dense: a fill is the lesser evil.
    """
    levels = [_opacity_level(piece) for piece in pieces]
    if max(levels) < DENSE_LEVEL or len(marked_crops) == 1:
        return [max(levels) > DENSE_LEVEL for _ in levels], [False for _ in levels]
    fills = np.stack([fill_hole(crop, model.mask > 0.5) for crop in marked_crops])
    shares = [transmittance(marked_crops, fills, piece.mask > 0.5) for piece in pieces]
    hiding = [
        level > DENSE_LEVEL and share is not None and share < MAX_OPAQUE_TRANSMITTANCE for level, share in zip(levels, shares, strict=True)
    ]
    least = min((level for level, hides in zip(levels, hiding, strict=True) if hides), default=np.inf)
    return [level > SIMILAR_LEVEL_SHARE * least for level in levels], [share is None for share in shares]


def transmittance(marked_crops: Floats, fills: Floats, mask: NDArray[np.bool_]) -> float | None:
    """How much of the scene's changes over time shows through the mask's pixels, as a share; None where the scene hardly changes.

    inside: crops (N, 3, h, w); fills: the same, the mark's place filled. The larger of two shares: of what the fill knows of the changes,
    which is too little where it knows little of them, and of their strength, less what a codec alone makes.
    """
    core = erode(mask, 1)
    core = core if core.sum() >= MIN_CORE_PIXELS else mask
    seen, around = ((values - values.mean(0))[:, :, core] for values in (marked_crops, fills))
    power = float(np.square(around).mean())
    if power < MIN_SCENE_STD**2:
        return None
    strength = max(0.0, float(np.square(seen).mean()) - CODEC_NOISE**2) / power
    return max(float((seen * around).mean()) / power, STRENGTH_WEIGHT * float(np.sqrt(strength)))


def _opacity_level(model: MarkModel) -> float:
    return float(np.percentile(model.opacity[model.mask > 0.5], 90))


def _fit_part(marked_crops: Floats, model: MarkModel, hides: bool) -> MarkModel:
    """The look at the level that explains the crops; opaque where it hides the scene, or where that cannot be believed: better filled."""
    if not hides and residual_ratio(marked_crops, explained := fit_level(marked_crops, model)) < MAX_RESIDUAL_RATIO:
        return explained
    return _as_opaque(model)


def _as_opaque(model: MarkModel) -> MarkModel:
    """The look of a mark that nothing shines through."""
    return replace(model, opacity=np.ones_like(model.opacity))


def fit_level(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The opacity by the factor, and the colour by the shift, that explain the crops: the matte knows a mark's shape, not its level."""
    level = _opacity_level(model)
    if level > OPAQUE_LEVEL:
        return _as_opaque(model)
    if level > DENSE_LEVEL:
        return _fit_level_by_area(marked_crops, model, level)
    blend = explain(marked_crops, model.opacity * model.mask, model.colour)
    if not 1 / MAX_LEVEL_CORRECTION <= blend.scale <= MAX_LEVEL_CORRECTION:
        return model
    opacity = np.minimum(model.opacity * np.float32(blend.scale), np.float32(1))
    colour = np.clip(model.colour + blend.shift[:, None, None], 0, 1).astype(np.float32)
    opacity_sigma = np.minimum(np.hypot(FITTED_SIGMA_SHARE * blend.scale * model.opacity_sigma, blend.error * opacity), 1).astype(
        np.float32
    )
    return MarkModel(model.mask, opacity, colour, opacity_sigma)


def _fit_level_by_area(marked_crops: Floats, model: MarkModel, level: float) -> MarkModel:
    """The opacity by the factor with which the whole of the mark, not its outline, explains the crops against a fill of its place.

    Under a dense mark little of the scene is left to compare its outline with, and dense marks are often animated: an outline that turns
    goes with no one shape, and would make the level too low.
    """
    found = float(np.median(presence_scores(marked_crops, model)))
    if level * found > SURELY_OPAQUE_LEVEL:
        return _as_opaque(model)
    if (
        level > NEARLY_OPAQUE_LEVEL > found
    ):  # a logo of several colours on a still scene: un-blending what hides all leaves it in the picture
        return _as_opaque(model)
    if not 1 / MAX_LEVEL_CORRECTION <= found <= MAX_LEVEL_CORRECTION:
        return model
    return replace(model, opacity=np.minimum(model.opacity * np.float32(found), np.float32(1)))


def add_animation_sigma(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The look with more doubt where the mark changes from frame to frame, and beside these pixels, which it covers at times.

    Beyond the mask nothing else is doubted as much as MIN_ANIMATION_SIGMA.
    """
    found = opacity_variation(marked_crops, model)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ANIMATION_PIXELS + 1, 2 * ANIMATION_PIXELS + 1))
    swing = cv2.dilate(np.where(found > MIN_ANIMATION_SIGMA, found, np.float32(0)), reach)
    within, beyond = np.hypot(model.opacity_sigma, found), np.maximum(swing, np.minimum(model.opacity_sigma, 0.9 * MIN_ANIMATION_SIGMA))
    opacity_sigma = np.minimum(np.where(model.mask > 0, within, beyond), 1)
    return replace(model, opacity_sigma=opacity_sigma.astype(np.float32, copy=False))


def opacity_variation(marked_crops: Floats, model: MarkModel) -> Floats:
    """By how much (h, w) the opacity differs from frame to frame, as that of an animated mark does at its outline: a standard deviation.

    The median of what is seen at several times: a scene that crosses the mark once is no animation. Of few crops nothing is told.
    """
    if len(marked_crops) < 2 * MIN_FRAMES:
        return np.zeros_like(model.mask)
    seen = [_variation_over(times, model) for times in np.array_split(marked_crops, len(marked_crops) // MIN_FRAMES)]
    result: Floats = np.quantile(np.stack(seen), 0.5, axis=0, method="lower")
    return result


def _variation_over(marked_crops: Floats, model: MarkModel) -> Floats:
    """In each frame the opacity that explains it, the scene being a fill of the mark's place, differs from that of the look.

    Of the variance of that difference only what a fill's own error cannot make counts. That error is known from the un-blended pixels all
    around, of which most do not change.
    """
    wide = dilate(model.mask > 0, ANIMATION_REACH_PIXELS)
    opacity = np.minimum(model.opacity * model.mask, np.float32(0.96))
    known = np.square(1 - opacity) * wide
    weights, total, squares, noise = np.zeros((4, *model.mask.shape), np.float32)
    for crop in marked_crops:
        fill = fill_hole(crop, wide)
        effect = model.colour - fill
        power = np.square(effect).sum(0) + UNBLENDED_NOISE
        left = crop - fill - opacity * effect
        offset = cv2.GaussianBlur((left * effect).sum(0) / power, (3, 3), 0)
        error = np.sqrt(np.square(left).sum(0)) / (1 - opacity)
        rough = (
            mean_of_known(np.sqrt(error), known, RING_KERNEL_PIXELS, RING_PRIOR_SHARE) ** 4
        )  # of roots: the few that do change hardly count
        here, usual = (
            cv2.blur(((crop - fill) * opacity * effect).sum(0), RING_KERNEL),
            cv2.blur(np.square(opacity * effect).sum(0), RING_KERNEL),
        )
        there = here > MIN_LOCAL_PRESENCE * usual
        weights, total, squares = weights + there * power, total + there * power * offset, squares + there * power * np.square(offset)
        noise = noise + there * (np.square(1 - opacity) * rough + UNBLENDED_NOISE)
    weights = np.maximum(weights, np.float32(1e-6))
    variance = squares / weights - np.square(total / weights) - FILL_NOISE_FACTOR * noise / weights
    result: Floats = np.sqrt(np.maximum(variance, 0))
    return result


def residual_ratio(marked_crops: Iterable[Floats], model: MarkModel) -> float:
    """How unlike the scene around what un-blending with this opacity and colour gives is: about 1 where it goes on as it is.

    How far the un-blended pixels are from a fill of the mark's place, in squares, over how far the scene beside the mark is, and noise.
    """
    mask = model.mask > 0
    wide, beside_mark = dilate(mask, 8), ring(mask, 3, 10)
    a = np.minimum(model.opacity, np.float32(0.96))
    ratios = []
    for crop in marked_crops:
        fill = fill_hole(crop, wide)
        unblended = np.clip((crop - a * model.colour) / (1 - a), 0, 1)
        beside = float(np.square(crop - fill).mean(0)[beside_mark].mean()) if beside_mark.any() else 0.0
        ratios.append(float(np.square(unblended - fill).mean(0)[model.mask > 0].mean()) / (beside + UNBLENDED_NOISE))
    return float(np.median(ratios))
