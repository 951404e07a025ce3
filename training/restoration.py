"""Training samples of the inpainter: a marked frame, its reference frames, the mark models, and the clean frames.

Sample i is a function of (seed, i) alone, as in `samples.py`. References are chosen as in the service.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models import references
from models.references import Reference
from training import augment, rendering, watermarks
from training.rendering import Rendered
from training.samples import Sample, as_published, inner, sample_interval, square
from training.scenes import VISIBLE, Scene, Source, window_on

Array = NDArray[np.float32]
Rng = np.random.Generator
Slices = tuple[slice, slice]

SEARCHED_DISTANCES = 4  # frame distances searched on both sides; fewer than in the service, to save time
USUAL_ERROR_PIXELS = 2  # common error of an estimated shift
GROSS_ERROR_PIXELS = 28  # occasional error, after which the reference shows another place and must be rejected
GROSS_ERROR_SHARE = 0.08
OPAQUE, OPAQUE_SHARE = 0.95, 0.3  # a mark with at least this share of pixels of at least this opacity counts as opaque
EDGE_ALPHA_SHARE = 0.85  # of opaque marks that get edge alpha; the others are treated as translucent
PER_FRAME = ("frames", "mask", "opacity", "colour", "doubt", "clean")  # the arrays of a sample with a row for each frame
OUTSIDE = {"mask": 1.0, "opacity": 1.0, "doubt": 0.0}  # beyond a picture's edge, where its pixels are repeated
MAX_STATIC_CHANGE = 1e-3  # largest standard deviation of a static mark's opacity over frames


@dataclass(frozen=True)
class MarkModel:
    """The mark model of a frame: opacity and opacity sigma (H, W), colour (H, W, 3), all in [0, 1], and mask (H, W) of 0 and 1."""

    opacity: Array
    colour: Array
    opacity_sigma: Array
    mask: Array


def inpainter_sample(source: Source, index: int, size: int = 96) -> Sample:
    """An `aligned_sample` whose references are cut out on the grid, as in the service."""
    return cut_on_grid(aligned_sample(source, index, size), source.rng(index))


def aligned_sample(source: Source, index: int, size: int = 96) -> Sample:
    """The inpainter's inputs (1+R, C, size, size), clean (1+R, 3, size, size), and hole (1, size, size), 1 where the target's mark is."""
    rng = source.rng(index)
    scene, target, interval = sample_interval(source, rng, photo_share=0.15)
    assert scene.mark is not None
    frames = _candidate_frames(target, scene.frames, rng)
    padded_size = size + 2 * references.REACH_PIXELS
    top, left = window_on(scene, scene.mark.patches[target], padded_size, rng)
    rendered = rendering.render(scene, frames, top, left, padded_size, rng)
    window, position = inner(rendered.alpha.shape[1:], size), frames.index(target)
    hole = rendered.alpha[position][window] > VISIBLE
    candidates = _aligned_candidates(rendered, frames, position, rng)
    chosen = references.choose(target, _dilated(hole, 5), candidates, _hidden_pixels(rendered, frames, window))
    used = sorted({target, *(r.frame for r in chosen)})
    positions = [frames.index(i) for i in used]
    marked = dict(zip(used, as_published(scene, replace(rendered, marked=rendered.marked[positions]), rng).marked, strict=True))
    mark_models = dict(zip(used, _mark_models(scene, used, interval, (top, left), rendered, positions, rng), strict=True))
    rows = [_row(r, marked, mark_models, rendered.clean[frames.index(r.frame)], window) for r in (Reference(target, 0, 0), *chosen)]
    arrays = [square(np.stack([row[key] for row in rows]), size) for key in rows[0]] + [square(hole[None].astype(np.float32), size)]
    return dict(zip((*rows[0], "hole"), augment.flipped(arrays, rng), strict=True))


def cut_on_grid(sample: Sample, rng: Rng) -> Sample:
    """References moved by the remainders of random shifts on the service's grid, and `shift` (1+R, 2): these, as (dx, dy) in pixels."""
    half = references.GRID_PIXELS // 2
    shift = rng.integers(-half, half + 1, (len(sample["frames"]), 2))
    shift[0] = 0
    moved = {key: np.stack([_moved(x, *s, OUTSIDE.get(key)) for x, s in zip(sample[key], shift, strict=True)]) for key in PER_FRAME}
    return {**sample, **moved, "shift": shift.astype(np.float32)}


def _moved(planes: Array, dx: int, dy: int, outside: float | None) -> Array:
    """(C, H, W) with its content moved by (dx, dy); what moves in is `outside`, or the edge is repeated."""
    window = slice(0, planes.shape[1]), slice(0, planes.shape[2])
    return np.ascontiguousarray(_shifted(planes.transpose(1, 2, 0), window, Reference(0, -dy, -dx), outside).transpose(2, 0, 1))


def _candidate_frames(target: int, total: int, rng: Rng) -> list[int]:
    """The target, its neighbours, and some frames at the distances that the service searches."""
    offsets = {references.NEAR_FRAMES, *rng.choice(references.OFFSETS, SEARCHED_DISTANCES, replace=False).tolist()}
    return sorted({i for d in {0, *offsets} for i in (target - d, target + d) if 0 <= i < total})


def _aligned_candidates(rendered: Rendered, frames: list[int], target: int, rng: Rng) -> list[Reference]:
    """The frames that match the target's surroundings, with their shifts, which are often slightly and sometimes grossly wrong."""
    greys = [references.shrunk(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255) for frame in rendered.clean]
    known = references.shrunk(1 - _dilated(rendered.alpha[target] > VISIBLE, 7).astype(np.float32))
    found = []
    for position, frame in enumerate(frames):
        if position == target:
            continue
        shift = references.shift_between(greys[target], greys[position], (known > 0.9).astype(np.float32))
        limit = GROSS_ERROR_PIXELS if rng.random() < GROSS_ERROR_SHARE else USUAL_ERROR_PIXELS if rng.random() < 0.5 else 0
        error = rng.integers(-limit, limit + 1, 2)
        dy, dx = round(shift.dy) + int(error[0]), round(shift.dx) + int(error[1])
        if shift.matched and max(abs(dy), abs(dx)) <= references.REACH_PIXELS:
            found.append(Reference(frame, dy, dx))
    return found


def _hidden_pixels(rendered: Rendered, frames: list[int], window: Slices) -> references.HiddenPixels:
    return lambda r: _shifted(rendered.alpha[frames.index(r.frame)], window, r, outside=1) > VISIBLE


def _mark_models(
    scene: Scene, used: list[int], interval: list[int], corner: tuple[int, int], rendered: Rendered, positions: list[int], rng: Rng
) -> list[MarkModel]:
    """The mark model of each used frame, as measured by the preceding steps: one, with the mean opacity, for the target's interval."""
    assert scene.mark is not None
    shape = rendered.alpha.shape[1:]
    drawn = np.stack([watermarks.placed(scene.mark.patches[i], *shape, *corner)[0] for i in interval[:: max(1, len(interval) // 6)]])
    dilation, interval_model, mark_models = int(rng.integers(2, 6)), None, list[MarkModel]()
    opaque = (drawn > OPAQUE).sum() > OPAQUE_SHARE * (drawn > VISIBLE).sum() and rng.random() < EDGE_ALPHA_SHARE
    for frame, position in zip(used, positions, strict=True):
        if frame in interval:
            mean, spread = drawn.mean(0, dtype=np.float32), drawn.std(0, dtype=np.float32)
            mask = _dilated(np.maximum(mean, drawn.max(0)) > VISIBLE, dilation)
            interval_model = interval_model or _measured(mean, spread, mask, rendered, position, opaque, rng)
            mark_models.append(interval_model)
        else:
            alpha = rendered.alpha[position]
            mask = _dilated(alpha > VISIBLE, dilation)
            mark_models.append(_measured(alpha, np.zeros(shape, np.float32), mask, rendered, position, opaque, rng))
    return mark_models


def _measured(alpha: Array, spread: Array, mask: NDArray[np.bool_], rendered: Rendered, position: int, opaque: bool, rng: Rng) -> MarkModel:
    """The mark model of a rendered frame with typical errors. alpha, spread (its standard deviation over frames), mask: (H, W)."""
    colour, clean, where = rendered.colour[position], rendered.clean[position].astype(np.float32) / 255, mask.astype(np.float32)
    if opaque and spread.max() < MAX_STATIC_CHANGE:
        return MarkModel(*augment.with_edge_alpha(alpha, colour, where, rng), where)
    return MarkModel(*augment.with_matte_errors(alpha, spread, colour, clean, rng), where)


def _row(
    reference: Reference, marked: dict[int, NDArray[np.uint8]], mark_models: dict[int, MarkModel], clean: NDArray[np.uint8], window: Slices
) -> Sample:
    """The inputs of one frame, each (C, h, w)."""
    model = mark_models[reference.frame]
    return {
        "frames": _shifted(marked[reference.frame], window, reference).transpose(2, 0, 1).astype(np.float32) / 255,
        "mask": _shifted(model.mask, window, reference, OUTSIDE["mask"])[None],
        "opacity": _shifted(model.opacity, window, reference, OUTSIDE["opacity"])[None],
        "colour": _shifted(model.colour, window, reference).transpose(2, 0, 1),
        "doubt": _shifted(model.opacity_sigma, window, reference, OUTSIDE["doubt"])[None],
        "clean": _shifted(clean, window, reference).transpose(2, 0, 1).astype(np.float32) / 255,
    }


def _shifted(array: NDArray, window: Slices, reference: Reference, outside: float | None = None) -> NDArray:
    """Cut the window of (H, W[, C]), shifted with the scene; outside the array it is `outside`, or the edge is repeated."""
    rows, columns = window
    ys = np.arange(rows.start, min(rows.stop, array.shape[0])) + reference.dy
    xs = np.arange(columns.start, min(columns.stop, array.shape[1])) + reference.dx
    cut_out = array[ys.clip(0, array.shape[0] - 1)[:, None], xs.clip(0, array.shape[1] - 1)]
    if outside is None:
        return cut_out
    inside = ((ys >= 0) & (ys < array.shape[0]))[:, None] & ((xs >= 0) & (xs < array.shape[1]))
    return np.where(inside.reshape(*inside.shape, *[1] * (array.ndim - 2)), cut_out, np.float32(outside)).astype(np.float32)


def _dilated(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
