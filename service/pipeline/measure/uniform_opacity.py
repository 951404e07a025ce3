"""Step 5 in between, once its level is known: a faint mark at one opacity and of one colour, where that explains what is seen."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import detail_pixels, local_scene
from service.pipeline.marks.mark_model import MarkModel, crop_model, split_parts
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, level_from_contrast, level_from_thin_strokes
from service.pipeline.measure.boundary import label_boundary
from service.pipeline.measure.opacity import DENSE_LEVEL
from service.pipeline.picture.morphology import dilate, erode
from service.pipeline.placement import Box, bounding_box

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

CORE_SHARE: Final = 0.75  # of a part's level: what is above it is not its edge
EDGE_SHARE: Final = 0.9  # of the level: what the head sees there is the level already
MAX_OPACITY_STD: Final = 0.2  # of the level, the standard deviation in the core: more is a texture of the mark's own
MAX_LEVEL_RATIO: Final = 1.5  # the highest of parts that are of one level over the lowest
LARGE_PART_SHARE: Final = 0.1  # of a mark's pixels
MIN_REMAINING_SHARE: Final = 0.3  # of a large part's pixels, if it is of the others' level
MAX_OPACITY_STD_WHOLE: Final = 0.25  # the same of a mark as a whole whose outline may be wrong
MIN_COLOUR_DIFFERENCE: Final = 0.25  # off the core's: an outline or a shadow
MAX_OTHER_COLOUR_SHARE: Final = 0.25  # of a mark's pixels
MAX_DETAIL_RATIO: Final = (
    1.25  # times that of the scene before: more is left of an even mark too, as the head takes detail of the scene for its
)
MAX_DETAIL_RATIO_RESEGMENTED: Final = 1.5  # the same of one with a new outline, which is sharper
MAX_DETAIL_RATIO_BY_CONTRAST: Final = (
    0.8  # of the detail before: 0.93 to 1.15 where the level was right within a tenth, 0.36 where it was wrong by 0.15
)
NONUNIFORM_SIGMA_FACTOR: Final = 2.0  # times the head's
MIN_OPACITY_SIGMA: Final = 0.01  # of the opacity: less doubt does not make a pixel count more
WINDOW_CONTEXT_PIXELS: Final = 24  # of what may be mark, that are looked at too
MAX_WINDOW_PIXELS: Final = 600_000  # of a window: about a second of processor time for each 100,000
MIN_PROBABILITY: Final = 0.3  # probability
MAX_LOG_ODDS: Final = 3.0  # of the segmenter or of the head
PREDICTED_WEIGHT: Final = 0.5  # of the head's odds: they come from the same pixels as the outline
PREDICTED_ERROR: Final = 0.1  # of the level, that the head makes beside what it doubts
MIN_SUPPORTED_SHARE: Final = 0.15  # of a piece's pixels, that were mark or may have been
LEVEL_RATIO_RANGE: Final = (0.6, 1.6)  # times the head's
EDGE_BLUR_SIGMA_PIXELS: Final = 0.7  # standard deviation of an outline's blur


def fit_uniform_opacity(marked_crops: Floats, model: MarkModel, probability: Floats) -> MarkModel:
    """The look with faint marks at one opacity and of one colour, their edges aside, if that explains the crops (N, 3, h, w) too.

    Most marks are drawn at one opacity, and the head errs more in each pixel than in the mean of all. Where that does not explain them,
    though the opacity varies little, its level may be wrong, and what varies be the scene's: that is doubted more.
    """
    found = split_parts(model.mask > 0.5)
    whole = _resegment(marked_crops, model, model.mask > 0.5, probability)
    if whole is not None and (len(found) == 1 or _parts_share_level(marked_crops, model, whole)):
        return whole
    for part in found:
        redrawn = _resegment(marked_crops, model, part, probability) if len(found) > 1 else None
        model = redrawn if redrawn is not None else _flatten_part(marked_crops, model, part)
    return model


def fit_level_by_contrast(marked_crops: Floats, model: MarkModel) -> MarkModel:
    """The look of a mark that repeats, at the level and of the colour that its many outlines tell, if the scene is then far calmer.

    That shows a level that was far too high, which leaves a negative of the mark behind. One too low leaves less detail than there is.
    """
    mask, before = model.mask > 0.5, _opacity_level(model, model.mask > 0.5)
    shape = np.clip(model.opacity / before, 0, 1) * model.mask
    if (level := level_from_thin_strokes(marked_crops, shape, mask)) is None:
        return model
    colour = np.where(mask, level.colour[:, None, None], model.colour).astype(np.float32)
    told = replace(model, opacity=(shape * level.opacity).astype(np.float32), colour=colour)
    return (
        told if _fine_detail(marked_crops, told, mask) < MAX_DETAIL_RATIO_BY_CONTRAST * _fine_detail(marked_crops, model, mask) else model
    )


def _parts_share_level(marked_crops: Floats, before: MarkModel, model: MarkModel) -> bool:
    """Whether its parts, such as a logo and a word, are about equally opaque, so far as their outlines tell, and none was lost."""
    found = [level.opacity for part in split_parts(model.mask > 0.5) if (level := level_from_contrast(marked_crops, part)) is not None]
    left = [float(model.mask[part].mean()) for part in split_parts(before.mask > 0.5) if part.sum() > LARGE_PART_SHARE * before.mask.sum()]
    return min(left, default=1) > MIN_REMAINING_SHARE and max(found, default=1) < MAX_LEVEL_RATIO * min(found, default=1)


def _opacity_level(model: MarkModel, part: Mask) -> float:
    return float(np.percentile(model.opacity[part], 80))


def _flatten_part(marked_crops: Floats, model: MarkModel, part: Mask) -> MarkModel:
    """The look with a part of it at one level, if that explains the crops."""
    if (level := _uniform_level(model, part)) is None:
        return model
    even = _with_level(model, part, level)
    if _fine_detail(marked_crops, even, part) < MAX_DETAIL_RATIO * _fine_detail(marked_crops, model, part):
        return even
    return replace(
        model, opacity_sigma=np.minimum(np.where(part, NONUNIFORM_SIGMA_FACTOR * model.opacity_sigma, model.opacity_sigma), np.float32(1))
    )


def _uniform_level(model: MarkModel, part: Mask, most_uneven: float = MAX_OPACITY_STD) -> OpacityLevel | None:
    """The one level of a part (h, w) of the look; None where that is dense, or has a texture."""
    if not part.any():
        return None
    level = _opacity_level(model, part)
    core = part & (model.opacity > CORE_SHARE * level)
    if level > DENSE_LEVEL or not core.any() or model.opacity[core].std() > most_uneven * level:
        return None
    weight = 1 / (np.square(model.opacity_sigma[core]) + MIN_OPACITY_SIGMA**2)
    return OpacityLevel(float(np.average(model.opacity[core], weights=weight)), np.average(model.colour[:, core], axis=1, weights=weight))


def _with_level(model: MarkModel, part: Mask, level: OpacityLevel) -> MarkModel:
    opacity = level.opacity * np.clip(model.opacity / (EDGE_SHARE * level.opacity), 0, 1)
    return replace(
        model,
        opacity=np.where(part, opacity, model.opacity).astype(np.float32),
        colour=np.where(part, level.colour[:, None, None], model.colour).astype(np.float32),
    )


def _resegment(marked_crops: Floats, model: MarkModel, group: Mask, probability: Floats) -> MarkModel | None:
    """The look with the outline, level and colour that its even parts have by what the scene is like on both sides of their outline.

    None where they are not even as a whole, or the scene behind them would then be stranger than before.
    """
    if (predicted := _uniform_level(model, group, MAX_OPACITY_STD_WHOLE)) is None:
        return None
    other = group & (np.abs(model.colour - predicted.colour[:, None, None]).mean(0) > MIN_COLOUR_DIFFERENCE)
    if other.sum() > MAX_OTHER_COLOUR_SHARE * group.sum():
        return None
    rest = (model.mask > 0.5) & ~group
    height, width = group.shape
    window = bounding_box(group | ((probability > MIN_PROBABILITY) & ~rest)).expanded(WINDOW_CONTEXT_PIXELS, width, height)
    if window.width * window.height > MAX_WINDOW_PIXELS:
        return None
    own = replace(model, mask=group.astype(np.float32))
    own, others = crop_model(own, window.top, window.left, window.height, window.width), rest[window.slices]
    crops, maybe = marked_crops[(..., *window.slices)], np.where(others, np.float32(0), probability[window.slices])
    shape, level = _solve_shape(crops, own, maybe, others, predicted)
    new = _render(own, shape, other[window.slices], level, predicted)
    either = (new.mask > 0.5) | (own.mask > 0.5)
    if not shape.any() or _fine_detail(crops, new, either) > MAX_DETAIL_RATIO_RESEGMENTED * _fine_detail(crops, own, either):
        return None
    return _paste(model, new, rest, window)


def _solve_shape(crops: Floats, own: MarkModel, maybe: Floats, others: Mask, predicted: OpacityLevel) -> tuple[Mask, OpacityLevel]:
    """The shape (h, w) of the mark at the head's level; then its level by that shape, and its shape at that level, if it can be true."""
    belief = _prior_log_odds(own, maybe, predicted)

    def shape_at(level: OpacityLevel) -> Mask:
        return _drop_unsupported(label_boundary(crops, level, belief), own, maybe) & ~others

    shape = shape_at(predicted)
    level = level_from_contrast(crops, shape)
    if level is None or not LEVEL_RATIO_RANGE[0] < level.opacity / predicted.opacity < LEVEL_RATIO_RANGE[1]:
        return shape, predicted
    return shape_at(level), level


def _prior_log_odds(model: MarkModel, probability: Floats, predicted: OpacityLevel) -> Floats:
    """The log odds (h, w) of being marked, by the segmenter and the head."""
    likely = np.clip(probability, 1e-3, 1 - 1e-3)
    seen = np.clip(np.log(likely / (1 - likely)), -MAX_LOG_ODDS, MAX_LOG_ODDS)
    share, error = model.opacity / predicted.opacity, model.opacity_sigma / predicted.opacity + PREDICTED_ERROR
    odds: Floats = (seen + PREDICTED_WEIGHT * np.clip((share - 0.5) / error, -MAX_LOG_ODDS, MAX_LOG_ODDS)).astype(np.float32)
    return odds


def _drop_unsupported(shape: Mask, model: MarkModel, probability: Floats) -> Mask:
    """Without the pieces of which next to nothing was taken for mark before: edges of the scene that are as high as the mark's."""
    count, labels = cv2.connectedComponents(shape.astype(np.uint8))
    before = (model.mask > 0.5) | (probability > MIN_PROBABILITY)
    pixels, backed = (np.bincount(labels.ravel(), weights.ravel(), count) for weights in (shape.astype(float), before.astype(float)))
    kept = backed >= MIN_SUPPORTED_SHARE * pixels
    kept[0] = False
    result: Mask = kept[labels]
    return result


def _render(model: MarkModel, shape: Mask, other: Mask, level: OpacityLevel, predicted: OpacityLevel) -> MarkModel:
    """The look with the mark in this shape. What is of another colour stays; edges are between what the head sees and the shape."""
    inner, wide = erode(shape, 1), dilate(shape, 1)
    mask = shape | other | ((model.mask > 0.5) & wide)
    coverage = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), EDGE_BLUR_SIGMA_PIXELS)
    seen = np.clip(model.opacity / (EDGE_SHARE * predicted.opacity), 0, 1)
    share = np.where(inner, np.float32(1), np.where(shape, np.maximum(seen, coverage), (seen + coverage) / 2))
    opacity = np.where(other, model.opacity, level.opacity * share).astype(np.float32)
    colour = np.where(mask & ~other, level.colour[:, None, None], model.colour).astype(np.float32)
    return replace(model, mask=mask.astype(np.float32), opacity=opacity, colour=colour)


def _paste(model: MarkModel, part: MarkModel, rest: Mask, window: Box) -> MarkModel:
    """The look with parts of it drawn anew in a window; of the mark the rest is left."""
    mask, opacity, colour, opacity_sigma = rest.astype(np.float32), model.opacity.copy(), model.colour.copy(), model.opacity_sigma.copy()
    free = ~rest[window.slices]
    for plane, new in ((mask, part.mask), (opacity, part.opacity), (colour, part.colour), (opacity_sigma, part.opacity_sigma)):
        np.copyto(plane[(..., *window.slices)], new, where=free)
    return MarkModel(mask, opacity, colour, opacity_sigma)


def _fine_detail(marked_crops: Floats, model: MarkModel, part: Mask) -> float:
    """How much fine detail, in squares, the un-blended crops have in a part (h, w) of the mark."""
    opacity = model.opacity * model.mask
    unblended, scene = local_scene(marked_crops, opacity, model.colour, detail_pixels(opacity))
    return float(np.square(unblended - scene)[:, :, part].sum())
