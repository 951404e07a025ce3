"""Joins the pieces of one placement that were measured as several marks. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.arrays import Floats
from service.pipeline.locate.track import MAX_MISSES
from service.pipeline.marks.candidate import Candidate, Origin
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.marks.mark_model import MarkModel, crop_model
from service.pipeline.marks.similarity import correlation
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.measure.pool import MIN_CORRELATION
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, intersect, shared_slices

COMPARED_PIXELS = 9  # around the smaller of two pieces, which are compared only there: one may lack letters that the other has


def join_pieces(marks: Sequence[MeasuredMark], decisions: Decisions = UNRECORDED) -> list[MeasuredMark]:
    """The marks, with those merged that lie in one place, look alike, and follow each other as closely as the samples of one track."""
    joined: list[MeasuredMark] = []
    for mark in sorted(marks, key=lambda m: m.candidate.first_sample):
        pieces = [other for other in joined if _is_same_placement(other, mark, decisions)]
        joined = [other for other in joined if not any(other is piece for piece in pieces)]
        for piece in pieces:
            mark = _merge(piece, mark)
        joined.append(mark)
    return joined


def _is_same_placement(one: MeasuredMark, other: MeasuredMark, decisions: Decisions) -> bool:
    """Whether two marks are pieces of one placement. What a person pointed at stays as it is."""
    early, late = one.candidate, other.candidate
    if early.is_exact or late.is_exact or early.in_line or late.in_line or early.kind != late.kind or not intersect(early.box, late.box):
        return False
    gap_frames = max(early.first_sample, late.first_sample) - min(early.last_sample, late.last_sample)
    return gap_frames <= (MAX_MISSES + 1) * max(early.slack_frames, late.slack_frames) and are_similar(one, other, decisions)


def are_similar(one: MeasuredMark, other: MeasuredMark, decisions: Decisions = UNRECORDED) -> bool:
    """Whether the larger mark contains the smaller one's shape: the correlation of both, near the smaller one."""
    small, large = sorted((one, other), key=lambda m: float(m.model.mask.sum()))
    in_small, in_large = shared_slices(small.candidate.box, large.candidate.box)
    shared = small.model.pixels[in_small]
    if float(shared.sum()) < MIN_CORRELATION * float(small.model.mask.sum()):
        return False
    near = dilate(shared, COMPARED_PIXELS)
    inks = [_ink(m.model)[..., place[0], place[1]][:, near] for m, place in ((small, in_small), (large, in_large))]
    similarity = correlation(*inks)
    outcome = f"joined with candidate {large.number}" if similarity > MIN_CORRELATION else f"unlike candidate {large.number}"
    decisions.about("candidate", small.number)("correlation with a mark in the same place", similarity, MIN_CORRELATION, outcome)
    return similarity > MIN_CORRELATION


def _ink(model: MarkModel) -> Floats:
    """(4, h, w): how much the mark covers, and how light it is there in each colour, which may tell letters from their outline."""
    covering = model.mask * model.opacity
    return np.concatenate([covering[None], covering * (2 * model.colour - 1)])


def _merge(one: MeasuredMark, other: MeasuredMark) -> MeasuredMark:
    """One mark from the first to the last frame of both: the larger one's model, and the smaller one's where only that has mark."""
    large, small = sorted((one, other), key=lambda m: -float(m.model.mask.sum()))
    first, second = large.candidate, small.candidate
    box = Box(
        min(first.box.left, second.box.left),
        min(first.box.top, second.box.top),
        max(first.box.right, second.box.right),
        max(first.box.bottom, second.box.bottom),
    )
    large_model, small_model = (_model_in(box, mark) for mark in (large, small))
    keep = large_model.pixels | (small_model.mask < 0.5)
    planes = zip(vars(large_model).values(), vars(small_model).values(), strict=True)
    model = MarkModel(*(np.where(keep, kept, added) for kept, added in planes))
    candidate = replace(
        first,
        box=box,
        first_sample=min(first.first_sample, second.first_sample),
        last_sample=max(first.last_sample, second.last_sample),
        slack_frames=max(first.slack_frames, second.slack_frames),
        origin=_stronger_origin(first, second),
    )
    return MeasuredMark(candidate, model, max(large.confidence, small.confidence), large.number)


def _stronger_origin(one: Candidate, other: Candidate) -> Origin:
    """The origin of a mark found in two ways: of the candidate that spans the video; else of a confirmed one."""
    return max((one, other), key=lambda c: (c.spans_video, c.confirmed)).origin


def _model_in(box: Box, mark: MeasuredMark) -> MarkModel:
    """The mark's model in another box."""
    own = mark.candidate.box
    return crop_model(mark.model, box.top - own.top, box.left - own.left, box.height, box.width)
