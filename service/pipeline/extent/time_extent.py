"""The placements of every measured mark, exact to the frame at both ends, from a third reading of the file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from models.arrays import Mask
from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS
from service.pipeline.extent.first_and_last_frame import find_ends, reconcile_ends
from service.pipeline.extent.join import are_similar
from service.pipeline.extent.part_scores import MIN_CLEAR_SCORE, FilledCrops, Part, score_levels
from service.pipeline.extent.path import PieceOfPath, piece_of_path, placements_along
from service.pipeline.extent.slide import ShiftedModel, follow_slides
from service.pipeline.locate.static_marks import MIN_PART_SHARE
from service.pipeline.marks.candidate import Tiled
from service.pipeline.marks.decisions import UNRECORDED, Decisions, Notes
from service.pipeline.marks.gather import CropRequest, Crops, gather_crops
from service.pipeline.marks.mark_model import MarkModel, crop_model, split_parts
from service.pipeline.marks.parallel_map import parallel_map
from service.pipeline.marks.plan import FramePlan, plan_all
from service.pipeline.measure.dilation import dilation_pixels
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.placement import Box, Placement, intersect, shared_slices
from service.pipeline.video import Frame, Limits, VideoInfo

MAX_SLIDING_SHARE = 0.25  # of the picture's pixels: the box of a larger mark is not searched for a slide


def find_extents(
    frames: Iterable[Frame],
    info: VideoInfo,
    marks: Sequence[MeasuredMark],
    total_frames: int,
    decisions: Decisions = UNRECORDED,
    limits: Limits = Limits(),
) -> list[Placement]:
    """The placements of every mark, by their first frame: usually one; several where parts appear or vanish at different times."""
    candidates = [mark.candidate for mark in marks]
    plans = plan_all(candidates, total_frames, limits.crop_pixels)
    seen = [_seen_part(mark) for mark in marks]
    requests = [_request(mark, plan) for mark, plan in zip(seen, plans, strict=True)]
    max_sliding_pixels = MAX_SLIDING_SHARE * info.width * info.height

    def extents_of(gathered: tuple[int, Crops]) -> list[_Extent] | PieceOfPath:
        number, crops = gathered
        mark, box, notes = marks[number], marks[number].candidate.box, decisions.about("candidate", marks[number].number)
        if mark.moves:
            return piece_of_path(mark, crops, info)
        may_slide, free = box.width * box.height < max_sliding_pixels, _free_frames(number, seen, total_frames)
        extents = _extents_of(seen[number], plans[number], crops, may_slide, free, notes)
        return extents if mark is seen[number] else _of_whole(mark, extents)

    found = list(parallel_map(extents_of, gather_crops(frames, info, requests)))
    extents = list(chain.from_iterable(one for one in found if not isinstance(one, PieceOfPath)))
    kept = [placement for extent in _drop_duplicates(extents, decisions) for placement in (extent.placement, *extent.slides)]
    kept += placements_along([one for one in found if isinstance(one, PieceOfPath)])
    return sorted(kept, key=lambda placement: placement.first_frame)


def _seen_part(mark: MeasuredMark) -> MeasuredMark:
    """What is looked at of a mark: of one that fills the picture, its middle, since all of it comes and goes at once."""
    candidate = mark.candidate
    if not isinstance(candidate.origin, Tiled):
        return mark
    width, height = (min(side, ANALYSIS_LONG_SIDE_PIXELS) for side in (candidate.box.width, candidate.box.height))
    top, left = (candidate.box.height - height) // 2, (candidate.box.width - width) // 2
    model = crop_model(mark.model, top, left, height, width)
    if not model.pixels.any() or (height, width) == mark.model.mask.shape:
        return mark
    corner = candidate.box.left + left, candidate.box.top + top
    return replace(mark, candidate=replace(candidate, box=Box(*corner, corner[0] + width, corner[1] + height)), model=model)


def _of_whole(mark: MeasuredMark, extents: Sequence["_Extent"]) -> list["_Extent"]:
    """The extent of a mark of which a part was looked at."""
    if not extents:
        return []
    placements = [extent.placement for extent in extents]
    ends = min(one.first_frame for one in placements), max(one.last_frame for one in placements)
    return [_Extent(mark.number, _placement(mark, ends, mark.model, placements[0].dilation_pixels))]


def frames_of_extents(marks: Sequence[MeasuredMark], total_frames: int, limits: Limits) -> set[int]:
    """All that `find_extents` looks at of the frames it is given."""
    candidates = [mark.candidate for mark in marks]
    plans = plan_all(candidates, total_frames, limits.crop_pixels)
    return {frame for mark, plan in zip(marks, plans, strict=True) for frame in _request(mark, plan).frames}


def _request(mark: MeasuredMark, plan: FramePlan) -> CropRequest:
    """What is read of a mark: of one that moves, every frame."""
    candidate = mark.candidate
    if mark.moves:
        return CropRequest(candidate.box, frozenset(range(candidate.first_sample, candidate.last_sample + 1)))
    return CropRequest(candidate.box, frozenset(plan.marked_frames + plan.bare_frames + plan.end_frames))


@dataclass(frozen=True)
class _Extent:
    """A placement, and those of one frame each, just before and after it, in which the mark slides."""

    number: int  # of the candidate
    placement: Placement
    slides: tuple[Placement, ...] = ()


@dataclass
class _PartGroup:
    """The parts of a mark that have the same ends: their pixels (h, w), and the frames in which they slide."""

    pixels: Mask
    slides: list[ShiftedModel] = field(default_factory=list)


def _drop_duplicates(extents: list[_Extent], decisions: Decisions) -> list[_Extent]:
    """The extents without those that a longer one covers: a mark may have been found more than once, by different parts of it."""
    kept: list[_Extent] = []
    for extent in sorted(extents, key=lambda e: e.placement.first_frame - e.placement.last_frame):
        covering = [other for other in kept if extent.placement.kind != "user" and _covers(other.placement, extent.placement)]
        first, last = extent.placement.first_frame, extent.placement.last_frame
        outcome = f"dropped: candidate {covering[0].number} covers it" if covering else f"kept: frames {first} to {last}"
        decisions.about("candidate", extent.number)("frames with the mark", last - first + 1, None, outcome)
        if not covering:
            kept.append(extent)
    return kept


def _covers(longer: Placement, other: Placement) -> bool:
    """Whether the longer placement has most pixels of the other one, in all of its frames."""
    if longer.first_frame > other.first_frame or longer.last_frame < other.last_frame or not intersect(longer.box, other.box):
        return False
    in_longer, in_other = shared_slices(longer.box, other.box)
    shared = (longer.mask[in_longer] > 0.5) & (other.mask[in_other] > 0.5)
    return float(shared.sum()) >= MIN_PART_SHARE * float((other.mask > 0.5).sum())


def _free_frames(number: int, marks: Sequence[MeasuredMark], total_frames: int) -> tuple[int, int]:
    """(first, last) frame in which the mark may be: up to where another one is seen in its place, as the next caption is."""
    own, candidate = marks[number], marks[number].candidate
    before = (other for other in marks if other.candidate.last_sample < candidate.first_sample)
    after = (other for other in marks if other.candidate.first_sample > candidate.last_sample)
    latest = sorted(before, key=lambda other: -other.candidate.last_sample)
    earliest = sorted(after, key=lambda other: other.candidate.first_sample)
    first = next((other.candidate.last_sample + 1 for other in latest if _in_its_place(own, other)), 0)
    last = next((other.candidate.first_sample - 1 for other in earliest if _in_its_place(own, other)), total_frames - 1)
    return first, last


def _in_its_place(one: MeasuredMark, other: MeasuredMark) -> bool:
    """Whether two marks that were seen share pixels, and are not the same one, seen twice."""
    if one.candidate.is_exact or other.candidate.is_exact or not intersect(one.candidate.box, other.candidate.box):
        return False
    here, there = shared_slices(one.candidate.box, other.candidate.box)
    return bool((one.model.pixels[here] & other.model.pixels[there]).any()) and not are_similar(one, other)


def _extents_of(
    mark: MeasuredMark, frame_plan: FramePlan, crops: Crops, may_slide: bool, free: tuple[int, int], notes: Notes
) -> list[_Extent]:
    """The extents of one mark: one for each group of its parts with the same ends. free: the frames in which it may be."""
    candidate, model = mark.candidate, mark.model
    if not candidate.slack_frames:  # a person gave the frames, or the video has only one
        ends = candidate.first_sample, candidate.last_sample
        return [_Extent(mark.number, _placement(mark, ends, model, _dilation(frame_plan, crops, model, notes)))]
    filled = FilledCrops(crops, model.pixels)
    others = [frame for frame in (free[0] - 1, free[1] + 1) if frame in crops]
    parts = _find_parts(mark, frame_plan, filled, others, notes)
    groups: dict[tuple[int, int], _PartGroup] = {}
    for part in parts:
        ends, slides = _within(reconcile_ends(part, parts, candidate), free), list[ShiftedModel]()
        if may_slide and part.levels.clear:
            ends, slides = follow_slides(frame_plan, filled, part.model, ends, part.levels)
            slides = [slide for slide in slides if free[0] <= slide[0] <= free[1]]
        group = groups.setdefault(ends, _PartGroup(np.zeros_like(model.pixels)))
        group.pixels |= part.model.pixels
        group.slides += slides
    dilation = _dilation(frame_plan, crops, model, notes)
    return [
        _Extent(
            mark.number,
            _placement(mark, ends, replace(model, mask=group.pixels.astype(np.float32)), dilation),
            tuple(_placement(mark, (frame, frame), shifted, dilation) for frame, shifted in group.slides),
        )
        for ends, group in groups.items()
    ]


def _within(ends: tuple[int, int], free: tuple[int, int]) -> tuple[int, int]:
    return max(ends[0], free[0]), min(ends[1], free[1])


def _find_parts(mark: MeasuredMark, frame_plan: FramePlan, filled: FilledCrops, others: Sequence[int], notes: Notes) -> list[Part]:
    """The separate parts of a mark, such as its logo and its word, each with its ends, without those that are not clearly there.

    others: frames that show another mark in its place.
    """
    parts: list[Part] = []
    for number, pixels in enumerate(split_parts(mark.model.pixels)):
        model = replace(mark.model, mask=pixels.astype(np.float32))
        levels = score_levels(frame_plan, filled, model, others)
        ends = find_ends(mark.candidate, frame_plan, filled, model, levels)
        outcome = "dropped: not clearly there" if ends is None else "kept: clearly there" if levels.clear else "kept: not clearly there"
        notes.of_part(number)("presence score with the mark", levels.present, MIN_CLEAR_SCORE, outcome)
        if ends is not None:
            parts.append(Part(model, levels, ends))
    return parts


def _dilation(frame_plan: FramePlan, crops: Crops, model: MarkModel, notes: Notes) -> int:
    return dilation_pixels([crops[frame] for frame in frame_plan.marked_frames], model, notes)


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
        path=candidate.path,
    )
