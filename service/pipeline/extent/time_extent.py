"""The placements of every measured mark, exact to the frame at both ends, from a third reading of the file."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.pipeline.extent.fade import fades
from service.pipeline.extent.first_and_last_frame import agree_ends, find_ends
from service.pipeline.extent.part_scores import FilledCrops, Part, score_levels
from service.pipeline.extent.slide import follow_slides
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops
from service.pipeline.marks.mark_model import MarkModel, split_parts
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import FramePlan, plan_frames
from service.pipeline.measure.dilation import dilation_pixels
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.placement import Placement, intersect, shared_slices
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

MIN_SHARED_PIXELS = 0.7  # of a mark's pixels that another one has too, where both are the same
CONFIDENT = 0.78  # of the confidence: a mark that is less sure must come and go at once
MAX_SLIDING_SHARE = 0.25  # of the picture: larger marks are not looked for elsewhere


def find_extents(frames: Iterable[Frame], info: VideoInfo, marks: Sequence[MeasuredMark], total_frames: int) -> list[Placement]:
    """The placements of every mark: usually one; several where its parts come and go at different times."""
    candidates = [mark.candidate for mark in marks]
    plans = [plan_frames(candidate, candidates, total_frames) for candidate in candidates]
    places = [CropRequest(c.box, frozenset(p.marked_frames + p.bare_frames + p.end_frames)) for c, p in zip(candidates, plans, strict=True)]

    def bounded(gathered: tuple[int, Crops]) -> list[_Extent]:
        number, crops = gathered
        small = places[number].box.width * places[number].box.height < MAX_SLIDING_SHARE * info.width * info.height
        return _extents_of(marks[number], plans[number], crops, may_slide=small)

    found = list(chain.from_iterable(parallel_map(bounded, gather_crops(frames, info, places))))
    kept = [placement for stay in _drop_duplicates(found) for placement in (stay.placement, *stay.slides)]
    return sorted(kept, key=lambda placement: placement.first_frame)


@dataclass(frozen=True)
class _Extent:
    """A stay, and the frames just before and after it in which the mark slides."""

    placement: Placement
    slides: tuple[Placement, ...] = ()


def _drop_duplicates(found: list[_Extent]) -> list[_Extent]:
    """Without those that another one, longer, already covers: parts of one mark may have been found from each other's side."""
    kept: list[_Extent] = []
    for stay in sorted(found, key=lambda s: s.placement.first_frame - s.placement.last_frame):
        if stay.placement.kind == "user" or not any(_covers(other.placement, stay.placement) for other in kept):
            kept.append(stay)
    return kept


def _covers(longer: Placement, other: Placement) -> bool:
    """Whether most pixels of `other` are the longer one's too, in the same frames."""
    if longer.first_frame > other.first_frame or longer.last_frame < other.last_frame or not intersect(longer.box, other.box):
        return False
    here, there = shared_slices(longer.box, other.box)
    shared = (longer.mask[here] > 0.5) & (other.mask[there] > 0.5)
    return float(shared.sum()) >= MIN_SHARED_PIXELS * float((other.mask > 0.5).sum())


def _extents_of(mark: MeasuredMark, frame_plan: FramePlan, crops: Crops, may_slide: bool) -> list[_Extent]:
    candidate, model, mask = mark.candidate, mark.model, mark.model.mask > 0.5
    if not candidate.slack_frames:  # the frames were given, or there is but one
        return [_Extent(_placement(mark, (candidate.first_sample, candidate.last_sample), model, _dilation(frame_plan, crops, model)))]
    split, seen = split_parts(mask), FilledCrops(crops, mask)
    found: list[Part] = []
    for part in split:
        own = replace(model, mask=part.astype(np.float32))
        levels = score_levels(frame_plan, seen, own)
        if (ends := find_ends(candidate, frame_plan, seen, own, levels)) is not None:
            found.append(Part(own, levels, ends))
    stays: dict[tuple[int, int], NDArray[np.bool_]] = {}
    slides: dict[tuple[int, int], list[tuple[int, MarkModel]]] = defaultdict(list)
    for each in found:
        ends, slid = agree_ends(each, found, candidate), list[tuple[int, MarkModel]]()
        if may_slide and each.levels.clear:
            ends, slid = follow_slides(frame_plan, seen, each.model, ends, each.levels)
        if mark.confidence < CONFIDENT and each.levels.clear and fades(frame_plan, seen, each, ends):
            return []
        stays[ends] = stays.get(ends, np.zeros_like(mask)) | (each.model.mask > 0.5)
        slides[ends] += slid
    dilation = _dilation(frame_plan, crops, model)
    return [
        _Extent(
            _placement(mark, ends, replace(model, mask=part.astype(np.float32)), dilation),
            tuple(_placement(mark, (frame, frame), off, dilation) for frame, off in slides[ends]),
        )
        for ends, part in stays.items()
    ]


def _dilation(frame_plan: FramePlan, crops: Crops, model: MarkModel) -> int:
    return dilation_pixels([crops[frame] for frame in frame_plan.marked_frames], model)


def _placement(mark: MeasuredMark, ends: tuple[int, int], model: MarkModel, dilation: int) -> Placement:
    candidate = mark.candidate
    return Placement(
        *ends,
        candidate.box,
        model.mask,
        model.opacity,
        model.colour,
        mark.confidence,
        candidate.kind,
        model.opacity_sigma,
        dilation_pixels=dilation,
    )
