"""Which frames of a candidate are read again: some that show the mark, some that show its bare place, and all around both ends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.references import REACH_FRAMES
from service.pipeline.marks.candidate import Candidate
from service.pipeline.placement import intersect

CONTEXT_PIXELS = 16  # around a mark: what the networks need to see of the scene
MARKED_FRAMES = 12  # that are read of the frames that show the mark
MIN_MARKED_FRAMES, MAX_MARKED_PIXELS = 4, 6_000_000  # the same of a mark as large as the picture, whose crops have to fit into memory
SEARCH_SAMPLES = 6  # beyond the samples that showed a mark, where its ends are looked for: the segmenter may miss it over a busy scene
BARE_FRAME_OFFSETS = (1, 6, 18, REACH_FRAMES)  # beyond that search: frames that may show what the mark hides


@dataclass(frozen=True)
class FramePlan:
    """The frame indices to read: with the mark, without it, and around both of its ends."""

    marked_frames: tuple[int, ...]
    bare_frames: tuple[int, ...]
    end_frames: tuple[int, ...]


def plan_frames(candidate: Candidate, candidates: Sequence[Candidate], total_frames: int) -> FramePlan:
    """The frames to read of one candidate. Its place is not bare while another candidate covers it."""
    first, last, slack = candidate.first_sample, candidate.last_sample, candidate.slack_frames
    count = min(MARKED_FRAMES, max(MIN_MARKED_FRAMES, MAX_MARKED_PIXELS // (candidate.box.width * candidate.box.height)))
    marked = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    if not slack:
        return FramePlan(tuple(marked), (), ())
    reach = SEARCH_SAMPLES * slack
    ends = [*range(first - reach, first + 2 * slack), *range(last - 2 * slack + 1, last + reach + 1)]
    others = [c for c in candidates if c is not candidate and intersect(c.box, candidate.box)]
    away = [first - reach - d for d in BARE_FRAME_OFFSETS] + [last + reach + d for d in BARE_FRAME_OFFSETS]
    bare = [
        i
        for i in away
        if 0 <= i < total_frames and not any(c.first_sample - c.slack_frames <= i <= c.last_sample + c.slack_frames for c in others)
    ]
    return FramePlan(tuple(marked), tuple(bare[:2] + bare[-2:]), tuple(i for i in ends if 0 <= i < total_frames))
