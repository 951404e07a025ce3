"""Step 5, second look at the file: the exact pixels, opacity and colour of each mark, at native size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from service.inference.batcher import Batcher
from service.inference.session import Networks
from service.pipeline.locate.segment import long_exposures, mark_probability
from service.pipeline.locate.static_marks import MIN_PART_SHARE, SURROUNDINGS_KERNEL_PIXELS
from service.pipeline.locate.tiled_marks import autocorrelation, lattice_mean, refine_lattice
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops, to_float
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import CONTEXT_PIXELS, Candidate, FramePlan, LatticeVector, plan_frames
from service.pipeline.marks.presence import MarkModel, crop_model, fill_hole, presence_score
from service.pipeline.measure.edge_alpha import unblend_edges
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.occlusion import is_occluded
from service.pipeline.measure.opacity import DENSE_LEVEL, SURE_PROBABILITY, add_animation_sigma, complete_mask, fit_opacity, predict_matte
from service.pipeline.measure.pool import MarkPool, Observation, PooledMark
from service.pipeline.measure.uniform_opacity import fit_level_by_contrast, fit_uniform_opacity
from service.pipeline.placement import Box, bounding_box, intersect, shared_slices
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

MIN_OPACITY = 0.06
MIN_PROBABILITY = 0.3  # and above which it is if the matte sees it too
CERTAIN_PROBABILITY = 0.85  # and above which it is though the matte sees nothing: eyes and counters that only darken the scene
MIN_MISSED_SHARE = (
    0.6  # of the mark's own opacity: with that much of it the matte, if it has little doubt, finds what the segmenter overlooked
)
MAX_MISSED_SIGMA = 0.4  # of the opacity
MAX_SIGMA_RATIO = 2.0  # times the doubt of the surest quarter of a faint mark
MIN_EDGE_SHARE = 0.15  # of the mark's own opacity: what is fainter is beyond its edge
MIN_CONFIDENCE = 0.63  # of a mark, 0 to 1: true ones were seen down to 0.7; four held-out clips without a mark have no candidate at all
MIN_PICTURE_SHARE = 3e-4  # of the picture's pixels: what is smaller is a detail of the scene
MIN_PROBABILITY_BESIDE = 0.7  # probability at native size that counts where the look from afar saw nothing
MIN_COARSE_WEIGHT = 0.25  # native size shows strokes more clearly, the whole picture what is scene; 1 where that was at native size
ABSENT_SCORE_SHARE = 0.3  # of its usual score: a standing mark is not there
MAX_ABSENT_FRAMES = 1  # of the frames looked at
MIN_OPACITY_SIGMA = 0.02  # of the opacity: less doubt does not make a word count more
MIN_BOX_SHARE = 0.02  # a person's box in which less than this share is found to be mark is removed whole


@dataclass(frozen=True, eq=False)
class MeasuredMark:
    """A candidate that is a mark, its box fitted to it with context around; its look there, and the mean probability of its pixels."""

    candidate: Candidate
    model: MarkModel = field(repr=False)
    confidence: float


def measure(
    frames: Iterable[Frame], info: VideoInfo, candidates: Sequence[Candidate], networks: Networks, total_frames: int
) -> list[MeasuredMark]:
    """Measures every candidate in one pass. The same mark at several places is measured from all of them at once."""
    plans = [plan_frames(candidate, candidates, total_frames) for candidate in candidates]
    places = [CropRequest(c.box, frozenset(p.marked_frames + p.bare_frames)) for c, p in zip(candidates, plans, strict=True)]
    least_pixels, pool = MIN_PICTURE_SHARE * info.width * info.height, MarkPool()

    def seen() -> Iterator[MeasuredMark | PooledMark]:
        """What a person pointed at; and marks of which nothing new is to come."""
        for number, shown in parallel_map(observe, gather_crops(frames, info, places)):
            if isinstance(shown, MeasuredMark):
                yield shown
            else:
                yield from pool.add(number, shown)
        yield from pool.rest()

    def observe(gathered: tuple[int, Crops]) -> tuple[int, Observation | MeasuredMark]:
        number, crops = gathered
        candidate = candidates[number]
        shown = _observe(candidate, plans[number], crops, networks)
        return number, _measure_user_candidate(candidate, shown, info, networks.matte) if candidate.kind == "user" else shown

    def marks(each: MeasuredMark | PooledMark) -> list[MeasuredMark]:
        return [each] if isinstance(each, MeasuredMark) else _solve(each, candidates, info, networks.matte)

    found = list(chain.from_iterable(parallel_map(marks, seen())))
    return _drop_parts_of_static([mark for mark in found if mark.candidate.kind == "user" or mark.model.mask.sum() >= least_pixels])


def _drop_parts_of_static(marks: list[MeasuredMark]) -> list[MeasuredMark]:
    """Without what was seen for a time of a mark that stands throughout."""
    static = [mark for mark in marks if mark.candidate.static]
    return [mark for mark in marks if mark.candidate.kind == "user" or mark in static or not any(_is_part(mark, of) for of in static)]


def _is_part(mark: MeasuredMark, of: MeasuredMark) -> bool:
    if not intersect(mark.candidate.box, of.candidate.box):
        return False
    here, there = shared_slices(mark.candidate.box, of.candidate.box)
    near = cv2.dilate(of.model.mask, np.ones((SURROUNDINGS_KERNEL_PIXELS, SURROUNDINGS_KERNEL_PIXELS), np.uint8))
    return float((mark.model.mask[here] * near[there]).sum()) >= MIN_PART_SHARE * float(mark.model.mask.sum())


def _observe(candidate: Candidate, frames: FramePlan, crops: Crops, networks: Networks) -> Observation:
    marked_crops = np.stack([crops[i] for i in frames.marked_frames])
    bare_crops = np.stack([crops[i] for i in frames.bare_frames]) if frames.bare_frames else marked_crops[:0]
    if candidate.exact_mask:
        return Observation(marked_crops, bare_crops, candidate.probability, candidate.probability)
    shown = to_float(marked_crops)
    probability = _refine_probability(candidate, shown, networks.segmenter)
    opacity, colour, opacity_sigma = predict_matte(shown, probability, to_float(bare_crops), networks.matte)
    if candidate.static and not _is_static(
        shown, MarkModel((probability > SURE_PROBABILITY).astype(np.float32), opacity, colour, opacity_sigma)
    ):
        return Observation(marked_crops, bare_crops, probability, np.zeros_like(probability), confirmed=False)
    sure = candidate.confirmed and _confidence(candidate.confidence, probability) >= MIN_CONFIDENCE
    return Observation(marked_crops, bare_crops, probability, np.where(probability > MIN_PROBABILITY, opacity, 0).astype(np.float32), sure)


def _is_static(marked_crops: Floats, model: MarkModel) -> bool:
    """Whether the crops (N, 3, h, w) all show the mark, all of it: among frames far apart the segmenter sees one of some in all of them."""
    pairs = [(crop, fill_hole(crop, model.mask > 0.5)) for crop in marked_crops]
    found = [presence_score(crop, fill, model) for crop, fill in pairs]
    return sum(value < ABSENT_SCORE_SHARE * float(np.median(found)) for value in found) <= MAX_ABSENT_FRAMES and not is_occluded(
        pairs, model
    )


def _solve(pooled: PooledMark, candidates: Sequence[Candidate], info: VideoInfo, network: Batcher) -> list[MeasuredMark]:
    """One mark, whole at each of its places, also where only a part of it was seen."""
    marked_crops, bare_crops = to_float(pooled.marked_crops), to_float(pooled.bare_crops)
    probability, model = complete_mask(marked_crops, pooled.probability, bare_crops, network)
    mask = _mask_from(probability, model)
    lattice = candidates[pooled.registrations[0].number].lattice
    if lattice:
        lattice = refine_lattice(autocorrelation(model.opacity), lattice)  # of the picture at full size, and without its scene
        model = _average_over_lattice(model, lattice)
        mask = _mask_from(
            np.minimum(lattice_mean(probability, lattice), CERTAIN_PROBABILITY), model
        )  # its noise repeats as well: the matte decides
    if not mask.any():
        return []
    predicted = replace(model, mask=mask.astype(np.float32))
    model = fit_opacity(marked_crops, predicted)
    hidden = frozen_pixels(marked_crops, mask) if len(marked_crops) > 1 else enclosed_pixels(marked_crops[0], model)
    if lattice:
        model = _with_opaque_pixels(hidden, fit_level_by_contrast(marked_crops, unblend_edges(marked_crops, model, predicted)))
    else:
        model = fit_uniform_opacity(marked_crops, unblend_edges(marked_crops, _with_opaque_pixels(hidden, model), predicted), probability)
    model = add_animation_sigma(marked_crops, model)
    marks = []
    for registration in pooled.registrations:
        candidate = candidates[registration.number]
        confidence = _confidence(candidate.confidence, pooled.probability)
        marks.append(_fit_box(candidate, registration.top, registration.left, model, confidence, info))
    return [mark for mark in marks if mark.model.mask.any()]


def _with_opaque_pixels(hidden: NDArray[np.bool_], model: MarkModel) -> MarkModel:
    """The look with more pixels, which hide the scene."""
    mask, opacity = np.maximum(model.mask, hidden), np.where(hidden, np.float32(1), model.opacity)
    return replace(model, mask=mask.astype(np.float32), opacity=opacity)


def _average_over_lattice(model: MarkModel, lattice: tuple[LatticeVector, LatticeVector]) -> MarkModel:
    """The look of a mark that repeats: what is sure of one of its words is so of all."""
    weight = (1 / (np.square(model.opacity_sigma) + MIN_OPACITY_SIGMA**2)).astype(np.float32)
    opacity, colour, opacity_sigma = (
        lattice_mean(values, lattice, weight) for values in (model.opacity, model.colour, model.opacity_sigma)
    )
    return MarkModel(model.mask, opacity, colour, opacity_sigma)


def _fit_box(candidate: Candidate, top: int, left: int, model: MarkModel, confidence: float, info: VideoInfo) -> MeasuredMark:
    """The candidate with a box that holds the mask and its context; (0, 0) of the look is the old box's (top, left)."""
    own = bounding_box(model.mask > 0.5)
    y, x = candidate.box.top + top, candidate.box.left + left  # of the look's corner in the picture
    first_row, first_column = max(0, y + own.top - CONTEXT_PIXELS), max(0, x + own.left - CONTEXT_PIXELS)
    last_row, last_column = y + own.bottom + CONTEXT_PIXELS, x + own.right + CONTEXT_PIXELS
    box = Box(
        min(first_column, info.width - 1),
        min(first_row, info.height - 1),
        min(max(last_column, first_column + 1), info.width),
        min(max(last_row, first_row + 1), info.height),
    )
    return MeasuredMark(replace(candidate, box=box), crop_model(model, box.top - y, box.left - x, box.height, box.width), confidence)


def _measure_user_candidate(candidate: Candidate, seen: Observation, info: VideoInfo, network: Batcher) -> MeasuredMark:
    """A person's box or mask: a mark whatever is seen in it."""
    marked_crops = to_float(seen.marked_crops)
    opacity, colour, opacity_sigma = predict_matte(marked_crops, seen.probability, to_float(seen.bare_crops), network)
    model = MarkModel(seen.probability, opacity, colour, opacity_sigma)
    mask = seen.probability > 0.5 if candidate.exact_mask else _mask_from(seen.probability, model)
    model = replace(model, mask=mask.astype(np.float32))
    if mask.any():
        predicted, model = model, fit_opacity(marked_crops, model)
        model = model if candidate.exact_mask else unblend_edges(marked_crops, model, predicted)
        model = add_animation_sigma(marked_crops, fit_uniform_opacity(marked_crops, model, seen.probability))
    model = replace(model, mask=mask.astype(np.float32)) if candidate.exact_mask else _restrict_to_box(candidate, model)
    return _fit_box(candidate, 0, 0, model, 1.0, info)


def _confidence(from_afar: float, probability: Floats) -> float:
    """Mean of the looks from afar and from near, over the pixels that are surely mark."""
    sure = probability > SURE_PROBABILITY
    return (float(probability[sure].mean()) + from_afar) / 2 if sure.any() else 0.0


def _mask_from(probability: Floats, model: MarkModel) -> NDArray[np.bool_]:
    """The mark's pixels: where the segmenter looks and the matte, whose edges are sharper, sees something; or where that one is sure."""
    sure = probability > SURE_PROBABILITY
    if not sure.any():
        return sure
    level = float(np.percentile(model.opacity[sure], 80))
    seen = (probability > MIN_PROBABILITY) & (model.opacity > max(MIN_OPACITY, MIN_EDGE_SHARE * level))
    overlooked = (model.opacity > MIN_MISSED_SHARE * level) & (model.opacity_sigma < MAX_MISSED_SIGMA * model.opacity)
    return _drop_uncertain(seen | overlooked | (probability > CERTAIN_PROBABILITY), model)


def _drop_uncertain(mask: NDArray[np.bool_], model: MarkModel) -> NDArray[np.bool_]:
    """Of a faint mark the pixels that the head is about as sure of as of its surest: the counters of letters it doubts."""
    if not mask.any() or float(np.percentile(model.opacity[mask], 80)) > DENSE_LEVEL:
        return mask
    return mask & (model.opacity_sigma < MAX_SIGMA_RATIO * float(np.percentile(model.opacity_sigma[mask], 25)))


def _restrict_to_box(candidate: Candidate, model: MarkModel) -> MarkModel:
    """Inside a person's box: the mark that was found there, or all of it, as opaque, where next to nothing was found."""
    given = candidate.probability > 0.5
    found = (cv2.dilate(model.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & given  # H.264 carries a mark beyond its edge
    if found.sum() >= MIN_BOX_SHARE * given.sum():
        return replace(model, mask=found.astype(np.float32))
    return replace(model, mask=given.astype(np.float32), opacity=np.ones_like(model.opacity))


def _refine_probability(candidate: Candidate, marked_crops: Floats, segmenter: Batcher) -> Floats:
    """Mark probability at native size, averaged over the stay, near where the coarse look saw it."""
    seen = mark_probability(long_exposures(marked_crops), segmenter, frozenset({candidate.kind})).mean(0)
    side = 2 * CONTEXT_PIXELS + 1
    coarse = (candidate.probability > 0.3).astype(np.uint8)
    near = cv2.dilate(coarse, np.ones((side, side), np.uint8)) > 0
    beside = cv2.dilate(coarse, np.ones((side, 2 * coarse.shape[1] + 1), np.uint8)) > 0  # a thin word may be lost in the shrunken picture
    both = blend_probabilities(seen, candidate.probability, candidate.scale)
    if candidate.lattice:  # its words are told by each other
        both = np.maximum(seen * near, candidate.probability)
    return np.where(near, both, np.where(beside & (seen > MIN_PROBABILITY_BESIDE), seen, 0)).astype(np.float32)


def blend_probabilities(near: Floats, afar: Floats, scale: float) -> Floats:
    """The probability at native size and that of the whole picture, shrunk to `scale`, which tells better what is scene, as one."""
    weight = np.float32(max(MIN_COARSE_WEIGHT, 1.5 * scale - 0.5))
    return (1 - weight) * near + weight * afar
