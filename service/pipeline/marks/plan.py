"""Plan which frames are read again for a candidate: some with the mark, some without it, and all frames around its two ends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.references import REACH_FRAMES
from service.pipeline.marks.candidate import Candidate
from service.pipeline.placement import intersect

CONTEXT_PIXELS = 16  # pixels of the scene that the networks need to see around a mark
MARKED_FRAMES = 12  # frames read from the interval that shows the mark
MIN_MARKED_FRAMES = 4  # the same for a mark as large as the picture, whose crops have to fit into memory
SEARCH_SAMPLES = 6  # samples beyond the first and last detection in which an end may lie: the segmenter may miss a mark over a busy scene
BARE_FRAME_OFFSETS = (1, 6, 18, REACH_FRAMES)  # frames beyond that search; these may show the scene without the mark


@dataclass(frozen=True)
class FramePlan:
    """The indices of the frames to read. marked: with the mark. bare: without it. end: around its first and last frame."""

    marked_frames: tuple[int, ...]
    bare_frames: tuple[int, ...]
    end_frames: tuple[int, ...]


def plan_frames(candidate: Candidate, candidates: Sequence[Candidate], total_frames: int, crop_pixels: int) -> FramePlan:
    """The frames to read for one candidate of all `candidates`. A frame in which another candidate overlaps its box is not bare.

    crop_pixels: of all crops with the mark together; a larger mark is read from fewer frames.
    """
    first, last, slack = candidate.first_sample, candidate.last_sample, candidate.slack_frames
    count = min(MARKED_FRAMES, max(MIN_MARKED_FRAMES, crop_pixels // (candidate.box.width * candidate.box.height)))
    marked = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    if not slack:
        return FramePlan(tuple(marked), (), ())
    search = SEARCH_SAMPLES * slack
    ends = [*range(first - search, first + 2 * slack), *range(last - 2 * slack + 1, last + search + 1)]
    overlapping = [c for c in candidates if c is not candidate and intersect(c.box, candidate.box)]
    beyond = [first - search - d for d in BARE_FRAME_OFFSETS] + [last + search + d for d in BARE_FRAME_OFFSETS]
    bare = [i for i in beyond if 0 <= i < total_frames and not any(_may_cover(c, i) for c in overlapping)]
    return FramePlan(tuple(marked), tuple(bare[:2] + bare[-2:]), tuple(i for i in ends if 0 <= i < total_frames))


def plan_all(candidates: Sequence[Candidate], total_frames: int, crop_pixels: int) -> list[FramePlan]:
    """The frames to read for each of the candidates."""
    return [plan_frames(candidate, candidates, total_frames, crop_pixels) for candidate in candidates]


def _may_cover(candidate: Candidate, index: int) -> bool:
    """Whether a candidate may be present in a frame."""
    return candidate.first_sample - candidate.slack_frames <= index <= candidate.last_sample + candidate.slack_frames
