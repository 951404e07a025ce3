"""Step 5 in between: one stay of a mark that was seen in pieces, here in time and there in space, as one mark. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.pipeline.locate.track import MAX_MISSES
from service.pipeline.marks.candidate import Candidate, Origin
from service.pipeline.marks.mark_model import MarkModel, crop_model
from service.pipeline.marks.similarity import correlation
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.measure.pool import MIN_CORRELATION
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, intersect, shared_slices

Floats = NDArray[np.float32]

COMPARED_PIXELS = 9  # around the smaller of two pieces: only there they are compared, as one may lack letters that the other has
MIN_PIECE_SHARE = 0.1  # of a mark's pixels: what is smaller says too little


def join_pieces(marks: Sequence[MeasuredMark]) -> list[MeasuredMark]:
    """The marks in which those are one that lie in one place, look alike there, and follow each other as closely as a stay's samples do."""
    whole: list[MeasuredMark] = []
    for mark in sorted(marks, key=lambda m: m.candidate.first_sample):
        pieces = [other for other in whole if _is_same_placement(other, mark)]
        whole = [other for other in whole if not any(other is piece for piece in pieces)]
        for piece in pieces:
            mark = _merge(piece, mark)
        whole.append(mark)
    return whole


def _is_same_placement(one: MeasuredMark, other: MeasuredMark) -> bool:
    early, late = one.candidate, other.candidate
    if early.by_user or late.by_user or early.kind != late.kind or not intersect(early.box, late.box):
        return False
    apart = max(early.first_sample, late.first_sample) - min(early.last_sample, late.last_sample)
    return apart <= (MAX_MISSES + 1) * max(early.slack_frames, late.slack_frames) and _similar(one, other)


def _similar(one: MeasuredMark, other: MeasuredMark) -> bool:
    """Whether the smaller one's shape is there in the larger one too: the correlation of both, near the smaller one."""
    small, large = sorted((one, other), key=lambda m: float(m.model.mask.sum()))
    here, there = shared_slices(small.candidate.box, large.candidate.box)
    shared = small.model.mask[here] > 0.5
    if float(shared.sum()) < max(MIN_CORRELATION * float(small.model.mask.sum()), MIN_PIECE_SHARE * float(large.model.mask.sum())):
        return False
    near = dilate(shared, COMPARED_PIXELS)
    shape, other_shape = ((m.model.mask * m.model.opacity)[place][near] for m, place in ((small, here), (large, there)))
    return correlation(shape, other_shape) > MIN_CORRELATION


def _merge(one: MeasuredMark, other: MeasuredMark) -> MeasuredMark:
    """One mark from the first to the last frame of both: the larger one's look, and the smaller one's where that has none."""
    large, small = sorted((one, other), key=lambda m: -float(m.model.mask.sum()))
    first, second = large.candidate, small.candidate
    box = Box(
        min(first.box.left, second.box.left),
        min(first.box.top, second.box.top),
        max(first.box.right, second.box.right),
        max(first.box.bottom, second.box.bottom),
    )
    kept, added = (_model_in(box, m) for m in (large, small))
    own = (kept.mask > 0.5) | (added.mask < 0.5)
    model = MarkModel(*(np.where(own, a, b) for a, b in zip(vars(kept).values(), vars(added).values(), strict=True)))
    candidate = replace(
        first,
        box=box,
        first_sample=min(first.first_sample, second.first_sample),
        last_sample=max(first.last_sample, second.last_sample),
        slack_frames=max(first.slack_frames, second.slack_frames),
        origin=_stronger(first, second),
    )
    return MeasuredMark(candidate, model, max(large.confidence, small.confidence))


def _stronger(one: Candidate, other: Candidate) -> Origin:
    """The origin of a mark found in two ways: that of the candidate which spans the video, else of a confirmed one."""
    return max((one, other), key=lambda c: (c.spans_video, c.confirmed)).origin


def _model_in(box: Box, mark: MeasuredMark) -> MarkModel:
    own = mark.candidate.box
    return crop_model(mark.model, box.top - own.top, box.left - own.left, box.height, box.width)
