"""The inpainter's samples: a marked frame, frames that may show what it hides, what is believed of the mark; and the clean frames.

Sample number i is a function of (seed, i) alone, as in `samples.py`. References are chosen as the service chooses them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import references
from models.references import Reference
from training import augment, rendering, watermarks
from training.rendering import Rendered
from training.samples import Sample, inner, square, stay_of
from training.scenes import VISIBLE, Scene, Source, window_on

Array = NDArray[np.float32]
Rng = np.random.Generator
Slices = tuple[slice, slice]

LOOKED_AT = 4  # distances that are looked at, on both sides: fewer than in serving, for the time it takes
UNSURE_PIXELS = 2  # by which a frame's motion is often wrong
LOST_PIXELS = 28  # by which it is now and then: what is there belongs to another place, and is to be refused
LOST_SHARE = 0.08
OPAQUE, HIDING_SHARE = 0.95, 0.3  # a mark of whose pixels so many are as opaque hides the scene
RIMMED_SHARE = 0.85  # of these: some are as a mark that the scene shines through
STEADY = 1e-3  # change of an opacity from frame to frame


@dataclass(frozen=True)
class Look:
    """What is believed of the mark in a frame: opacity and doubt (H, W), colour (H, W, 3), and where it may be (H, W) of 0 and 1."""

    opacity: Array
    colour: Array
    opacity_sigma: Array
    mask: Array


def inpainter_sample(source: Source, index: int, size: int = 96) -> Sample:
    """The inpainter's inputs (1+R, ...), clean (1+R, 3, size, size) and hole (1, size, size): where the target's mark is."""
    rng = source.rng(index)
    scene, target, stay = stay_of(source, rng, photo_share=0.15)
    assert scene.mark is not None
    frames = _looked_at(target, scene.frames, rng)
    wide = size + 2 * references.REACH_PIXELS
    top, left = window_on(scene, scene.mark.patches[target], wide, rng)
    rendered = rendering.render(scene, frames, top, left, wide, rng)
    window, now = inner(rendered.alpha.shape[1:], size), frames.index(target)
    hole = rendered.alpha[now][window] > VISIBLE
    chosen = references.choose(target, _grown(hole, 5), _found_again(rendered, frames, now, rng), _cover(rendered, frames, window))
    used = sorted({target, *(r.frame for r in chosen)})
    order = [frames.index(i) for i in used]
    shown = dict(zip(used, augment.published(rendered.marked[order], rng), strict=True))
    looks = dict(zip(used, _believed(scene, used, stay, (top, left), rendered, order, rng), strict=True))
    rows = [_row(r, shown, looks, rendered.clean[frames.index(r.frame)], window) for r in (Reference(target, 0, 0), *chosen)]
    arrays = [square(np.stack([row[key] for row in rows]), size) for key in rows[0]] + [square(hole[None].astype(np.float32), size)]
    return dict(zip((*rows[0], "hole"), augment.flipped(arrays, rng), strict=True))


def _looked_at(target: int, total: int, rng: Rng) -> list[int]:
    """The target and some frames at the distances that are looked at in serving; the neighbours always."""
    offsets = {references.NEAR_FRAMES, *rng.choice(references.OFFSETS, LOOKED_AT, replace=False).tolist()}
    return sorted({i for d in {0, *offsets} for i in (target - d, target + d) if 0 <= i < total})


def _found_again(rendered: Rendered, frames: list[int], now: int, rng: Rng) -> list[Reference]:
    """The frames in which the surroundings of the target were found again, and where; often a little wrong, now and then quite."""
    greys = [references.shrunk(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255) for frame in rendered.clean]
    known = references.shrunk(1 - _grown(rendered.alpha[now] > VISIBLE, 7).astype(np.float32))
    found = []
    for place, frame in enumerate(frames):
        if place == now:
            continue
        shift = references.shift_between(greys[now], greys[place], (known > 0.9).astype(np.float32))
        most = LOST_PIXELS if rng.random() < LOST_SHARE else UNSURE_PIXELS if rng.random() < 0.5 else 0
        error = rng.integers(-most, most + 1, 2)
        dy, dx = round(shift.dy) + int(error[0]), round(shift.dx) + int(error[1])
        if shift.matched and max(abs(dy), abs(dx)) <= references.REACH_PIXELS:
            found.append(Reference(frame, dy, dx))
    return found


def _cover(rendered: Rendered, frames: list[int], window: Slices) -> references.HiddenPixels:
    return lambda r: _moved(rendered.alpha[frames.index(r.frame)], window, r, outside=1) > VISIBLE


def _believed(
    scene: Scene, used: list[int], stay: list[int], corner: tuple[int, int], rendered: Rendered, order: list[int], rng: Rng
) -> list[Look]:
    """What the steps before would tell of the mark in each used frame: one opacity, its mean, for all frames of the target's stay."""
    assert scene.mark is not None
    shape = rendered.alpha.shape[1:]
    drawn = np.stack([watermarks.placed(scene.mark.patches[i], *shape, *corner)[0] for i in stay[:: max(1, len(stay) // 6)]])
    staying, kept = set(stay), dict[bool, Look]()
    side, looks = int(rng.integers(2, 6)), []
    hides = (drawn > OPAQUE).sum() > HIDING_SHARE * (drawn > VISIBLE).sum() and rng.random() < RIMMED_SHARE
    for frame, place in zip(used, order, strict=True):
        alpha = drawn.mean(0, dtype=np.float32) if frame in staying else rendered.alpha[place]
        if frame not in staying or True not in kept:
            spread = drawn.std(0, dtype=np.float32) if frame in staying else np.zeros(shape, np.float32)
            scene_now = rendered.clean[place].astype(np.float32) / 255
            mask = _grown(np.maximum(alpha, drawn.max(0) if frame in staying else 0) > VISIBLE, side).astype(np.float32)
            if hides and spread.max() < STEADY:
                seen = augment.rimmed(alpha, rendered.colour[place], scene_now, mask, rng)
            else:
                seen = augment.misjudged(alpha, spread, rendered.colour[place], scene_now, rng)
            look = Look(*seen, mask)
            if frame in staying:
                kept[True] = look
        looks.append(kept[True] if frame in staying else look)
    return looks


def _row(moved: Reference, shown: dict[int, NDArray[np.uint8]], looks: dict[int, Look], clean: NDArray[np.uint8], window: Slices) -> Sample:
    """One frame as the network gets it, (C, h, w) each."""
    look = looks[moved.frame]
    return {
        "frames": _moved(shown[moved.frame], window, moved).transpose(2, 0, 1).astype(np.float32) / 255,
        "mask": _moved(look.mask, window, moved, outside=1)[None],
        "opacity": _moved(look.opacity, window, moved, outside=1)[None],
        "colour": _moved(look.colour, window, moved).transpose(2, 0, 1),
        "doubt": _moved(look.opacity_sigma, window, moved, outside=0)[None],
        "clean": _moved(clean, window, moved).transpose(2, 0, 1).astype(np.float32) / 255,
    }


def _moved(array: NDArray, window: Slices, moved: Reference, outside: float | None = None) -> NDArray:
    """The inner window, moved with the scene; beyond the array `outside`, or its edge repeated."""
    rows, columns = window
    ys = np.arange(rows.start, min(rows.stop, array.shape[0])) + moved.dy
    xs = np.arange(columns.start, min(columns.stop, array.shape[1])) + moved.dx
    cut_out = array[ys.clip(0, array.shape[0] - 1)[:, None], xs.clip(0, array.shape[1] - 1)]
    if outside is None:
        return cut_out
    inside = ((ys >= 0) & (ys < array.shape[0]))[:, None] & ((xs >= 0) & (xs < array.shape[1]))
    return np.where(inside, cut_out, np.float32(outside)).astype(np.float32)


def _grown(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
