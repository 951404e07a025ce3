"""How opaque a mark is and of what colour: the matte network's prediction, corrected to the level that explains the crops."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.blend import SCALE_RANGE, mean_of_known
from models.preprocess import MATTE_SIDE_PIXELS, matte_statistics, padded
from models.spec import MATTE_MULTIPLE
from service.inference.batcher import Batcher
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import is_single_frame
from service.pipeline.marks.mark_model import MarkModel, Matte, PredictedMark, opacity_level, split_parts
from service.pipeline.marks.presence import fill_hole, presence_scores
from service.pipeline.measure.hiding import Scenes, hiding_probability, is_sure, predicted_hiding
from service.pipeline.measure.level import colour_shares, fit_level
from service.pipeline.measure.noise import SURROUNDINGS_KERNEL_PIXELS, UNBLENDED_NOISE
from service.pipeline.measure.opaque import DENSE_LEVEL
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.tiles import Area, in_tiles
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS, MIN_ANIMATION_SIGMA

MIN_PROBABILITY = 0.3  # probability at native size above which a pixel may belong to the mark
SURE_PROBABILITY = 0.6  # above which it surely does
EVEN = 0.5  # probability at which the matte network cannot tell: whether a pixel belongs to the mark, whether a part hides the scene
MAX_COMPLETION_ROUNDS = 3  # passes of the matte network, each of which completes what the one before saw
FITTED_SIGMA_SHARE = 0.5  # of the predicted sigma remains once the level is fitted; with all of it faint marks are filled too much
MIN_FRAMES = 8  # crops that are needed to see whether a mark changes
ANIMATION_REACH_PIXELS = 10  # around the mask, filled as well: an animated outline may be there at times
MIN_LOCAL_PRESENCE = 0.5  # of the mark's effect in that square: with less, this part of it is not in the frame
FILL_NOISE_FACTOR = 4.0  # times a fill's variance: a smaller variance is the scene's


@dataclass(frozen=True, eq=False)
class OpacityFit:
    """The fitted model, and the pixels (h, w) of the parts that were found to be opaque."""

    model: MarkModel
    opaque: Mask = field(repr=False)

    def in_its_colours(self) -> "OpacityFit":
        """The fit with its translucent parts in one colour each, that of all of their pixels, where they have only one."""
        model = self.model
        for part in split_parts(model.pixels):
            ink = model.opacity * part
            if ink.any() and not self.opaque[part].any() and len(colour_shares(ink, model.colour)) == 1:
                colour = (ink * model.colour).sum((1, 2)) / ink.sum()
                model = replace(model, colour=np.where(part, colour[:, None, None], model.colour).astype(np.float32))
        return replace(self, model=model)


@dataclass(frozen=True, eq=False)
class _PartFit:
    """The fitted model of one part, and whether that part is opaque; then its opacity is 1 in all of its pixels."""

    model: MarkModel
    opaque: bool


def predict_matte(marked_crops: Floats, probability: Floats, bare_crops: Floats, network: Batcher) -> Matte:
    """What the matte network says of the place.

    marked_crops: (N, 3, h, w) in [0, 1]; bare_crops: (M, 3, h, w), the same place without the mark; probability: (h, w) of being mark.
    """

    def predicted(area: Area) -> Floats:
        marked, here, bare = (values[(..., *area)] for values in (marked_crops, probability, bare_crops))
        (answer,) = network.run([{"statistics": padded(matte_statistics(marked, here, bare), MATTE_MULTIPLE)}])
        height, width = here.shape
        return np.concatenate([answer[name][:, :height, :width] for name in ("opacity", "colour", "doubt", "belongs", "hides")])

    opacity, *colour, opacity_sigma, belongs, hides = in_tiles(predicted, probability.shape[0], probability.shape[1], MATTE_SIDE_PIXELS)
    return Matte(opacity, np.stack(colour), opacity_sigma, belongs, hides)


def complete_mask(
    marked_crops: Floats, probability: Floats, bare_crops: Floats, network: Batcher, first: Matte | None = None
) -> PredictedMark:
    """The predicted mark, with the pixels that the segmenter missed; without any, where that is nowhere sure.

    A pixel is of the mark if either network is: the matte head sees shadows, the segmenter thin strokes. Pixels that the matte network is
    certain of count as seen in its next pass, so that a word is completed letter by letter. probability: (h, w), by the segmenter. first:
    what the matte network predicts in its first pass, where that is known.
    """
    for _ in range(MAX_COMPLETION_ROUNDS):
        matte = first or predict_matte(marked_crops, probability, bare_crops, network)
        first = None
        sure = probability > SURE_PROBABILITY
        if not sure.any():
            return matte.of(sure)
        level = max(opacity_level(matte.opacity, sure), 1e-3)
        certainty = np.clip(2 - 2.5 * matte.opacity_sigma / np.maximum(matte.opacity, 1e-3), 0, 1)
        seen = np.maximum(probability, np.clip(matte.opacity / level, 0, 1) * certainty).astype(np.float32)
        if ((seen > SURE_PROBABILITY) == sure).all():  # the next pass would see the same
            break
        probability = seen
    return matte.of((matte.belongs > EVEN) | (probability > SURE_PROBABILITY))


def add_opaque_pixels(model: MarkModel, pixels: Mask) -> MarkModel:
    """The model with these pixels (h, w) added, as opaque."""
    mask, opacity = np.maximum(model.mask, pixels), np.where(pixels, np.float32(1), model.opacity)
    return replace(model, mask=mask.astype(np.float32), opacity=opacity)


def fit_opacity(marked_crops: Floats, predicted: PredictedMark, notes: Notes = UNNOTED) -> OpacityFit:
    """The model at the level that explains the crops (N, 3, h, w) in [0, 1]; each part, such as a logo and its word, at its own level.

    A part through which likelier than not nothing shows is opaque, by what the network holds and, in a video, how it follows the scenes.
    """
    parts, fits, scenes = split_parts(predicted.pixels), list[_PartFit](), None
    for number, pixels in enumerate(parts):
        part, note = replace(predicted, mask=pixels.astype(np.float32)), notes.of_part(number)
        hides = predicted_hiding(predicted, pixels)
        if not is_single_frame(marked_crops) and not is_sure(hides):
            scenes = scenes or Scenes.behind(marked_crops, predicted.pixels)
            hides = hiding_probability(hides, scenes, predicted, pixels)
        note("probability that it hides the scene", hides, EVEN, "opaque" if hides > EVEN else "translucent")
        fits.append(_as_opaque(part) if hides > EVEN else _translucent(_fit_level(marked_crops, part, note)))
        outcome = "filled: it is opaque" if fits[-1].opaque else "un-blended: it is translucent"
        note("fitted opacity level", fits[-1].model.level, None, outcome)
    return _merge_parts(predicted, parts, fits)


def _merge_parts(predicted: MarkModel, parts: Sequence[Mask], fits: Sequence[_PartFit]) -> OpacityFit:
    """One fit from those of the parts. A pixel beside the mark gets the values of the nearest part."""
    distances = [cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for part in parts]
    nearest = np.argmin(np.stack(distances), axis=0)
    opacity, colour, opacity_sigma = (
        np.select([nearest == number for number in range(len(fits))], [getattr(fit.model, name) for fit in fits])
        for name in ("opacity", "colour", "opacity_sigma")
    )
    opaque = np.zeros_like(predicted.pixels)
    for part, fit in zip(parts, fits, strict=True):
        opaque |= part & fit.opaque
    return OpacityFit(MarkModel(predicted.mask, opacity, colour, opacity_sigma), opaque)


def _as_opaque(part: MarkModel) -> _PartFit:
    return _PartFit(replace(part, opacity=np.ones_like(part.opacity)), opaque=True)


def _translucent(part: MarkModel) -> _PartFit:
    """The part as it was fitted; opaque after all if that took every pixel to 1, so that nothing is left to un-blend."""
    return _PartFit(part, opaque=bool(part.opacity[part.pixels].min() >= 1))


def _fit_level(marked_crops: Floats, part: MarkModel, notes: Notes) -> MarkModel:
    """The part with its opacity scaled and its colour shifted to explain the crops: the matte network sees shapes better than levels."""
    if part.level > DENSE_LEVEL:
        return _fit_level_over_area(marked_crops, part, notes)
    fit = fit_level(marked_crops, part.opacity * part.mask, part.colour)
    notes("factor on the opacity, fitted at the outline", fit.factor, None, f"used: within {fit.error:.2f}")
    opacity = np.minimum(part.opacity * np.float32(fit.factor), np.float32(1))
    colour = np.clip(part.colour + fit.shift, 0, 1).astype(np.float32)
    opacity_sigma = np.minimum(np.hypot(FITTED_SIGMA_SHARE * fit.factor * part.opacity_sigma, fit.error * opacity), 1)
    return MarkModel(part.mask, opacity, colour, opacity_sigma.astype(np.float32))


def _fit_level_over_area(marked_crops: Floats, part: MarkModel, notes: Notes) -> MarkModel:
    """The part with its opacity scaled so that all of it, not only its outline, explains the crops against a fill of its place.

    Too little of the scene shows through a dense mark to compare both sides of its outline. Dense marks are also often animated, and an
    outline that turns fits no single shape, which would make the level too low.
    """
    factor = float(np.clip(np.median(presence_scores(marked_crops, part)), *SCALE_RANGE))
    notes("factor on the opacity, fitted over the area", factor, None, "used")
    return replace(part, opacity=np.minimum(part.opacity * np.float32(factor), np.float32(1)))


def add_animation_sigma(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The model with a larger opacity sigma where the mark changes from frame to frame, and beside such pixels, which it covers at times.

    Elsewhere outside the mask the sigma stays below MIN_ANIMATION_SIGMA. marked_crops: (N, 3, h, w) in [0, 1].
    """
    variation = opacity_variation(marked_crops, model)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ANIMATION_PIXELS + 1, 2 * ANIMATION_PIXELS + 1))
    swing = cv2.dilate(np.where(variation > MIN_ANIMATION_SIGMA, variation, np.float32(0)), reach)
    inside = np.hypot(model.opacity_sigma, variation)
    outside = np.maximum(swing, np.minimum(model.opacity_sigma, 0.9 * MIN_ANIMATION_SIGMA))
    opacity_sigma = np.minimum(np.where(model.mask > 0, inside, outside), 1)
    return replace(model, opacity_sigma=opacity_sigma.astype(np.float32, copy=False))


def opacity_variation(marked_crops: Floats, model: MarkModel) -> Floats:
    """Standard deviation (h, w) of the opacity from frame to frame, as at the outline of an animated mark; 0 where there are few crops.

    The median over several stretches of time: a part of the scene that crosses the mark once is no animation.
    """
    if len(marked_crops) < 2 * MIN_FRAMES:
        return np.zeros_like(model.mask)
    stretches = np.array_split(marked_crops, len(marked_crops) // MIN_FRAMES)
    variations = np.stack([_variation_over(stretch, model) for stretch in stretches])
    result: Floats = np.quantile(variations, 0.5, axis=0, method="lower")
    return result


def _variation_over(marked_crops: Floats, model: MarkModel) -> Floats:
    """Standard deviation (h, w) of the difference between the opacity that explains each crop over a fill, and the model's.

    Only the variance that exceeds the fill's own error counts. That error is estimated from the un-blended pixels all around, most of which
    do not change; over roots, so that the few that do change hardly count.
    """
    wide = dilate(model.mask > 0, ANIMATION_REACH_PIXELS)
    opacity = np.minimum(model.opacity * model.mask, np.float32(0.96))
    known, kernel = np.square(1 - opacity) * wide, (SURROUNDINGS_KERNEL_PIXELS, SURROUNDINGS_KERNEL_PIXELS)
    weights, total, squares, noise = np.zeros((4, *model.mask.shape), np.float32)
    for crop in marked_crops:
        fill = fill_hole(crop, wide)
        effect = model.colour - fill
        power = np.square(effect).sum(0) + UNBLENDED_NOISE
        residual = crop - fill - opacity * effect
        offset = cv2.GaussianBlur((residual * effect).sum(0) / power, (3, 3), 0)
        error = np.sqrt(np.square(residual).sum(0)) / (1 - opacity)
        fill_power = mean_of_known(np.sqrt(error), known, SURROUNDINGS_KERNEL_PIXELS) ** 4
        shown = cv2.blur(((crop - fill) * opacity * effect).sum(0), kernel)
        expected = cv2.blur(np.square(opacity * effect).sum(0), kernel)
        present = shown > MIN_LOCAL_PRESENCE * expected
        weights = weights + present * power
        total = total + present * power * offset
        squares = squares + present * power * np.square(offset)
        noise = noise + present * (np.square(1 - opacity) * fill_power + UNBLENDED_NOISE)
    weights = np.maximum(weights, np.float32(1e-6))
    variance = squares / weights - np.square(total / weights) - FILL_NOISE_FACTOR * noise / weights
    result: Floats = np.sqrt(np.maximum(variance, 0))
    return result
