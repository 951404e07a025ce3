"""The metrics of one method on one scene, accumulated frame by frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Scene, bars
from benchmarks.marks import IN_BAR
from service.pipeline.placement import Placement
from training.metrics import (
    MARKED,
    SSIM_WINDOW_PIXELS,
    Mask,
    Mean,
    Moments,
    Picture,
    f1,
    flicker,
    ghost,
    masked_share,
    motion,
    psnr,
    squared_error,
    ssim,
)  # fmt: skip

AWAY_PIXELS = 12  # pixels count as `outside` if farther than this from any mark of the clip
SSIM_EVERY_FRAMES = 5
STAIN = 0.25  # distance from the truth, of a channel in [0, 1], of what counts as a stain
RESTORED = 0.1  # the same, at most, of what a classical fill restores
FOUND_F1 = 0.7  # a frame's mark counts as found at this F1 or more


@dataclass(frozen=True)
class Score:
    """PSNR in dB inside the mark and away from it, and the temporal metrics inside; None where there is nothing to measure."""

    hole: float | None
    outside: float | None
    flicker: float | None
    ghost: float | None
    ssim: float | None


@dataclass(frozen=True)
class Found:
    """How well the mark was located. `masked_share`: masked share of all pixels; `masked_unmarked_share`: the same in unmarked frames.

    `longest_miss_frames`: the longest run of consecutive marked frames with F1 below 0.7.
    """

    f1_share: float | None
    f1_mean: float | None
    masked_share: float
    masked_unmarked_share: float | None
    longest_miss_frames: int | None


@dataclass
class _Sums:
    hole: Mean = field(default_factory=Mean)
    outside: Mean = field(default_factory=Mean)
    result_motion: Mean = field(default_factory=Mean)
    truth_motion: Mean = field(default_factory=Mean)
    ghost: Moments = field(default_factory=Moments)
    ssim: Mean = field(default_factory=Mean)


def score(pictures: Iterable[Picture], scene: Scene, away: Mask | None = None) -> Score:
    """Compare a method's pictures with the clean ones. `away`: (H, W) pixels that count as outside, see `away_from_mark`.

    Raises ValueError if the numbers of pictures differ.
    """
    sums = _Sums()
    previous: tuple[Picture, Picture, Mask] | None = None
    for index, (picture, truth, alpha) in enumerate(zip(pictures, scene.clean.pictures, scene.alphas(), strict=True)):
        where = alpha > MARKED
        if away is not None:
            sums.outside += squared_error(picture, truth, away)
        if where.any():
            _add_marked(sums, picture, truth, alpha)
            if previous is not None:
                both = where & previous[2]
                sums.result_motion += motion(previous[0], picture, both)
                sums.truth_motion += motion(previous[1], truth, both)
            if index % SSIM_EVERY_FRAMES == 0:
                box = _box_around(where)
                sums.ssim += Mean(ssim(picture[box], truth[box]), 1)
        previous = picture, truth, where
    return Score(
        psnr(sums.hole), psnr(sums.outside), flicker(sums.result_motion, sums.truth_motion), sums.ghost.correlation, sums.ssim.value
    )


def _add_marked(sums: _Sums, picture: Picture, truth: Picture, alpha: NDArray[np.float32]) -> None:
    sums.hole += squared_error(picture, truth, alpha > MARKED)
    sums.ghost += ghost(picture, truth, alpha)


def _box_around(where: Mask) -> tuple[slice, slice]:
    """The bounding box of a mask, at least one SSIM window in size."""
    return _span(where.any(axis=1)), _span(where.any(axis=0))


def _span(marked: Mask) -> slice:
    places = np.flatnonzero(marked)
    first, last = int(places[0]), int(places[-1]) + 1
    missing = max(0, SSIM_WINDOW_PIXELS - (last - first))
    first = max(0, min(first - missing // 2, len(marked) - SSIM_WINDOW_PIXELS))
    return slice(first, max(last, first + SSIM_WINDOW_PIXELS))


def stained_share(pictures: Iterable[Picture], fills: Iterable[Picture], scene: Scene) -> float:
    """Of the given region's pixels that the classical fill restores, the share that is stained: far from the truth."""
    stained = restored = 0
    for picture, fill, truth, where in zip(pictures, fills, scene.clean.pictures, scene.regions(), strict=True):
        ours, theirs = (np.abs(one[where].astype(np.float32) - truth[where]).max(-1) / 255 for one in (picture, fill))
        stained += int(((ours > STAIN) & (theirs <= RESTORED)).sum())
        restored += int((theirs <= RESTORED).sum())
    return stained / max(1, restored)


def bar_level(pictures: Iterable[Picture], scene: Scene) -> int | None:
    """The brightest value, of 255, in the black bars of any picture; None of a scene without bars."""
    if scene.mark.kind != IN_BAR:
        return None
    return max(int(picture[bars(len(picture))].max()) for picture in pictures)


def away_from_mark(scene: Scene) -> Mask | None:
    """The pixels (H, W) farther than `AWAY_PIXELS` from any mark of the clip and any region given; None if there are none."""
    touched = reduce(np.logical_or, scene.regions(), scene.ever_marked())
    if not touched.any():
        return np.ones(scene.size, bool)
    away = cv2.distanceTransform((~touched).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > AWAY_PIXELS
    return away if away.any() else None


def found(placements: Sequence[Placement], scene: Scene) -> Found:
    """Compare the masks of the placements with the true ones, frame by frame."""
    qualities: list[float | None] = []  # F1 by frame; None without a mark
    masked, unmarked = Mean(), Mean()
    for index, alpha in enumerate(scene.alphas()):
        mask, truth = mask_of(placements, index, scene.size), alpha > MARKED
        masked += masked_share(mask)
        qualities.append(f1(mask, truth) if truth.any() else None)
        if qualities[-1] is None:
            unmarked += masked_share(mask)
    known = [quality for quality in qualities if quality is not None]
    share, mean = (float(np.mean(values)) if known else None for values in ([q >= FOUND_F1 for q in known], known))
    return Found(share, mean, masked.value or 0.0, unmarked.value, longest_miss(qualities) if known else None)


def longest_miss(qualities: Sequence[float | None]) -> int:
    """The longest run of frames whose F1 is below 0.7; a frame without a mark (None) ends a run."""
    missed = (quality is not None and quality < FOUND_F1 for quality in qualities)
    return max((len(list(run)) for is_missed, run in groupby(missed) if is_missed), default=0)


def mask_of(placements: Sequence[Placement], frame_index: int, size: tuple[int, int]) -> Mask:
    """The pixels (H, W) that the placements change in a frame."""
    mask = np.zeros(size, bool)
    for placement in placements:
        if placement.covers(frame_index):
            mask[placement.box.slices] |= placement.mask > 0.5
    return mask
