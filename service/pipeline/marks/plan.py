"""What is to be looked at again: a place, the frames that surely show the mark, and those that may tell where it ends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.references import REACH_FRAMES
from service.pipeline.placement import Box, Kind, intersect
from service.pipeline.video import VideoInfo

Floats = NDArray[np.float32]

CONTEXT_PIXELS = 16  # around a mark: what the networks need to see of the scene
MARKED_FRAMES = 12  # looked at while the mark is there
MIN_MARKED_FRAMES, MAX_MARKED_PIXELS = 4, 6_000_000  # of a mark as large as the picture, whose crops memory has to hold
SEARCH_SAMPLES = 6  # beyond the samples that showed a mark to look for its ends: some may have missed it before a busy scene
BARE_FRAME_OFFSETS = (1, 6, 18, REACH_FRAMES)  # beyond the search for the ends: frames that may show what the mark hides

LatticeVector = tuple[float, float]  # (y, x) in pixels


@dataclass(frozen=True)
class Candidate:
    """A place to be measured: box in native pixels with context, probability (h, w) in it, and the frames that surely show the mark."""

    box: Box
    probability: Floats = field(repr=False)
    first_sample: int
    last_sample: int
    confidence: float
    kind: Kind
    slack_frames: int  # from one sample to the next; 0 where a person gave the exact frames
    exact_mask: bool = False  # the mask was given and is not to be refined
    confirmed: bool = True  # a mark by itself; otherwise only if it looks like one that is
    scale: float = 0.0  # of the picture in which it was seen, to the video's; 0 where a person pointed at it
    static: bool = False  # seen in every part of the video
    lattice: tuple[LatticeVector, LatticeVector] | None = None  # in native pixels, of a mark that repeats over the picture


@dataclass(frozen=True)
class FramePlan:
    """Which frames of a candidate are wanted: with the mark, without it, and around both ends."""

    marked_frames: tuple[int, ...]
    bare_frames: tuple[int, ...]
    end_frames: tuple[int, ...]


def plan_frames(candidate: Candidate, all_of_them: Sequence[Candidate], total_frames: int) -> FramePlan:
    """The frames of one candidate among all; its place is not bare where another one has it."""
    first, last, slack = candidate.first_sample, candidate.last_sample, candidate.slack_frames
    count = min(MARKED_FRAMES, max(MIN_MARKED_FRAMES, MAX_MARKED_PIXELS // (candidate.box.width * candidate.box.height)))
    marked = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    if not slack:
        return FramePlan(tuple(marked), (), ())
    reach = SEARCH_SAMPLES * slack
    ends = [*range(first - reach, first + 2 * slack), *range(last - 2 * slack + 1, last + reach + 1)]
    others = [c for c in all_of_them if c is not candidate and intersect(c.box, candidate.box)]
    away = [first - reach - d for d in BARE_FRAME_OFFSETS] + [last + reach + d for d in BARE_FRAME_OFFSETS]
    bare = [
        i
        for i in away
        if 0 <= i < total_frames and not any(c.first_sample - c.slack_frames <= i <= c.last_sample + c.slack_frames for c in others)
    ]
    return FramePlan(tuple(marked), tuple(bare[:2] + bare[-2:]), tuple(i for i in ends if 0 <= i < total_frames))


def expanded(box: Box, pixels: int, info: VideoInfo) -> Box:
    """The box with `pixels` around it, as far as the picture goes."""
    return box.expanded(pixels, info.width, info.height)
