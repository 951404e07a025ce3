"""The pixels, opacity and colour of every mark, at native size, from a second reading of the file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np

from models.arrays import Floats, Mask
from service.inference.batcher import Batcher
from service.inference.session import Networks
from service.pipeline.locate.static_marks import MIN_PART_SHARE, SURROUNDINGS_PIXELS
from service.pipeline.locate.tiled_marks import autocorrelation, lattice_mean, refine_lattice
from service.pipeline.marks.candidate import Candidate, Followed, Lattice, Tiled, UserMask
from service.pipeline.marks.decisions import UNRECORDED, Decisions, Notes
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops, is_single_frame, to_float
from service.pipeline.marks.mark_model import MarkModel, PredictedMark, crop_model
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import CONTEXT_PIXELS, FramePlan, plan_all
from service.pipeline.measure.along_path import CropsAlongPaths, PathCrops, measure_along_path
from service.pipeline.measure.edge_alpha import with_edge_alpha
from service.pipeline.measure.enclosed import enclosed_pixels, frozen_pixels
from service.pipeline.measure.given_region import Region, filled, measure_region
from service.pipeline.measure.noise import MIN_OPACITY_SIGMA
from service.pipeline.measure.observe import mean_confidence, observe, own_pixels
from service.pipeline.measure.opacity import add_animation_sigma, add_opaque_pixels, complete_mask, fit_opacity
from service.pipeline.measure.pool import MarkPool, Observation, PooledMark
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Kind, bounding_box, intersect, shared_slices
from service.pipeline.video import Frame, Limits, VideoInfo


@dataclass(frozen=True, eq=False)
class MeasuredMark:
    """A candidate that is a mark, its box fitted to the mark with context around it; its model there, and its mean probability.

    number: of the candidate, by which the decisions know it. moves: the model is that of a mark measured along its path, in its own frame
    of reference, and the box holds it in all frames of the candidate.
    """

    candidate: Candidate
    model: MarkModel = field(repr=False)
    confidence: float
    number: int
    moves: bool = False


def measure(
    frames: Iterable[Frame],
    info: VideoInfo,
    candidates: Sequence[Candidate],
    networks: Networks,
    total_frames: int,
    decisions: Decisions = UNRECORDED,
    limits: Limits = Limits(),
    classes: frozenset[Kind] = frozenset({"overlay"}),
) -> list[MeasuredMark]:
    """Measure every candidate in one pass, a mark at several places from all at once. classes: what the segmenter looks for."""
    plans = plan_all(candidates, total_frames, limits.crop_pixels)
    pool, paths = MarkPool(decisions, partial(_are_at_once, candidates)), CropsAlongPaths(candidates, info, limits)
    requests = [_request(candidate, plan) for candidate, plan in zip(candidates, plans, strict=True)] + paths.requests

    def observed(gathered: tuple[int, Crops]) -> tuple[int, Observation | MeasuredMark | Crops]:
        number, crops = gathered
        if number >= len(candidates):
            return number, crops
        notes = decisions.about("candidate", number)
        observation = observe(candidates[number], plans[number], crops, networks, classes, notes, own_pixels(candidates, number))
        if not candidates[number].is_exact:
            return number, observation
        return number, _measure_alone(candidates[number], number, observation, info, networks, decisions)

    def complete() -> Iterator[MeasuredMark | PooledMark | PathCrops]:
        """Exact candidates, which are measured alone; and pooled marks and paths of which no new observation will come."""
        yield from paths.too_short
        for number, result in parallel_map(observed, gather_crops(frames, info, requests)):
            if isinstance(result, MeasuredMark):
                yield result
            elif isinstance(result, Observation):
                yield from pool.add(number, result)
            else:
                yield from paths.add(number - len(candidates), result)
        yield from pool.flush()

    solve = partial(_solved, candidates=candidates, info=info, networks=networks, decisions=decisions)
    marks = chain.from_iterable(parallel_map(solve, complete()))
    return _drop_parts(list(marks), decisions)


def _are_at_once(candidates: Sequence[Candidate], one: int, other: int) -> bool:
    """Whether one of two candidates is seen in the middle of the other one's time, somewhere else."""
    here, there = candidates[one], candidates[other]
    if intersect(here.box, there.box):
        return False
    middles = (here.first_sample + here.last_sample) // 2, (there.first_sample + there.last_sample) // 2
    return there.first_sample <= middles[0] <= there.last_sample or here.first_sample <= middles[1] <= here.last_sample


def frames_to_measure(candidates: Sequence[Candidate], info: VideoInfo, total_frames: int, limits: Limits) -> set[int]:
    """All that `measure` looks at of the frames it is given."""
    plans = plan_all(candidates, total_frames, limits.crop_pixels)
    requests = [_request(candidate, plan) for candidate, plan in zip(candidates, plans, strict=True)]
    return {frame for request in (*requests, *CropsAlongPaths(candidates, info, limits).requests) for frame in request.frames}


def _solved(
    mark: MeasuredMark | PooledMark | PathCrops, candidates: Sequence[Candidate], info: VideoInfo, networks: Networks, decisions: Decisions
) -> list[MeasuredMark]:
    """The mark at each of its places."""
    match mark:
        case MeasuredMark():
            return [mark]
        case PathCrops():
            return _solve_path(mark, candidates, info, networks, decisions)
        case _:
            return _solve(mark, candidates, info, networks.matte, decisions)


def _request(candidate: Candidate, plan: FramePlan) -> CropRequest:
    """What is read to measure a candidate; nothing for a place along a path, which is measured as a whole."""
    frames = () if isinstance(candidate.origin, Followed) else plan.marked_frames + plan.bare_frames
    return CropRequest(candidate.box, frozenset(frames))


def _drop_parts(marks: list[MeasuredMark], decisions: Decisions) -> list[MeasuredMark]:
    """The marks without those that are a part of one which spans the video, seen for a while."""
    whole = [mark for mark in marks if mark.candidate.spans_video]
    return [mark for mark in marks if mark.candidate.is_exact or mark in whole or not any(_is_part(mark, of, decisions) for of in whole)]


def _is_part(mark: MeasuredMark, of: MeasuredMark, decisions: Decisions) -> bool:
    """Whether most of a mark's pixels lie on another one or right beside it."""
    if not intersect(mark.candidate.box, of.candidate.box):
        return False
    here, there = shared_slices(mark.candidate.box, of.candidate.box)
    near = dilate(of.model.pixels, SURROUNDINGS_PIXELS)
    shared, pixels = float((mark.model.mask[here] * near[there]).sum()), float(mark.model.mask.sum())
    is_part = shared >= MIN_PART_SHARE * pixels
    outcome = f"dropped: a part of candidate {of.number}" if is_part else "kept"
    share = shared / max(pixels, 1)
    decisions.about("candidate", mark.number)("share of its pixels on a mark that spans the video", share, MIN_PART_SHARE, outcome)
    return is_part


def _solve(
    pooled: PooledMark, candidates: Sequence[Candidate], info: VideoInfo, network: Batcher, decisions: Decisions
) -> list[MeasuredMark]:
    """The mark at each of its places, whole even where only a part of it was seen."""
    notes = decisions.about("mark", pooled.registrations[0].number)
    crops, bare_crops = to_float(pooled.marked_crops), to_float(pooled.bare_crops)
    predicted = complete_mask(crops, pooled.probability, bare_crops, network, pooled.matte)
    if pooled.own is not None:
        predicted = replace(predicted, mask=predicted.mask * pooled.own)
    origin = candidates[pooled.registrations[0].number].origin
    lattice = origin.lattice if isinstance(origin, Tiled) else None
    model = _fit_tiled(crops, predicted, lattice, notes) if lattice else _fit(crops, predicted, notes)
    notes("pixels of the mark", int(model.pixels.sum()), 1, "kept" if model.pixels.any() else "dropped: no pixel is certain")
    if not model.pixels.any():
        return []
    model = add_animation_sigma(crops, model)
    marks = []
    for place in pooled.registrations:
        candidate = candidates[place.number]
        box, placed = _fit_box(candidate.box, place.top, place.left, model, info)
        confidence = mean_confidence(candidate.confidence, pooled.probability)
        marks.append(MeasuredMark(replace(candidate, box=box), placed, confidence, place.number))
    return [mark for mark in marks if mark.model.mask.any()]


def _fit(crops: Floats, predicted: PredictedMark, notes: Notes) -> MarkModel:
    """The model that explains the crops (N, 3, h, w), from the matte network's prediction."""
    if not predicted.pixels.any():
        return predicted
    fit = fit_opacity(crops, predicted, notes).in_its_colours()
    missed = _missed_pixels(crops, replace(fit.model, mask=fit.opaque.astype(np.float32)))
    return add_opaque_pixels(with_edge_alpha(fit, predicted, missed, notes), missed)


def _missed_pixels(crops: Floats, opaque: MarkModel) -> Mask:
    """Pixels (h, w) of an opaque mark that the networks missed: in a video those that never change, in a still those it encloses."""
    return enclosed_pixels(crops[0], opaque) if is_single_frame(crops) else frozen_pixels(crops, opaque.pixels)


def _fit_tiled(crops: Floats, seen: PredictedMark, lattice: Lattice, notes: Notes) -> MarkModel:
    """The model of a tiled mark: what is certain about one tile is certain about all of them, so no pixel is missed."""
    lattice = refine_lattice(autocorrelation(seen.opacity), lattice)  # at native size and without the scene it is more exact
    predicted = _average_over_lattice(seen, lattice)
    if not predicted.pixels.any():
        return predicted
    return with_edge_alpha(fit_opacity(crops, predicted, notes), predicted, np.zeros_like(predicted.pixels), notes)


def _average_over_lattice(model: PredictedMark, lattice: Lattice) -> PredictedMark:
    """The model averaged over all tiles, weighted by inverse variance; its pixels are those of most tiles."""
    weight = (1 / (np.square(model.opacity_sigma) + MIN_OPACITY_SIGMA**2)).astype(np.float32)
    opacity, colour, opacity_sigma, hides = (
        lattice_mean(values, lattice, weight) for values in (model.opacity, model.colour, model.opacity_sigma, model.hides)
    )
    pixels = lattice_mean(model.mask, lattice, weight) > 0.5
    return PredictedMark(pixels.astype(np.float32), opacity, colour, opacity_sigma, hides)


def _fit_box(place: Box, top: int, left: int, model: MarkModel, info: VideoInfo) -> tuple[Box, MarkModel]:
    """A box that holds the mask and its context, and the model in it. The model's (0, 0) was at (top, left) of the place."""
    own = bounding_box(model.pixels)
    y, x = place.top + top, place.left + left  # of the model's corner in the picture
    first_row, first_column = max(0, y + own.top - CONTEXT_PIXELS), max(0, x + own.left - CONTEXT_PIXELS)
    last_row, last_column = y + own.bottom + CONTEXT_PIXELS, x + own.right + CONTEXT_PIXELS
    box = Box(
        min(first_column, info.width - 1),
        min(first_row, info.height - 1),
        min(max(last_column, first_column + 1), info.width),
        min(max(last_row, first_row + 1), info.height),
    )
    return box, crop_model(model, box.top - y, box.left - x, box.height, box.width)


def _measure_alone(
    candidate: Candidate, number: int, observation: Observation, info: VideoInfo, networks: Networks, decisions: Decisions
) -> MeasuredMark:
    """What a person gave: a mark, whatever is seen in it."""
    region = Region(candidate.probability > 0.5, exact=isinstance(candidate.origin, UserMask))
    crops, bare_crops = to_float(observation.marked_crops), to_float(observation.bare_crops)
    if candidate.path:
        return _filled(candidate, number, info)
    model = measure_region(crops, bare_crops, region, networks, _fit, decisions.about("mark", number))
    box, placed = _fit_box(candidate.box, 0, 0, model, info)
    return MeasuredMark(replace(candidate, box=box), placed, 1.0, number)


def _solve_path(
    path: PathCrops, candidates: Sequence[Candidate], info: VideoInfo, networks: Networks, decisions: Decisions
) -> list[MeasuredMark]:
    """A mark that was followed, at each of its places; filled there if it cannot be un-blended."""
    numbers = [number for number, candidate in enumerate(candidates) if candidate.origin is path.origin]
    model = measure_along_path(path, networks, _fit, decisions.about("mark", numbers[0]))
    if model is None:
        return [_filled(candidates[number], number, info) for number in numbers]
    return [MeasuredMark(_boxed(candidates[number], path.origin, model, info), model, 1.0, number, moves=True) for number in numbers]


def _boxed(candidate: Candidate, origin: Followed, model: MarkModel, info: VideoInfo) -> Candidate:
    """The candidate in a box that holds the mark and its context in each of its frames."""
    own, around = bounding_box(model.pixels), CONTEXT_PIXELS + origin.reach_pixels
    tops, lefts = zip(*(origin.places[frame] for frame in range(candidate.first_sample, candidate.last_sample + 1)), strict=True)
    view = View(round(min(tops)), round(min(lefts)), round(max(tops) - min(tops)) + own.height, round(max(lefts) - min(lefts)) + own.width)
    box = view.moved(own.top, own.left).grown(around).inner(info.width, info.height)
    return candidate if box is None else replace(candidate, box=box)


def _filled(candidate: Candidate, number: int, info: VideoInfo) -> MeasuredMark:
    """One of many places along a path, all of whose pixels are filled: other frames show what it hides."""
    box, placed = _fit_box(candidate.box, 0, 0, filled(candidate.probability > 0.5), info)
    return MeasuredMark(replace(candidate, box=box), placed, 1.0, number)
