"""Uniform opacity: a translucent mark gets one opacity and one colour, its edge aside, where that explains the crops as well. Pure."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from models.arrays import Floats, Mask
from models.blend import detail_pixels, local_scene
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import CORE_SHARE, FULL_SHARE, MarkModel, crop_model, opacity_level, split_parts
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, level_from_contrast, level_from_thin_strokes
from service.pipeline.measure.boundary import segment_boundary
from service.pipeline.measure.level import MIN_COLOUR_DIFFERENCE
from service.pipeline.measure.noise import MIN_OPACITY_SIGMA
from service.pipeline.measure.opacity import MIN_PROBABILITY
from service.pipeline.measure.opaque import DENSE_LEVEL
from service.pipeline.picture.morphology import dilate, erode
from service.pipeline.placement import Box, bounding_box

MAX_OPACITY_STD: Final = 0.2  # of the level, standard deviation over the core of a part or a mark: above it the mark has a texture
MAX_LEVEL_RATIO: Final = 1.5  # of the levels of two parts that share one
LARGE_PART_SHARE: Final = 0.1  # of a mark's pixels
MIN_REMAINING_SHARE: Final = 0.3  # of a large part's pixels, which must remain if it shares the level of the others
MAX_OTHER_COLOUR_SHARE: Final = 0.25  # of a mark's pixels
# Fine detail of the un-blended crops after the change, over that before. The prediction absorbs some detail of the scene, so more than
# before remains when the opacity really is uniform.
MAX_DETAIL_RATIO: Final = 1.25  # for a part that keeps its outline
MAX_DETAIL_RATIO_RESEGMENTED: Final = 1.5  # for a part with a new outline, which is sharper
MAX_DETAIL_RATIO_BY_CONTRAST: Final = 0.8  # 0.93 to 1.15 where the predicted level was right within a tenth, 0.36 where it was off by 0.15
NONUNIFORM_SIGMA_FACTOR: Final = 2.0  # times the predicted sigma, where the opacity is nearly uniform but one level does not explain it
WINDOW_CONTEXT_PIXELS: Final = 24  # around all that may be mark: the window in which it is segmented again
MAX_WINDOW_PIXELS: Final = 600_000  # of a window: about 0.4 seconds of processor time for each 100,000
MAX_LOG_ODDS: Final = 3.0  # of the segmenter, and of the matte network
PREDICTED_WEIGHT: Final = 0.5  # of the matte network's log odds: they come from the same pixels as the boundary
PREDICTED_ERROR: Final = 0.1  # of the level: standard deviation of the prediction's error, in addition to its sigma
MIN_SUPPORTED_SHARE: Final = 0.15  # of a piece's pixels, which must have been mark, or possibly mark, before
LEVEL_RATIO_RANGE: Final = (0.6, 1.6)  # of the level from contrast to the predicted one
EDGE_BLUR_SIGMA_PIXELS: Final = 0.7  # standard deviation of an outline's blur


def fit_uniform_opacity(marked_crops: Floats, model: MarkModel, probability: Floats, notes: Notes = UNNOTED) -> MarkModel:
    """The model with its translucent parts at one opacity and one colour, edges aside, where that explains the crops as well.

    marked_crops: (N, 3, h, w) in [0, 1]; probability: (h, w) in [0, 1], of being mark. Most marks are drawn at one opacity, and the
    prediction errs more in single pixels than in the mean. Where one level does not explain a part although its opacity varies little, the
    level may be wrong and the variation may be the scene's; then the opacity sigma grows.
    """
    parts = split_parts(model.pixels)
    whole = _resegment(marked_crops, model, model.pixels, probability, notes)
    if whole is not None and (len(parts) == 1 or _parts_share_level(marked_crops, model, whole)):
        return whole
    for number, part in enumerate(parts):
        note = notes.of_part(number)
        resegmented = _resegment(marked_crops, model, part, probability, note) if len(parts) > 1 else None
        model = resegmented if resegmented is not None else _flatten_part(marked_crops, model, part, note)
    return model


def fit_level_by_contrast(marked_crops: Floats, model: MarkModel, notes: Notes = UNNOTED) -> MarkModel:
    """The model of a tiled mark at the level and colour that its many outlines show, if that leaves far less detail in the scene.

    This corrects a level that was far too high, which leaves a negative of the mark. It does not correct one that was too low.
    """
    mask, predicted_level = model.pixels, model.level
    shape = np.clip(model.opacity / predicted_level, 0, 1) * model.mask
    if (level := level_from_thin_strokes(marked_crops, shape, mask)) is None:
        return model
    colour = np.where(mask, level.colour[:, None, None], model.colour).astype(np.float32)
    corrected = replace(model, opacity=(shape * level.opacity).astype(np.float32), colour=colour)
    before, after = (_fine_detail(marked_crops, one, mask) for one in (model, corrected))
    calmer = after < MAX_DETAIL_RATIO_BY_CONTRAST * before
    outcome = f"level corrected to {level.opacity:.3f}" if calmer else "level kept"
    _note_detail(notes, "fine detail at the level from contrast", after, before, MAX_DETAIL_RATIO_BY_CONTRAST, outcome)
    return corrected if calmer else model


def _parts_share_level(marked_crops: Floats, before: MarkModel, model: MarkModel) -> bool:
    """Whether the parts, such as a logo and a word, have about the same level where it can be solved, and no large part was lost."""
    contrasts = [level_from_contrast(marked_crops, part) for part in split_parts(model.pixels)]
    levels = [level.opacity for level in contrasts if level is not None]
    large = [part for part in split_parts(before.pixels) if part.sum() > LARGE_PART_SHARE * before.mask.sum()]
    remaining = [float(model.mask[part].mean()) for part in large]
    return min(remaining, default=1) > MIN_REMAINING_SHARE and max(levels, default=1) < MAX_LEVEL_RATIO * min(levels, default=1)


def _flatten_part(marked_crops: Floats, model: MarkModel, part: Mask, notes: Notes) -> MarkModel:
    """The model with a part (h, w) at one level, if that explains the crops; else with a larger sigma there, if it is nearly uniform."""
    if (level := _uniform_level(model, part)) is None:
        return model
    flat = _with_level(model, part, level)
    after, before = (_fine_detail(marked_crops, one, part) for one in (flat, model))
    explained = after < MAX_DETAIL_RATIO * before
    outcome = f"uniform: opacity {level.opacity:.3f}" if explained else "not uniform: the opacity sigma grows"
    _note_detail(notes, "fine detail at one opacity", after, before, MAX_DETAIL_RATIO, outcome)
    if explained:
        return flat
    opacity_sigma = np.where(part, NONUNIFORM_SIGMA_FACTOR * model.opacity_sigma, model.opacity_sigma)
    return replace(model, opacity_sigma=np.minimum(opacity_sigma, np.float32(1)))


def _uniform_level(model: MarkModel, part: Mask) -> OpacityLevel | None:
    """The one level of a part (h, w); None where the part is dense or has a texture."""
    if not part.any():
        return None
    level = opacity_level(model.opacity, part)
    core = part & (model.opacity > CORE_SHARE * level)
    if level > DENSE_LEVEL or not core.any() or model.opacity[core].std() > MAX_OPACITY_STD * level:
        return None
    weight = 1 / (np.square(model.opacity_sigma[core]) + MIN_OPACITY_SIGMA**2)
    return OpacityLevel(float(np.average(model.opacity[core], weights=weight)), np.average(model.colour[:, core], axis=1, weights=weight))


def _with_level(model: MarkModel, part: Mask, level: OpacityLevel) -> MarkModel:
    """The model with a part (h, w) at this level, its edge aside."""
    opacity = level.opacity * np.clip(model.opacity / (FULL_SHARE * level.opacity), 0, 1)
    return replace(
        model,
        opacity=np.where(part, opacity, model.opacity).astype(np.float32),
        colour=np.where(part, level.colour[:, None, None], model.colour).astype(np.float32),
    )


def _resegment(marked_crops: Floats, model: MarkModel, group: Mask, probability: Floats, notes: Notes) -> MarkModel | None:
    """The model with a new boundary, level and colour for a group (h, w) of its parts, from the scene on both sides of the boundary.

    None where the group is not uniform as a whole, or where the un-blended scene would have more detail than before.
    """
    if (predicted := _uniform_level(model, group)) is None:
        return None
    other_colour = group & (np.abs(model.colour - predicted.colour[:, None, None]).mean(0) > MIN_COLOUR_DIFFERENCE)
    if other_colour.sum() > MAX_OTHER_COLOUR_SHARE * group.sum():
        return None
    rest = model.pixels & ~group
    height, width = group.shape
    window = bounding_box(group | ((probability > MIN_PROBABILITY) & ~rest)).expanded(WINDOW_CONTEXT_PIXELS, width, height)
    if window.width * window.height > MAX_WINDOW_PIXELS:
        return None
    own = crop_model(replace(model, mask=group.astype(np.float32)), window.top, window.left, window.height, window.width)
    crops, rest_here = marked_crops[(..., *window.slices)], rest[window.slices]
    own_probability = np.where(rest_here, np.float32(0), probability[window.slices])
    shape, level = _solve_shape(crops, own, own_probability, rest_here, predicted)
    new = _render(own, shape, other_colour[window.slices], level, predicted)
    either = new.pixels | own.pixels
    if not shape.any():
        return None
    after, before = (_fine_detail(crops, one, either) for one in (new, own))
    worse = after > MAX_DETAIL_RATIO_RESEGMENTED * before
    outcome = "not uniform as a whole" if worse else f"uniform: opacity {level.opacity:.3f}, with a new boundary"
    _note_detail(notes, "fine detail with a new boundary", after, before, MAX_DETAIL_RATIO_RESEGMENTED, outcome)
    return None if worse else _paste(model, new, rest, window)


def _solve_shape(crops: Floats, own: MarkModel, probability: Floats, rest: Mask, predicted: OpacityLevel) -> tuple[Mask, OpacityLevel]:
    """The shape (h, w) at the predicted level; then, if plausible, at the level that the contrast across that shape gives."""
    prior = _prior_log_odds(own, probability, predicted)

    def shape_at(level: OpacityLevel) -> Mask:
        return _drop_unsupported(segment_boundary(crops, level, prior), own, probability) & ~rest

    shape = shape_at(predicted)
    level = level_from_contrast(crops, shape)
    if level is None or not LEVEL_RATIO_RANGE[0] < level.opacity / predicted.opacity < LEVEL_RATIO_RANGE[1]:
        return shape, predicted
    return shape_at(level), level


def _prior_log_odds(model: MarkModel, probability: Floats, predicted: OpacityLevel) -> Floats:
    """The log odds (h, w) of being marked, from the segmenter and the matte network."""
    clipped = np.clip(probability, 1e-3, 1 - 1e-3)
    segmenter_odds = np.clip(np.log(clipped / (1 - clipped)), -MAX_LOG_ODDS, MAX_LOG_ODDS)
    share, sigma = model.opacity / predicted.opacity, model.opacity_sigma / predicted.opacity + PREDICTED_ERROR
    matte_odds = np.clip((share - 0.5) / sigma, -MAX_LOG_ODDS, MAX_LOG_ODDS)
    log_odds: Floats = (segmenter_odds + PREDICTED_WEIGHT * matte_odds).astype(np.float32)
    return log_odds


def _drop_unsupported(shape: Mask, model: MarkModel, probability: Floats) -> Mask:
    """The shape (h, w) without the pieces that were hardly suspected before: edges of the scene with the mark's contrast."""
    count, labels = cv2.connectedComponents(shape.astype(np.uint8))
    suspected = model.pixels | (probability > MIN_PROBABILITY)
    pixels, supported = (np.bincount(labels.ravel(), weights.ravel(), count) for weights in (shape.astype(float), suspected.astype(float)))
    kept = supported >= MIN_SUPPORTED_SHARE * pixels
    kept[0] = False
    result: Mask = kept[labels]
    return result


def _render(model: MarkModel, shape: Mask, other_colour: Mask, level: OpacityLevel, predicted: OpacityLevel) -> MarkModel:
    """The model in a new shape (h, w) at a level. Its edge lies between the prediction and the shape; pixels of another colour stay."""
    inner, wide = erode(shape, 1), dilate(shape, 1)
    mask = shape | other_colour | (model.pixels & wide)
    coverage = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), EDGE_BLUR_SIGMA_PIXELS)
    predicted_share = np.clip(model.opacity / (FULL_SHARE * predicted.opacity), 0, 1)
    edge_share = np.where(shape, np.maximum(predicted_share, coverage), (predicted_share + coverage) / 2)
    share = np.where(inner, np.float32(1), edge_share)
    opacity = np.where(other_colour, model.opacity, level.opacity * share).astype(np.float32)
    colour = np.where(mask & ~other_colour, level.colour[:, None, None], model.colour).astype(np.float32)
    return replace(model, mask=mask.astype(np.float32), opacity=opacity, colour=colour)


def _paste(model: MarkModel, part: MarkModel, rest: Mask, window: Box) -> MarkModel:
    """The model with some of its parts replaced by `part`, which lies in a window; the rest (h, w) of the mark stays."""
    mask, opacity, colour, opacity_sigma = rest.astype(np.float32), model.opacity.copy(), model.colour.copy(), model.opacity_sigma.copy()
    free = ~rest[window.slices]
    for plane, new in ((mask, part.mask), (opacity, part.opacity), (colour, part.colour), (opacity_sigma, part.opacity_sigma)):
        np.copyto(plane[(..., *window.slices)], new, where=free)
    return MarkModel(mask, opacity, colour, opacity_sigma)


def _note_detail(notes: Notes, question: str, after: float, before: float, threshold: float, outcome: str) -> None:
    notes(f"{question}, over that before", after / before if before > 0 else None, threshold, outcome)


def _fine_detail(marked_crops: Floats, model: MarkModel, part: Mask) -> float:
    """The sum of squares of the fine detail that the un-blended crops have in a part (h, w) of the mark."""
    opacity = model.opacity * model.mask
    total, width = 0.0, detail_pixels(opacity)
    for crop in marked_crops:
        unblended, scene = local_scene(crop[None], opacity, model.colour, width)
        total += float(np.square(unblended[0][:, part] - scene[0][:, part]).sum())
    return total
