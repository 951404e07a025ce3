"""Step 5 in between, once its level is known: a faint mark at one opacity and of one colour, where that explains what is seen."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blend import detail_pixels, local_scene
from service.pipeline.marks.presence import MarkModel, crop_model, split_parts
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, level_from_contrast, level_from_thin_strokes
from service.pipeline.measure.boundary import label_boundary
from service.pipeline.measure.opacity import DENSE
from service.pipeline.placement import Box, bounding_box

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

CORE: Final = 0.75  # of a part's level: what is above it is not its edge
EDGE: Final = 0.9  # of the level: what the head sees there is the level already
MOST_UNEVEN: Final = 0.2  # of the level, the standard deviation in the core: more is a texture of the mark's own
LIKE_LEVELS: Final = 1.5  # the highest of parts that are of one level over the lowest
LARGE_PART: Final = 0.1  # of a mark's pixels
LEAST_LEFT: Final = 0.3  # of a large part's pixels, if it is of the others' level
MOST_UNEVEN_SHAPE: Final = 0.25  # the same of a mark as a whole whose outline may be wrong
OTHER_COLOUR: Final = 0.25  # off the core's: an outline or a shadow
MOST_OTHER: Final = 0.25  # of a mark's pixels
MOST_DETAIL: Final = 1.25  # times that of the scene before: more is left of an even mark too, as the head takes detail of the scene for its
MOST_REDRAWN_DETAIL: Final = 1.5  # the same of one with a new outline, which is sharper
CALMER: Final = 0.8  # of the detail before: 0.93 to 1.15 where the level was right within a tenth, 0.36 where it was wrong by 0.15
UNEVEN_DOUBT: Final = 2.0  # times the head's
SURE_DOUBT: Final = 0.01  # of the opacity: less doubt does not make a pixel count more
AROUND_PIXELS: Final = 24  # of what may be mark, that are looked at too
MOST_PIXELS: Final = 600_000  # of a window: about a second of processor time for each 100,000
MAYBE: Final = 0.3  # probability
MOST_LOG_ODDS: Final = 3.0  # of the segmenter or of the head
HEAD_WEIGHT: Final = 0.5  # of the head's odds: they come from the same pixels as the outline
HEAD_ERROR: Final = 0.1  # of the level, that the head makes beside what it doubts
BACKED: Final = 0.15  # of a piece's pixels, that were mark or may have been
LEVELS: Final = (0.6, 1.6)  # times the head's
COVERAGE_PIXELS: Final = 0.7  # standard deviation of an outline's blur


def fit_uniform_opacity(inside: Floats, look: MarkModel, probability: Floats) -> MarkModel:
    """The look with faint marks at one opacity and of one colour, their edges aside, if that explains the crops (N, 3, h, w) too.

    Most marks are drawn at one opacity, and the head errs more in each pixel than in the mean of all. Where that does not explain them,
    though the opacity varies little, its level may be wrong, and what varies be the scene's: that is doubted more.
    """
    found = split_parts(look.mask > 0.5)
    whole = _resegment(inside, look, look.mask > 0.5, probability)
    if whole is not None and (len(found) == 1 or _parts_share_level(inside, look, whole)):
        return whole
    for part in found:
        redrawn = _resegment(inside, look, part, probability) if len(found) > 1 else None
        look = redrawn if redrawn is not None else _flatten_part(inside, look, part)
    return look


def fit_level_by_contrast(inside: Floats, look: MarkModel) -> MarkModel:
    """The look of a mark that repeats, at the level and of the colour that its many outlines tell, if the scene is then far calmer.

    That shows a level that was far too high, which leaves a negative of the mark behind. One too low leaves less detail than there is.
    """
    mask, before = look.mask > 0.5, _opacity_level(look, look.mask > 0.5)
    shape = np.clip(look.opacity / before, 0, 1) * look.mask
    if (level := level_from_thin_strokes(inside, shape, mask)) is None:
        return look
    colour = np.where(mask, level.colour[:, None, None], look.colour).astype(np.float32)
    told = replace(look, opacity=(shape * level.opacity).astype(np.float32), colour=colour)
    return told if _fine_detail(inside, told, mask) < CALMER * _fine_detail(inside, look, mask) else look


def _parts_share_level(inside: Floats, before: MarkModel, look: MarkModel) -> bool:
    """Whether its parts, such as a logo and a word, are about equally opaque, so far as their outlines tell, and none was lost."""
    found = [level.opacity for part in split_parts(look.mask > 0.5) if (level := level_from_contrast(inside, part)) is not None]
    left = [float(look.mask[part].mean()) for part in split_parts(before.mask > 0.5) if part.sum() > LARGE_PART * before.mask.sum()]
    return min(left, default=1) > LEAST_LEFT and max(found, default=1) < LIKE_LEVELS * min(found, default=1)


def _opacity_level(look: MarkModel, part: Mask) -> float:
    return float(np.percentile(look.opacity[part], 80))


def _flatten_part(inside: Floats, look: MarkModel, part: Mask) -> MarkModel:
    """The look with a part of it at one level, if that explains the crops."""
    if (level := _uniform_level(look, part)) is None:
        return look
    even = _with_level(look, part, level)
    if _fine_detail(inside, even, part) < MOST_DETAIL * _fine_detail(inside, look, part):
        return even
    return replace(look, opacity_sigma=np.minimum(np.where(part, UNEVEN_DOUBT * look.opacity_sigma, look.opacity_sigma), np.float32(1)))


def _uniform_level(look: MarkModel, part: Mask, most_uneven: float = MOST_UNEVEN) -> OpacityLevel | None:
    """The one level of a part (h, w) of the look; None where that is dense, or has a texture."""
    if not part.any():
        return None
    level = _opacity_level(look, part)
    core = part & (look.opacity > CORE * level)
    if level > DENSE or not core.any() or look.opacity[core].std() > most_uneven * level:
        return None
    weight = 1 / (np.square(look.opacity_sigma[core]) + SURE_DOUBT**2)
    return OpacityLevel(float(np.average(look.opacity[core], weights=weight)), np.average(look.colour[:, core], axis=1, weights=weight))


def _with_level(look: MarkModel, part: Mask, level: OpacityLevel) -> MarkModel:
    opacity = level.opacity * np.clip(look.opacity / (EDGE * level.opacity), 0, 1)
    return replace(
        look,
        opacity=np.where(part, opacity, look.opacity).astype(np.float32),
        colour=np.where(part, level.colour[:, None, None], look.colour).astype(np.float32),
    )


def _resegment(inside: Floats, look: MarkModel, group: Mask, probability: Floats) -> MarkModel | None:
    """The look with the outline, level and colour that its even parts have by what the scene is like on both sides of their outline.

    None where they are not even as a whole, or the scene behind them would then be stranger than before.
    """
    if (of_head := _uniform_level(look, group, MOST_UNEVEN_SHAPE)) is None:
        return None
    other = group & (np.abs(look.colour - of_head.colour[:, None, None]).mean(0) > OTHER_COLOUR)
    if other.sum() > MOST_OTHER * group.sum():
        return None
    rest = (look.mask > 0.5) & ~group
    height, width = group.shape
    window = bounding_box(group | ((probability > MAYBE) & ~rest)).expanded(AROUND_PIXELS, width, height)
    if window.width * window.height > MOST_PIXELS:
        return None
    own = replace(look, mask=group.astype(np.float32))
    own, others = crop_model(own, window.top, window.left, window.height, window.width), rest[window.slices]
    crops, maybe = inside[(..., *window.slices)], np.where(others, np.float32(0), probability[window.slices])
    shape, level = _solve_shape(crops, own, maybe, others, of_head)
    new = _render(own, shape, other[window.slices], level, of_head)
    either = (new.mask > 0.5) | (own.mask > 0.5)
    if not shape.any() or _fine_detail(crops, new, either) > MOST_REDRAWN_DETAIL * _fine_detail(crops, own, either):
        return None
    return _paste(look, new, rest, window)


def _solve_shape(crops: Floats, own: MarkModel, maybe: Floats, others: Mask, of_head: OpacityLevel) -> tuple[Mask, OpacityLevel]:
    """The shape (h, w) of the mark at the head's level; then its level by that shape, and its shape at that level, if it can be true."""
    belief = _prior_log_odds(own, maybe, of_head)

    def shape_at(level: OpacityLevel) -> Mask:
        return _drop_unsupported(label_boundary(crops, level, belief), own, maybe) & ~others

    shape = shape_at(of_head)
    level = level_from_contrast(crops, shape)
    if level is None or not LEVELS[0] < level.opacity / of_head.opacity < LEVELS[1]:
        return shape, of_head
    return shape_at(level), level


def _prior_log_odds(look: MarkModel, probability: Floats, of_head: OpacityLevel) -> Floats:
    """The log odds (h, w) of being marked, by the segmenter and the head."""
    likely = np.clip(probability, 1e-3, 1 - 1e-3)
    seen = np.clip(np.log(likely / (1 - likely)), -MOST_LOG_ODDS, MOST_LOG_ODDS)
    share, error = look.opacity / of_head.opacity, look.opacity_sigma / of_head.opacity + HEAD_ERROR
    odds: Floats = (seen + HEAD_WEIGHT * np.clip((share - 0.5) / error, -MOST_LOG_ODDS, MOST_LOG_ODDS)).astype(np.float32)
    return odds


def _drop_unsupported(shape: Mask, look: MarkModel, probability: Floats) -> Mask:
    """Without the pieces of which next to nothing was taken for mark before: edges of the scene that are as high as the mark's."""
    count, labels = cv2.connectedComponents(shape.astype(np.uint8))
    before = (look.mask > 0.5) | (probability > MAYBE)
    pixels, backed = (np.bincount(labels.ravel(), weights.ravel(), count) for weights in (shape.astype(float), before.astype(float)))
    kept = backed >= BACKED * pixels
    kept[0] = False
    result: Mask = kept[labels]
    return result


def _render(look: MarkModel, shape: Mask, other: Mask, level: OpacityLevel, of_head: OpacityLevel) -> MarkModel:
    """The look with the mark in this shape. What is of another colour stays; edges are between what the head sees and the shape."""
    square = np.ones((3, 3), np.uint8)
    inner, wide = cv2.erode(shape.astype(np.uint8), square) > 0, cv2.dilate(shape.astype(np.uint8), square) > 0
    mask = shape | other | ((look.mask > 0.5) & wide)
    coverage = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), COVERAGE_PIXELS)
    seen = np.clip(look.opacity / (EDGE * of_head.opacity), 0, 1)
    share = np.where(inner, np.float32(1), np.where(shape, np.maximum(seen, coverage), (seen + coverage) / 2))
    opacity = np.where(other, look.opacity, level.opacity * share).astype(np.float32)
    colour = np.where(mask & ~other, level.colour[:, None, None], look.colour).astype(np.float32)
    return replace(look, mask=mask.astype(np.float32), opacity=opacity, colour=colour)


def _paste(look: MarkModel, part: MarkModel, rest: Mask, window: Box) -> MarkModel:
    """The look with parts of it drawn anew in a window; of the mark the rest is left."""
    mask, opacity, colour, opacity_sigma = rest.astype(np.float32), look.opacity.copy(), look.colour.copy(), look.opacity_sigma.copy()
    free = ~rest[window.slices]
    for plane, new in ((mask, part.mask), (opacity, part.opacity), (colour, part.colour), (opacity_sigma, part.opacity_sigma)):
        np.copyto(plane[(..., *window.slices)], new, where=free)
    return MarkModel(mask, opacity, colour, opacity_sigma)


def _fine_detail(inside: Floats, look: MarkModel, part: Mask) -> float:
    """How much fine detail, in squares, the un-blended crops have in a part (h, w) of the mark."""
    opacity = look.opacity * look.mask
    unblended, scene = local_scene(inside, opacity, look.colour, detail_pixels(opacity))
    return float(np.square(unblended - scene)[:, :, part].sum())
