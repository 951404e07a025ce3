"""What a person points at: the mark inside a region is measured, and what is not proven to be restored by that is filled.

A second look decides. The region is un-blended with the measured mark, and the segmenter, which knows what marks look like, sees the
result. Where it still sees a mark, the pixels are filled. If that is most of it, the measurement failed. Then the mark is filled, and the
scene between its letters left as it is, if that passes the same test; else the whole region is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.inference.batcher import Batcher
from service.inference.session import Networks
from service.pipeline.locate.segment import long_exposures, mark_probability
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import is_single_frame
from service.pipeline.marks.mark_model import MarkModel, PredictedMark, split_parts
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.observe import is_in_every_frame
from service.pipeline.measure.opacity import MIN_PROBABILITY, SURE_PROBABILITY, add_animation_sigma, complete_mask
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import bounding_box

Solve = Callable[[Floats, PredictedMark, Notes], MarkModel]  # crops, predicted mark -> the model that explains the crops

OPAQUE = 0.96  # opacity from which on nothing is un-blended
COARSE_SCALE = 0.5  # at which the region is looked at as well: large words are seen better in a smaller picture
# Of the mark's pixels: if more still look like a mark, nothing measured there is trusted. With those filled, un-blending the rest is 0.2
# to 4.0 dB better than filling the mark at shares of 0.34 to 0.61 (five marks), and at 0.86 and 1.0 it is 0.7 and 4.6 dB worse.
MAX_FAILED_SHARE = 0.75
REACH_SHARE = 0.5  # of a part's height: pixels given farther from it are not explained by it


@dataclass(frozen=True)
class Region:
    """The pixels (h, w) that a person gave. exact: each of them is replaced; otherwise the mark inside is."""

    pixels: Mask = field(repr=False)
    exact: bool


def measure_region(
    crops: Floats, bare_crops: Floats, region: Region, networks: Networks, solve: Solve, notes: Notes = UNNOTED
) -> MarkModel:
    """The mark in the region, with all pixels that are replaced as its mask.

    crops: (N, 3, h, w) in [0, 1], with the mark; bare_crops: (M, 3, h, w), without it. Where nothing proves that the scene is restored,
    the opacity is 1.
    """
    found = _mark_inside(crops, bare_crops, region.pixels, networks, solve, notes)
    if found is None:
        notes("probability of a mark in the region", None, SURE_PROBABILITY, "filled: no mark is seen in it")
        return filled(region.pixels)
    if not is_single_frame(crops) and not is_in_every_frame(crops, found, notes):
        return filled(region.pixels)
    for model, outcome in ((found, "un-blended"), (_hidden(found, region.pixels), "the mark is filled")):
        failed = _still_marked(crops, model, networks.segmenter) & region.pixels
        share = float(failed[model.pixels].mean())
        passed = share <= MAX_FAILED_SHARE
        notes("share of the mark that is seen again", share, MAX_FAILED_SHARE, outcome if passed else f"not {outcome}")
        if passed:
            return _limited(model, region, failed)
    return filled(region.pixels)


def _hidden(found: MarkModel, region: Mask) -> MarkModel:
    """The mark as one that hides all that it covers."""
    near = dilate(found.pixels, WIDE_PIXELS) & region
    return replace(found, mask=near.astype(np.float32), opacity=np.where(near, np.float32(1), found.opacity))


def _limited(model: MarkModel, region: Region, failed: Mask) -> MarkModel:
    """The model of a mark in a region: what failed (h, w) is opaque, and so is what is given far from the mark."""
    near = dilate(model.pixels, WIDE_PIXELS) & region.pixels
    if not region.exact:
        return _with_holes(model, near | failed, failed)
    return _with_holes(replace(model, opacity=np.where(near, model.opacity, 0)), region.pixels, failed | ~_explained(model.pixels))


def _mark_inside(crops: Floats, bare_crops: Floats, region: Mask, networks: Networks, solve: Solve, notes: Notes) -> MarkModel | None:
    """The mark that is seen in the region, as measured; None where none is seen."""
    probability = np.where(region, _seen(crops, networks.segmenter), np.float32(0))
    if not (probability > SURE_PROBABILITY).any():
        return None
    predicted = complete_mask(crops, probability, bare_crops, networks.matte)
    mask = predicted.pixels & region
    if not mask.any():
        return None
    solved = solve(crops, replace(predicted, mask=mask.astype(np.float32)), notes)
    limited = replace(solved, mask=(solved.pixels & region).astype(np.float32))
    return add_animation_sigma(crops, limited) if limited.pixels.any() else None


def _seen(crops: Floats, segmenter: Batcher) -> Floats:
    """The probability (h, w) of being mark, at the crops' size and at a smaller one: the higher of the two."""
    exposures = long_exposures(crops)
    height, width = exposures.shape[-2:]
    size = max(1, round(width * COARSE_SCALE)), max(1, round(height * COARSE_SCALE))
    small = np.stack([cv2.resize(one.transpose(1, 2, 0), size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1) for one in exposures])
    fine, coarse = (mark_probability(pictures, segmenter, frozenset({"overlay"})).mean(0) for pictures in (exposures, small))
    seen: Floats = np.maximum(fine, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    return seen


def _still_marked(crops: Floats, model: MarkModel, segmenter: Batcher) -> Mask:
    """The pixels (h, w) that the segmenter takes for a mark once the crops are restored with the model."""
    return dilate(_seen(restored(crops, model), segmenter) > MIN_PROBABILITY, WIDE_PIXELS)


def restored(crops: Floats, model: MarkModel) -> Floats:
    """The crops (N, 3, h, w) un-blended with the model; where it is opaque, filled."""
    opacity = model.opacity * model.mask
    opaque = model.pixels & (opacity >= OPAQUE)
    opacity = np.where(opaque, np.float32(0), opacity)
    unblended: Floats = np.clip((crops - opacity * model.colour) / (1 - opacity), 0, 1)
    if not opaque.any():
        return unblended
    return np.stack([np.where(opaque, fill_hole(one, opaque), one) for one in unblended])


def _explained(mark: Mask) -> Mask:
    """The pixels (h, w) so close to a part of the mark that a brush which covers the part would touch them."""
    near = np.zeros_like(mark)
    for part in split_parts(mark):
        near |= dilate(part, max(WIDE_PIXELS, round(REACH_SHARE * bounding_box(part).height)))
    return near


def _with_holes(model: MarkModel, mask: Mask, holes: Mask) -> MarkModel:
    """The model with this mask (h, w), and opaque in the holes (h, w)."""
    return replace(model, mask=mask.astype(np.float32), opacity=np.where(holes, np.float32(1), model.opacity).astype(np.float32))


def filled(region: Mask) -> MarkModel:
    """A mark that hides everything in the region (h, w)."""
    nothing = np.zeros(region.shape, np.float32)
    return MarkModel(region.astype(np.float32), np.ones(region.shape, np.float32), np.zeros((3, *region.shape), np.float32), nothing)
