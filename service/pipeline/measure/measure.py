"""The pixels, opacity and colour of every mark, at native size, from a second reading of the file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain

import numpy as np

from service.inference.batcher import Batcher
from service.inference.session import Networks
from service.pipeline.locate.static_marks import MIN_PART_SHARE, SURROUNDINGS_PIXELS
from service.pipeline.locate.tiled_marks import autocorrelation, lattice_mean, refine_lattice
from service.pipeline.marks.candidate import Candidate, Lattice, Tiled, UserMask
from service.pipeline.marks.decisions import UNRECORDED, Decisions, Notes
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops, to_float
from service.pipeline.marks.mark_model import MarkModel, crop_model
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import CONTEXT_PIXELS, plan_frames
from service.pipeline.measure.animation import add_animation_sigma
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.fit import fit_mark
from service.pipeline.measure.noise import MIN_OPACITY_SIGMA
from service.pipeline.measure.observe import mean_confidence, observe
from service.pipeline.measure.pool import MarkPool, Observation, PooledMark
from service.pipeline.measure.predict import LIKELY, Prediction, predict_matte
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, bounding_box, intersect, shared_slices
from service.pipeline.video import Frame, VideoInfo

MIN_BOX_SHARE = 0.02  # of a person's box: if less of it is found to be mark, all of it is removed
MIN_PICTURE_SHARE = 3e-4  # of the picture's pixels: a smaller find is a detail of the scene


@dataclass(frozen=True, eq=False)
class MeasuredMark:
    """A candidate that is a mark, its box fitted to the mark with context around it; its model there, and its mean probability.

    number: of the candidate, by which the decisions know it.
    """

    candidate: Candidate
    model: MarkModel = field(repr=False)
    confidence: float
    number: int


def measure(
    frames: Iterable[Frame],
    info: VideoInfo,
    candidates: Sequence[Candidate],
    networks: Networks,
    total_frames: int,
    decisions: Decisions = UNRECORDED,
) -> list[MeasuredMark]:
    """Measure every candidate in one pass. A mark that appears at several places is measured from all of them at once."""
    plans = [plan_frames(candidate, candidates, total_frames) for candidate in candidates]
    requests = [CropRequest(c.box, frozenset(p.marked_frames + p.bare_frames)) for c, p in zip(candidates, plans, strict=True)]
    pool = MarkPool(decisions)

    def observed(gathered: tuple[int, Crops]) -> tuple[int, Observation | MeasuredMark]:
        number, crops = gathered
        observation = observe(candidates[number], plans[number], crops, networks, decisions.about("candidate", number))
        if not candidates[number].by_user:
            return number, observation
        return number, _measure_user_candidate(candidates[number], number, observation, info, networks.matte, decisions)

    def complete() -> Iterator[MeasuredMark | PooledMark]:
        """User candidates, which are measured alone; and pooled marks of which no new observation will come."""
        for number, result in parallel_map(observed, gather_crops(frames, info, requests)):
            if isinstance(result, MeasuredMark):
                yield result
            else:
                yield from pool.add(number, result)
        yield from pool.flush()

    def solved(mark: MeasuredMark | PooledMark) -> list[MeasuredMark]:
        return [mark] if isinstance(mark, MeasuredMark) else _solve(mark, candidates, info, networks.matte, decisions)

    marks = chain.from_iterable(parallel_map(solved, complete()))
    return _drop_parts(_drop_small(marks, MIN_PICTURE_SHARE * info.width * info.height, decisions), decisions)


def _drop_small(marks: Iterable[MeasuredMark], min_pixels: float, decisions: Decisions) -> list[MeasuredMark]:
    """The marks without those of too few pixels, unless a person pointed at them."""
    kept = []
    for mark in marks:
        pixels = float(mark.model.mask.sum())
        large = mark.candidate.by_user or pixels >= min_pixels
        outcome = "kept" if large else "dropped: too small, a detail of the scene"
        decisions.about("candidate", mark.number)("pixels of the mark", pixels, min_pixels, outcome)
        if large:
            kept.append(mark)
    return kept


def _drop_parts(marks: list[MeasuredMark], decisions: Decisions) -> list[MeasuredMark]:
    """The marks without those that are a part of one which spans the video, seen for a while."""
    whole = [mark for mark in marks if mark.candidate.spans_video]
    return [mark for mark in marks if mark.candidate.by_user or mark in whole or not any(_is_part(mark, of, decisions) for of in whole)]


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
    predicted = predict_matte(crops, pooled.probability, bare_crops, network)
    origin = candidates[pooled.registrations[0].number].origin
    if isinstance(origin, Tiled):
        predicted = _average_over_lattice(predicted, origin.lattice)
    model = fit_mark(crops, predicted.belongs > LIKELY, predicted, notes)
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


def _average_over_lattice(predicted: Prediction, lattice: Lattice) -> Prediction:
    """The prediction averaged over all tiles, weighted by inverse variance: what is certain about one tile is certain about all of them."""
    lattice = refine_lattice(autocorrelation(predicted.opacity), lattice)  # at native size and without the scene it is more exact
    weight = (1 / (np.square(predicted.opacity_sigma) + MIN_OPACITY_SIGMA**2)).astype(np.float32)
    return Prediction(**{plane.name: lattice_mean(getattr(predicted, plane.name), lattice, weight) for plane in fields(predicted)})


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


def _measure_user_candidate(
    candidate: Candidate, number: int, observation: Observation, info: VideoInfo, network: Batcher, decisions: Decisions
) -> MeasuredMark:
    """A person's box or mask: a mark, whatever is seen in it. Of a mask every pixel belongs to the mark, and no other."""
    notes = decisions.about("mark", number)
    crops, given, exact = to_float(observation.marked_crops), observation.probability, isinstance(candidate.origin, UserMask)
    predicted = predict_matte(crops, given, to_float(observation.bare_crops), network)
    mask = given > LIKELY if exact else predicted.belongs > LIKELY
    model = fit_mark(crops, mask, predicted, notes)
    if mask.any():
        model = add_animation_sigma(crops, model)
    model = model if exact else _restrict_to_box(candidate, model, notes)
    box, placed = _fit_box(candidate.box, 0, 0, model, info)
    return MeasuredMark(replace(candidate, box=box), placed, 1.0, number)


def _restrict_to_box(candidate: Candidate, model: MarkModel, notes: Notes) -> MarkModel:
    """The mark found inside a person's box; or the whole box, as opaque, where next to nothing was found."""
    given = candidate.probability > LIKELY
    found = dilate(model.pixels, WIDE_PIXELS) & given
    enough = bool(found.sum() >= MIN_BOX_SHARE * given.sum())
    share = float(found.sum() / max(given.sum(), 1))
    notes("share of the box that is mark", share, MIN_BOX_SHARE, "kept" if enough else "filled: the whole box")
    if enough:
        return replace(model, mask=found.astype(np.float32))
    return replace(model, mask=given.astype(np.float32), opacity=np.ones_like(model.opacity))
