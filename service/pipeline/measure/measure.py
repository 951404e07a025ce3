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
from service.pipeline.locate.static_marks import NEXT_PIXELS, PART_SHARE
from service.pipeline.locate.tiled_marks import autocorrelation, lattice_mean, refine_lattice
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops, to_float
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import CONTEXT_PIXELS, Candidate, FramePlan, LatticeVector, plan_frames
from service.pipeline.marks.presence import MarkModel, crop_model, fill_hole, presence_score
from service.pipeline.measure.edge_alpha import unblend_edges
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.occlusion import is_occluded
from service.pipeline.measure.opacity import DENSE, SURE, add_animation_sigma, complete_mask, fit_opacity, predict_matte
from service.pipeline.measure.pool import MarkPool, Observation, PooledMark
from service.pipeline.measure.uniform_opacity import fit_level_by_contrast, fit_uniform_opacity
from service.pipeline.placement import Box, bounding_box, intersect, shared_slices
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

VISIBLE_OPACITY = 0.06
FAINT = 0.3  # and above which it is if the matte sees it too
CERTAIN = 0.85  # and above which it is though the matte sees nothing: eyes and counters that only darken the scene
OVERLOOKED_SHARE = (
    0.6  # of the mark's own opacity: with that much of it the matte, if it has little doubt, finds what the segmenter overlooked
)
OVERLOOKED_DOUBT = 0.4  # of the opacity
MOST_DOUBTED = 2.0  # times the doubt of the surest quarter of a faint mark
EDGE_SHARE = 0.15  # of the mark's own opacity: what is fainter is beyond its edge
CONFIDENT = 0.63  # of a mark, 0 to 1: true ones were seen down to 0.7; four held-out clips without a mark have no candidate at all
LEAST_SHARE = 3e-4  # of the picture's pixels: what is smaller is a detail of the scene
BESIDE = 0.7  # probability at native size that counts where the look from afar saw nothing
LEAST_COARSE_WEIGHT = 0.25  # native size shows strokes more clearly, the whole picture what is scene; 1 where that was at native size
ABSENT = 0.3  # of its usual score: a standing mark is not there
MOST_ABSENT = 1  # of the frames looked at
SURE_DOUBT = 0.02  # of the opacity: less doubt does not make a word count more
LEAST_OF_BOX = 0.02  # a person's box in which less than this share is found to be mark is removed whole


@dataclass(frozen=True, eq=False)
class MeasuredMark:
    """A candidate that is a mark, its box fitted to it with context around; its look there, and the mean probability of its pixels."""

    candidate: Candidate
    look: MarkModel = field(repr=False)
    confidence: float


def measure(
    frames: Iterable[Frame], info: VideoInfo, candidates: Sequence[Candidate], networks: Networks, total_frames: int
) -> list[MeasuredMark]:
    """Measures every candidate in one pass. The same mark at several places is measured from all of them at once."""
    plans = [plan_frames(candidate, candidates, total_frames) for candidate in candidates]
    places = [CropRequest(c.box, frozenset(p.inside + p.outside)) for c, p in zip(candidates, plans, strict=True)]
    least_pixels, pool = LEAST_SHARE * info.width * info.height, MarkPool()

    def seen() -> Iterator[MeasuredMark | PooledMark]:
        """What a person pointed at; and marks of which nothing new is to come."""
        for number, shown in parallel_map(appearance, gather_crops(frames, info, places)):
            if isinstance(shown, MeasuredMark):
                yield shown
            else:
                yield from pool.add(number, shown)
        yield from pool.rest()

    def appearance(gathered: tuple[int, Crops]) -> tuple[int, Observation | MeasuredMark]:
        number, crops = gathered
        candidate = candidates[number]
        shown = _observe(candidate, plans[number], crops, networks)
        return number, _measure_user_candidate(candidate, shown, info, networks.matte) if candidate.kind == "user" else shown

    def marks(each: MeasuredMark | PooledMark) -> list[MeasuredMark]:
        return [each] if isinstance(each, MeasuredMark) else _solve(each, candidates, info, networks.matte)

    found = list(chain.from_iterable(parallel_map(marks, seen())))
    return _drop_parts_of_static([mark for mark in found if mark.candidate.kind == "user" or mark.look.mask.sum() >= least_pixels])


def _drop_parts_of_static(marks: list[MeasuredMark]) -> list[MeasuredMark]:
    """Without what was seen for a time of a mark that stands throughout."""
    standing = [mark for mark in marks if mark.candidate.standing]
    return [mark for mark in marks if mark.candidate.kind == "user" or mark in standing or not any(_is_part(mark, of) for of in standing)]


def _is_part(mark: MeasuredMark, of: MeasuredMark) -> bool:
    if not intersect(mark.candidate.box, of.candidate.box):
        return False
    here, there = shared_slices(mark.candidate.box, of.candidate.box)
    near = cv2.dilate(of.look.mask, np.ones((NEXT_PIXELS, NEXT_PIXELS), np.uint8))
    return float((mark.look.mask[here] * near[there]).sum()) >= PART_SHARE * float(mark.look.mask.sum())


def _observe(candidate: Candidate, frames: FramePlan, crops: Crops, networks: Networks) -> Observation:
    inside = np.stack([crops[i] for i in frames.inside])
    outside = np.stack([crops[i] for i in frames.outside]) if frames.outside else inside[:0]
    if candidate.exact_mask:
        return Observation(inside, outside, candidate.probability, candidate.probability)
    shown = to_float(inside)
    probability = _refine_probability(candidate, shown, networks.segmenter)
    opacity, colour, opacity_sigma = predict_matte(shown, probability, to_float(outside), networks.matte)
    if candidate.standing and not _is_static(shown, MarkModel((probability > SURE).astype(np.float32), opacity, colour, opacity_sigma)):
        return Observation(inside, outside, probability, np.zeros_like(probability), sure=False)
    sure = candidate.sure and _confidence(candidate.confidence, probability) >= CONFIDENT
    return Observation(inside, outside, probability, np.where(probability > FAINT, opacity, 0).astype(np.float32), sure)


def _is_static(inside: Floats, look: MarkModel) -> bool:
    """Whether the crops (N, 3, h, w) all show the mark, all of it: among frames far apart the segmenter sees one of some in all of them."""
    pairs = [(crop, fill_hole(crop, look.mask > 0.5)) for crop in inside]
    found = [presence_score(crop, fill, look) for crop, fill in pairs]
    return sum(value < ABSENT * float(np.median(found)) for value in found) <= MOST_ABSENT and not is_occluded(pairs, look)


def _solve(pooled: PooledMark, candidates: Sequence[Candidate], info: VideoInfo, network: Batcher) -> list[MeasuredMark]:
    """One mark, whole at each of its places, also where only a part of it was seen."""
    inside, outside = to_float(pooled.inside), to_float(pooled.outside)
    probability, look = complete_mask(inside, pooled.probability, outside, network)
    mask = _mask_from(probability, look)
    steps = candidates[pooled.spots[0].number].steps
    if steps:
        steps = refine_lattice(autocorrelation(look.opacity), steps)  # of the picture at full size, and without its scene
        look = _average_over_lattice(look, steps)
        mask = _mask_from(np.minimum(lattice_mean(probability, steps), CERTAIN), look)  # its noise repeats as well: the matte decides
    if not mask.any():
        return []
    of_head = replace(look, mask=mask.astype(np.float32))
    look = fit_opacity(inside, of_head)
    hidden = frozen_pixels(inside, mask) if len(inside) > 1 else enclosed_pixels(inside[0], look)
    if steps:
        look = _with_opaque_pixels(hidden, fit_level_by_contrast(inside, unblend_edges(inside, look, of_head)))
    else:
        look = fit_uniform_opacity(inside, unblend_edges(inside, _with_opaque_pixels(hidden, look), of_head), probability)
    look = add_animation_sigma(inside, look)
    marks = []
    for spot in pooled.spots:
        candidate = candidates[spot.number]
        confidence = _confidence(candidate.confidence, pooled.probability)
        marks.append(_fit_box(candidate, spot.top, spot.left, look, confidence, info))
    return [mark for mark in marks if mark.look.mask.any()]


def _with_opaque_pixels(hidden: NDArray[np.bool_], look: MarkModel) -> MarkModel:
    """The look with more pixels, which hide the scene."""
    mask, opacity = np.maximum(look.mask, hidden), np.where(hidden, np.float32(1), look.opacity)
    return replace(look, mask=mask.astype(np.float32), opacity=opacity)


def _average_over_lattice(look: MarkModel, steps: tuple[LatticeVector, LatticeVector]) -> MarkModel:
    """The look of a mark that repeats: what is sure of one of its words is so of all."""
    weight = (1 / (np.square(look.opacity_sigma) + SURE_DOUBT**2)).astype(np.float32)
    opacity, colour, opacity_sigma = (lattice_mean(values, steps, weight) for values in (look.opacity, look.colour, look.opacity_sigma))
    return MarkModel(look.mask, opacity, colour, opacity_sigma)


def _fit_box(candidate: Candidate, top: int, left: int, look: MarkModel, confidence: float, info: VideoInfo) -> MeasuredMark:
    """The candidate with a box that holds the mask and its context; (0, 0) of the look is the old box's (top, left)."""
    own = bounding_box(look.mask > 0.5)
    y, x = candidate.box.top + top, candidate.box.left + left  # of the look's corner in the picture
    first_row, first_column = max(0, y + own.top - CONTEXT_PIXELS), max(0, x + own.left - CONTEXT_PIXELS)
    last_row, last_column = y + own.bottom + CONTEXT_PIXELS, x + own.right + CONTEXT_PIXELS
    box = Box(
        min(first_column, info.width - 1),
        min(first_row, info.height - 1),
        min(max(last_column, first_column + 1), info.width),
        min(max(last_row, first_row + 1), info.height),
    )
    return MeasuredMark(replace(candidate, box=box), crop_model(look, box.top - y, box.left - x, box.height, box.width), confidence)


def _measure_user_candidate(candidate: Candidate, seen: Observation, info: VideoInfo, network: Batcher) -> MeasuredMark:
    """A person's box or mask: a mark whatever is seen in it."""
    inside = to_float(seen.inside)
    opacity, colour, opacity_sigma = predict_matte(inside, seen.probability, to_float(seen.outside), network)
    look = MarkModel(seen.probability, opacity, colour, opacity_sigma)
    mask = seen.probability > 0.5 if candidate.exact_mask else _mask_from(seen.probability, look)
    look = replace(look, mask=mask.astype(np.float32))
    if mask.any():
        of_head, look = look, fit_opacity(inside, look)
        look = look if candidate.exact_mask else unblend_edges(inside, look, of_head)
        look = add_animation_sigma(inside, fit_uniform_opacity(inside, look, seen.probability))
    look = replace(look, mask=mask.astype(np.float32)) if candidate.exact_mask else _restrict_to_box(candidate, look)
    return _fit_box(candidate, 0, 0, look, 1.0, info)


def _confidence(from_afar: float, probability: Floats) -> float:
    """Mean of the looks from afar and from near, over the pixels that are surely mark."""
    sure = probability > SURE
    return (float(probability[sure].mean()) + from_afar) / 2 if sure.any() else 0.0


def _mask_from(probability: Floats, look: MarkModel) -> NDArray[np.bool_]:
    """The mark's pixels: where the segmenter looks and the matte, whose edges are sharper, sees something; or where that one is sure."""
    sure = probability > SURE
    if not sure.any():
        return sure
    level = float(np.percentile(look.opacity[sure], 80))
    seen = (probability > FAINT) & (look.opacity > max(VISIBLE_OPACITY, EDGE_SHARE * level))
    overlooked = (look.opacity > OVERLOOKED_SHARE * level) & (look.opacity_sigma < OVERLOOKED_DOUBT * look.opacity)
    return _drop_uncertain(seen | overlooked | (probability > CERTAIN), look)


def _drop_uncertain(mask: NDArray[np.bool_], look: MarkModel) -> NDArray[np.bool_]:
    """Of a faint mark the pixels that the head is about as sure of as of its surest: the counters of letters it doubts."""
    if not mask.any() or float(np.percentile(look.opacity[mask], 80)) > DENSE:
        return mask
    return mask & (look.opacity_sigma < MOST_DOUBTED * float(np.percentile(look.opacity_sigma[mask], 25)))


def _restrict_to_box(candidate: Candidate, look: MarkModel) -> MarkModel:
    """Inside a person's box: the mark that was found there, or all of it, as opaque, where next to nothing was found."""
    given = candidate.probability > 0.5
    found = (cv2.dilate(look.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & given  # H.264 carries a mark beyond its edge
    if found.sum() >= LEAST_OF_BOX * given.sum():
        return replace(look, mask=found.astype(np.float32))
    return replace(look, mask=given.astype(np.float32), opacity=np.ones_like(look.opacity))


def _refine_probability(candidate: Candidate, inside: Floats, segmenter: Batcher) -> Floats:
    """Mark probability at native size, averaged over the stay, near where the coarse look saw it."""
    seen = mark_probability(long_exposures(inside), segmenter, frozenset({candidate.kind})).mean(0)
    side = 2 * CONTEXT_PIXELS + 1
    coarse = (candidate.probability > 0.3).astype(np.uint8)
    near = cv2.dilate(coarse, np.ones((side, side), np.uint8)) > 0
    beside = cv2.dilate(coarse, np.ones((side, 2 * coarse.shape[1] + 1), np.uint8)) > 0  # a thin word may be lost in the shrunken picture
    both = blend_probabilities(seen, candidate.probability, candidate.scale)
    if candidate.steps:  # its words are told by each other
        both = np.maximum(seen * near, candidate.probability)
    return np.where(near, both, np.where(beside & (seen > BESIDE), seen, 0)).astype(np.float32)


def blend_probabilities(near: Floats, afar: Floats, scale: float) -> Floats:
    """The probability at native size and that of the whole picture, shrunk to `scale`, which tells better what is scene, as one."""
    weight = np.float32(max(LEAST_COARSE_WEIGHT, 1.5 * scale - 0.5))
    return (1 - weight) * near + weight * afar
