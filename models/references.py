"""Which other frames help to restore a piece of a frame, and where the same piece of the scene lies in them. Pure, in NumPy and OpenCV.

Borrow what was hidden from frames in which it is not: a mark that jumps uncovers its place, and a scene that moves carries what it
hides out from behind it. So references are chosen by what they show of the hole, after the motion of the surroundings is taken out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

REACH_FRAMES = 32  # a frame farther away shows another scene as likely as not
OFFSETS = (2, 4, 7, 10, 14, 18, 23, 28, 32)  # distances that are looked at, on both sides
NEAR_FRAMES = 2  # a neighbour: the same scene moved a little
FAR_FRAMES = 10  # taken where no frame uncovers anything: the noise of the codec at least is another one there
REFERENCES = 4
REACH_PIXELS = 32  # motion from one looked-at frame to the next that can be followed, at full size
SHRINK = 2  # motion is measured on pictures of half the size
GOOD_SHARE = 0.9  # of the best reference's new pixels: a nearer frame that shows as much is better
LEAST_SHARE = 0.03  # of the hole that a reference must uncover to be worth its distance
LEAST_SHARED = 0.1  # of the surroundings that must be shown by both frames for a shift to be believed
STRANGE = 0.5  # of the surroundings' own spread: a difference above it is another scene, a cut lies between
CHANGED = 1.0  # the same for frames far apart: above it something has come into the scene or gone


@dataclass(frozen=True)
class Shift:
    """Where a piece of one frame lies in another: its content is found (dy, dx) pixels away; `alike` tells if it was found at all."""

    dy: float
    dx: float
    alike: bool = True


@dataclass(frozen=True)
class Reference:
    """A frame and the whole pixels by which its crop is moved."""

    frame: int
    dy: int
    dx: int


Cover = Callable[[Reference], Mask]  # which pixels (h, w) of a reference's crop are marked or outside the picture


def shrunk(grey: Array) -> Array:
    """(h, w) at the size at which motion is measured."""
    size = max(8, grey.shape[1] // SHRINK), max(8, grey.shape[0] // SHRINK)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def shift_between(
    one: Array, other: Array, known: Array, shown: Array | None = None, reach: int = REACH_PIXELS // SHRINK, strange: float = STRANGE
) -> Shift:
    """Where the content of `one` lies in `other`, both (h, w) shrunk greys of the same box.

    `known` and `shown` (h, w) are 1 where `one` and `other` show the scene; without `shown` all of `other` does. The mean squared
    difference over all whole shifts within the reach, of the pixels that both show, then a parabola. In full-size pixels.
    """
    height, width = one.shape
    reach = min(reach, height // 3, width // 3)
    inner = slice(reach, height - reach), slice(reach, width - reach)
    template, weight = one[inner], known[inner]
    total = float(weight.sum())
    if total < 16:
        return Shift(0.0, 0.0, alike=False)
    mean = float((template * weight).sum()) / total
    template, other = template - np.float32(mean), other - np.float32(mean)  # small numbers: little is lost when they cancel out
    errors = _differences(template, other, weight, np.ones_like(other) if shown is None else shown)
    spread = float((np.square(template) * weight).sum()) / total
    errors += _reluctance(reach) * np.float32(1e-5 + 0.02 * spread)
    _, _, (x, y), _ = cv2.minMaxLoc(errors)
    least = float(errors[y, x])
    alike = least < strange**2 * spread + 2e-4
    return Shift(SHRINK * (y - reach + vertex(errors[:, x], y)), SHRINK * (x - reach + vertex(errors[y], x)), alike)


def _differences(template: Array, other: Array, weight: Array, shown: Array) -> Array:
    """Mean squared difference at every place of the template in `other`, over the pixels that both show; 1 where those are too few."""
    shared = _correlated(shown, weight)
    squares = _correlated(shown * other * other, weight) + _correlated(shown, weight * template * template)
    sums = squares - 2 * _correlated(shown * other, weight * template)
    enough = shared > LEAST_SHARED * weight.sum()
    return np.where(enough, np.maximum(sums, 0) / np.maximum(shared, 1), np.float32(1)).astype(np.float32, copy=False)


def _correlated(picture: Array, template: Array) -> Array:
    """The sum of products at every place of the template in the picture."""
    return cv2.matchTemplate(picture, template, cv2.TM_CCORR).astype(np.float32, copy=False)


def _reluctance(reach: int) -> Array:
    """What a shift must gain to be believed: grows from 0 with the distance, so that a flat picture stands still."""
    axis = np.arange(-reach, reach + 1, dtype=np.float32) / max(1, reach)
    return np.hypot(axis[:, None], axis[None, :]).astype(np.float32)


def vertex(values: Array, place: int) -> float:
    """How far from `place`, the least or largest of its neighbours, their parabola turns: half a pixel at most."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[place - 1 : place + 2])
    bend = before - 2 * here + after
    return 0.0 if bend == 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def choose(target: int, hole: Mask, candidates: Sequence[Reference], covered: Cover) -> tuple[Reference, ...]:
    """The REFERENCES frames to lay beside `target`: its two neighbours, and those that uncover most of the hole (h, w).

    Depends on nothing but its arguments, so that a video cleaned in windows equals the video cleaned whole. `candidates` may be few
    near a cut or at an end.
    """
    itself = Reference(target, 0, 0)
    near = [_nearest(candidates, target - NEAR_FRAMES), _nearest(candidates, target + NEAR_FRAMES)]
    shown = {c: hole & ~covered(c) for c in candidates}
    left, far = hole, list[Reference]()
    for _ in range(REFERENCES - len(near)):
        gains = {c: int((shown[c] & left).sum()) for c in candidates if c not in far}
        best = max(gains.values(), default=0)
        if best == 0 or best < LEAST_SHARE * hole.sum():
            break
        far.append(min((c for c, gain in gains.items() if gain >= GOOD_SHARE * best), key=lambda c: (abs(c.frame - target), c.frame)))
        left = left & ~shown[far[-1]]
    for side in (-1, 1):
        if len(far) < REFERENCES - len(near):
            far.append(_nearest([c for c in candidates if c not in far], target + side * FAR_FRAMES) or itself)
    return tuple(reference or itself for reference in (*near, *far))


def _nearest(candidates: Sequence[Reference], frame: int) -> Reference | None:
    """The candidate nearest to a frame; None of none."""
    return min(candidates, key=lambda c: (abs(c.frame - frame), c.frame), default=None)
