"""Chooses the reference frames for a piece of a frame, and finds the shift that aligns them. Pure, in NumPy and OpenCV.

Hidden pixels can be seen in other frames: a mark that jumps uncovers the place where it was, and a moving scene carries the hidden part
out from behind the mark. So references are chosen by how much of the hole they show once the motion of the surroundings is compensated.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask

REACH_FRAMES = 32  # a more distant frame probably shows another scene
OFFSETS = (2, 4, 7, 10, 14, 18, 23, 28, 32)  # frame distances that are searched, on both sides
NEAR_FRAMES = 2  # distance of a neighbour: the same scene, moved a little
FAR_FRAMES = 10  # distance where no frame uncovers anything: at least its codec noise differs
REFERENCES = 4
REACH_PIXELS = 32  # largest motion between consecutive searched frames that can be followed, at full size
SHRINK = 2  # motion is measured at half the size
GOOD_SHARE = 0.9  # of the best reference's new pixels: a nearer frame that shows at least this share is preferred
MIN_UNCOVERED_SHARE = 0.03  # of the hole; a distant reference must uncover at least this
MIN_OVERLAP_SHARE = 0.1  # of the surroundings; both frames must show at least this for a shift to be accepted
GRID_PIXELS = 8  # references are cut out moved by multiples of this, so that one encoding of a frame serves many targets
MAX_SHIFT_RESIDUAL = 0.5  # difference over the surroundings' standard deviation; above it there is a cut between the frames
NOISE = 2e-4  # mean square of what two frames of one scene may differ by, in brightness of [0, 1]
GAUSSIAN_MEDIAN = 1.4826  # standard deviation of a normal distribution over the median of its absolute values
MIN_STAYING_SPREAD = 0.25  # of the surroundings' variance: where most stays but less varies there, both frames may only share a plain wall
MAX_CHANGE_RESIDUAL = 1.0  # the same for distant frames; above it something has entered or left a scene of which most does not stay


@dataclass(frozen=True)
class Shift:
    """Where the content of a piece of one frame lies in another: (dy, dx) full-size pixels away. `matched`: whether it was found at all."""

    dy: float
    dx: float
    matched: bool = True


@dataclass(frozen=True)
class Reference:
    """A frame, and the whole pixels by which its crop is shifted."""

    frame: int
    dy: int
    dx: int


@dataclass(frozen=True)
class Alignment:
    """A reference frame, and where the content of the target's crop lies in it, (dy, dx) pixels away."""

    frame: int
    dy: float
    dx: float

    @property
    def on_grid(self) -> Reference:
        """The crop nearest to it among those that are moved by multiples of GRID_PIXELS."""
        return Reference(self.frame, GRID_PIXELS * round(self.dy / GRID_PIXELS), GRID_PIXELS * round(self.dx / GRID_PIXELS))


HiddenPixels = Callable[[Reference], Mask]  # the pixels (h, w) of a reference's crop that are marked or outside the picture


def shrunk(grey: Floats) -> Floats:
    """Shrink (h, w) to the size at which motion is measured; at least 8 pixels a side."""
    size = max(8, grey.shape[1] // SHRINK), max(8, grey.shape[0] // SHRINK)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def shift_between(
    one: Floats,
    other: Floats,
    known: Floats,
    shown: Floats | None = None,
    reach: int = REACH_PIXELS // SHRINK,
    max_residual: float = MAX_SHIFT_RESIDUAL,
    may_stand: bool = True,
) -> Shift:
    """Find where the content of `one` lies in `other`, both (h, w) shrunk grey pictures in [0, 1] of the same box.

    `known` and `shown` (h, w) are 1 where `one` and `other` show the scene; without `shown`, all of `other` does. Minimises the mean
    squared difference of the pixels that both show, over all whole shifts within `reach` shrunk pixels, and refines the minimum with a
    parabola. `max_residual`: the largest difference of a match, in standard deviations of the surroundings. `may_stand`: where most of
    the scene stays as it is, its shift is 0, whatever moves across it. Returns full-size pixels.
    """
    height, width = one.shape
    reach = min(reach, height // 3, width // 3)
    inner = slice(reach, height - reach), slice(reach, width - reach)
    template, weight = one[inner], known[inner]
    total = float(weight.sum())
    if total < 16:
        return Shift(0.0, 0.0, matched=False)
    mean = float((template * weight).sum()) / total
    template, other = template - np.float32(mean), other - np.float32(mean)  # small values lose little precision when they cancel
    everything = np.ones_like(other) if shown is None else shown
    errors = _differences(template, other, weight, everything)
    spread = float((np.square(template) * weight).sum()) / total
    errors += _distance_penalty(reach) * np.float32(1e-5 + 0.02 * spread)
    _, _, (x, y), _ = cv2.minMaxLoc(errors)
    dy, dx = summit(errors, y, x)
    found = Shift(SHRINK * (y - reach + dy), SHRINK * (x - reach + dx), float(errors[y, x]) < max_residual**2 * spread + NOISE)
    is_near = max(abs(y - reach), abs(x - reach)) <= 1
    if not may_stand or (is_near and found.matched):
        return found
    standing, moved = (_differences_at(template, other, weight, everything, *place) for place in ((reach, reach), (y, x)))
    if _fits_better(moved[0], standing[0]) or not _mostly_stays(*standing, spread):
        return found
    return replace(found, matched=True) if is_near else Shift(0.0, 0.0)


def _differences(template: Floats, other: Floats, weight: Floats, shown: Floats) -> Floats:
    """Mean squared difference at every position of the template in `other`, over the pixels that both show; 1 where those are too few."""
    shared = _correlated(shown, weight)
    squares = _correlated(shown * other * other, weight) + _correlated(shown, weight * template * template)
    sums = squares - 2 * _correlated(shown * other, weight * template)
    enough = shared > MIN_OVERLAP_SHARE * weight.sum()
    return np.where(enough, np.maximum(sums, 0) / np.maximum(shared, 1), np.float32(1)).astype(np.float32, copy=False)


def _differences_at(template: Floats, other: Floats, weight: Floats, shown: Floats, y: int, x: int) -> tuple[Floats, Floats]:
    """The absolute differences (N,) at one position of the template in `other`, of the pixels that both show, and the template there."""
    height, width = template.shape
    place = slice(y, y + height), slice(x, x + width)
    both = (weight > 0.5) & (shown[place] > 0.5)
    return (np.abs(template - other[place])[both], template[both]) if both.any() else (np.ones(1, np.float32), np.zeros(1, np.float32))


def _usual(differences: Floats) -> float:
    """The standard deviation of differences (N,), whatever less than half of them do (Rousseeuw and Leroy, "Robust regression and outlier
    detection", 1987).
    """
    return GAUSSIAN_MEDIAN * float(np.median(differences))


def _fits_better(one: Floats, other: Floats) -> bool:
    """Whether the differences (N,) of one shift are less than those of another; what differs much counts like what differs clearly."""
    most = (3 * min(_usual(one), _usual(other))) ** 2 + NOISE
    return bool(np.minimum(np.square(one), most).mean() < np.minimum(np.square(other), most).mean())


def _mostly_stays(differences: Floats, template: Floats, spread: float) -> bool:
    """Whether a scene stays although things move across it: most differences (N,) are small, and what they are of, (N,), has structure."""
    usual = _usual(differences)
    stays = template[differences <= 3 * usual]
    return usual < MAX_SHIFT_RESIDUAL * math.sqrt(spread) and float(stays.var()) > MIN_STAYING_SPREAD * spread


def _correlated(picture: Floats, template: Floats) -> Floats:
    """The sum of products at every position of the template in the picture."""
    return cv2.matchTemplate(picture, template, cv2.TM_CCORR).astype(np.float32, copy=False)


@cache
def _distance_penalty(reach: int) -> Floats:
    """(2 * reach + 1) squared, growing from 0 with the distance: it keeps the shift of a flat picture at zero."""
    axis = np.arange(-reach, reach + 1, dtype=np.float32) / max(1, reach)
    return np.hypot(axis[:, None], axis[None, :]).astype(np.float32)


def summit(values: NDArray[Any], row: int, column: int) -> tuple[float, float]:
    """Offset (y, x) from the extremum of a map (h, w) to its top or bottom between the pixels, by parabolas along its row and column."""
    return vertex(values[:, column], row), vertex(values[row], column)


def vertex(values: NDArray[Any], place: int) -> float:
    """Offset from the extremum at index `place` to the vertex of the parabola through it and its neighbours, in [-0.5, 0.5]."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[place - 1 : place + 2])
    bend = before - 2 * here + after
    return 0.0 if bend == 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def choose(target: int, hole: Mask, candidates: Sequence[Reference], hidden: HiddenPixels) -> tuple[Reference, ...]:
    """Choose REFERENCES frames for `target`: its two neighbours, and those that uncover most of the hole (h, w).

    The result depends on the arguments alone, so cleaning a video in windows equals cleaning it whole. Near a cut or at an end of the
    video there may be few `candidates`; the target itself takes the remaining places.
    """
    itself = Reference(target, 0, 0)
    near = [_nearest(candidates, target - NEAR_FRAMES), _nearest(candidates, target + NEAR_FRAMES)]
    shown = {c: hole & ~hidden(c) for c in candidates}
    remaining, far = hole, list[Reference]()
    for _ in range(REFERENCES - len(near)):
        gains = {c: np.count_nonzero(shown[c] & remaining) for c in candidates if c not in far}
        best = max(gains.values(), default=0)
        if best == 0 or best < MIN_UNCOVERED_SHARE * np.count_nonzero(hole):
            break
        far.append(min((c for c, gain in gains.items() if gain >= GOOD_SHARE * best), key=lambda c: (abs(c.frame - target), c.frame)))
        remaining = remaining & ~shown[far[-1]]
    for side in (-1, 1):
        if len(far) < REFERENCES - len(near):
            far.append(_nearest([c for c in candidates if c not in far], target + side * FAR_FRAMES) or itself)
    return tuple(reference or itself for reference in (*near, *far))


def _nearest(candidates: Sequence[Reference], frame: int) -> Reference | None:
    """The candidate nearest to a frame; None without candidates."""
    return min(candidates, key=lambda c: (abs(c.frame - frame), c.frame), default=None)
