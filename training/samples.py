"""Training samples: a piece of a clean clip, a mark drawn on it, compressed; and the exact truth.

Sample number i is a function of (seed, i) alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models import preprocess
from training import augment, rendering, scenes
from training.patches import Patch
from training.rendering import Rendered
from training.scenes import VISIBLE, Scene, Source, window_on
from training.sighted import sighted

Array = NDArray[np.float32]
Rng = np.random.Generator
Sample = dict[str, Array]

TEXT = 0.3  # coverage above this is scene text
COVERED_FRAMES = (1, 2, 4, 8, 12, 12)  # that the matte head is shown; 12 where a stay has them
THINGS_SHARE, PAINTED_SHARE = 0.32, 0.25  # of the segmenter's scenes, and of its photos: with more it grew shy of marks in still scenes
LEAST_STRIDE_FRAMES, MOST_STRIDE_FRAMES = 2, 24  # of the segmenter's frames: serving looks at long stretches
EXPOSED_SHARE, EXPOSURES = 0.2, 5  # of the segmenter's samples; each of their looks is the mean of so many frames, as in serving
SIGHTED_SHARE = 0.7  # of the matte head's samples begin with what the segmenter sees, in so far as that is of use
LEAST_SCALE = 0.33  # of the whole picture when the segmenter first sees it: that of 1080 lines
LEAST_SIGHTED = 0.25  # mean probability on the mark: what is seen less is no candidate

INPAINTER_KINDS = {
    "moving": 0.14, "moving_name": 0.05, "corner": 0.07, "faint": 0.08, "tiled": 0.08, "subtitle": 0.06, "subtitle_chinese": 0.04,
    "badge": 0.05, "logo": 0.08, "wordmark": 0.06, "emblem": 0.06, "diagonal": 0.04, "grid": 0.03, "bug": 0.05, "several": 0.03,
    "sticker": 0.03, "plate": 0.03, "handle": 0.04, "stamp": 0.03, "clock": 0.02, "crawl": 0.01, "bouncing": 0.02,
}  # fmt: skip
SEGMENTER_KINDS = {
    "moving": 0.09, "moving_name": 0.04, "corner": 0.11, "faint": 0.13, "tiled": 0.11, "subtitle": 0.05, "subtitle_chinese": 0.03,
    "badge": 0.03, "fading": 0.02, "emblem": 0.07, "diagonal": 0.05, "grid": 0.03, "logo": 0.06, "wordmark": 0.04, "bug": 0.04,
    "several": 0.02, "sticker": 0.01, "plate": 0.02, "handle": 0.02, "stamp": 0.02, "crawl": 0.01, "clock": 0.01, "bouncing": 0.01,
}  # fmt: skip


def segmenter_sample(source: Source, index: int, size: int = 224, frames: int = preprocess.SEGMENTER_FRAMES) -> Sample:
    """frames (T, 3, size, size) in [0, 1]; target (T, 2, size, size): overlay, which of an exposed look is what stands, scene text."""
    rng = source.rng(index)
    scale = float(rng.choice([1, 1.5, 2, 2]))  # the clips are twice the analysis size: most see the mark as the first pass does
    exposures = EXPOSURES if rng.random() < EXPOSED_SHARE else 1
    scene, indices = _watched(source, rng, frames * exposures)
    native = max(size, min(int(size * scale), scene.height, scene.width)) // 2 * 2  # a small clip is looked at from nearer
    top, left = _window(scene, indices, native, rng)
    rendered = rendering.render(scene, indices, top, left, native, rng)
    marked = augment.published(rendered.marked, rng, rescaled_share=0.15)
    marked, alpha, text = (_fitted(x, size) for x in (marked, rendered.alpha, rendered.text))
    pictures = _exposed(marked.transpose(0, 3, 1, 2).astype(np.float32) / 255, exposures)
    target = np.stack([alpha > 0.04, text > TEXT], 1).astype(np.float32)
    return {"frames": pictures, "target": np.rint(_exposed(target, exposures))}


def _exposed(clip: Array, exposures: int) -> Array:
    """(T * exposures, ...) -> (T, ...): the mean of so many neighbours."""
    return clip.reshape(-1, exposures, *clip.shape[1:]).mean(1)


def _watched(source: Source, rng: Rng, frames: int) -> tuple[Scene, list[int]]:
    """A scene with or without a mark, with things in it that are none, and the frames of it to look at."""
    again = bool(source.mistakes) and rng.random() < source.mistake_share
    scene = (
        scenes.mistaken(source, rng)
        if again
        else scenes.scene(source, rng, SEGMENTER_KINDS if rng.random() < 0.7 else None, photo_share=0.4)
    )
    stride = min(_stride(rng), (scene.frames - 1) // (frames - 1))
    if not again and scene.other is None and rng.random() < THINGS_SHARE:
        scene = scenes.with_things(scene, rng, source)
    if not again and stride and scene.other is None and rng.random() < PAINTED_SHARE:
        scene = scenes.with_painted_marks(scene, rng, source)
    if rng.random() < 0.08:
        scene = scenes.with_framing(scene, rng, source)
    start = int(rng.integers(0, max(1, scene.frames - stride * (frames - 1))))
    return scene, [min(start + i * stride, scene.frames - 1) for i in range(frames)]


def _stride(rng: Rng) -> int:
    """Frames between two looks, log-uniform; a tenth of the samples is one still picture."""
    if rng.random() < 0.1:
        return 0
    return round(float(np.exp(rng.uniform(np.log(LEAST_STRIDE_FRAMES), np.log(MOST_STRIDE_FRAMES)))))


def _window(scene: Scene, indices: list[int], size: int, rng: Rng) -> tuple[int, int]:
    """(top, left) of the window that is looked at."""
    if (found := scene.mistake) is None:
        return window_on(scene, _focus(scene, indices, rng), size, rng)
    there = np.ones((found.height, found.width), np.float32)
    return window_on(scene, Patch(found.left, found.top, there, np.broadcast_to(there[..., None], (*there.shape, 3))), size, rng)


def _focus(scene: Scene, indices: list[int], rng: Rng) -> Patch | None:
    """What the window is to hold: mostly the mark, in one of the frames; else a thing that is none, or nothing."""
    roll = rng.random()
    if scene.mark is not None and roll < 0.75:
        return scene.mark.patches[indices[rng.integers(len(indices))]]
    if scene.things and roll < 0.95:
        return scene.things[rng.integers(len(scene.things))].patch
    return None


def _fitted(clip: NDArray, size: int) -> NDArray:
    """(T, h, w[, 3]) scaled down by area to about `size`, then padded or cut to exactly size x size."""
    scale = size / max(clip.shape[1:3])
    if scale < 1:
        clip = np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for f in clip])
    grow = [(0, 0), (0, max(0, size - clip.shape[1])), (0, max(0, size - clip.shape[2]))] + [(0, 0)] * (clip.ndim - 3)
    return np.pad(clip, grow, mode="edge")[:, :size, :size]


def _published(rendered: Rendered, rng: Rng) -> Rendered:
    """With the marked frames as they come from a platform."""
    return replace(rendered, marked=augment.published(rendered.marked, rng))


def matte_sample(source: Source, index: int, size: int = 128) -> Sample:
    """statistics (MATTE_STATISTICS, size, size); opacity (1, ...); colour (3, ...); clean (3, ...), the mean of the clean frames."""
    rng = source.rng(index)
    scene, anchor, stay = stay_of(source, rng, photo_share=0.3)
    hidden = [i for i in range(scene.frames) if i not in set(stay)]
    covered = sorted(rng.choice(stay, min(len(stay), int(rng.choice(COVERED_FRAMES))), replace=False).tolist())
    uncovered = sorted(rng.choice(hidden, min(len(hidden), int(rng.integers(0, 5))), replace=False).tolist())
    assert scene.mark is not None
    top, left = window_on(scene, scene.mark.patches[anchor], size + 32, rng)
    rendered = _published(rendering.render(scene, covered + uncovered, top, left, size + 32, rng), rng)
    rows, columns = inner(rendered.alpha.shape[1:], size)
    marked = rendered.marked.transpose(0, 3, 1, 2).astype(np.float32)[..., rows, columns] / 255
    alpha = rendered.alpha[: len(covered)].mean(0)[rows, columns]
    weight = rendered.alpha[: len(covered), ..., None]
    colour = ((rendered.colour[: len(covered)] * weight).sum(0) / np.maximum(weight.sum(0), 1e-3))[rows, columns].transpose(2, 0, 1)
    probability = _probability(marked[: len(covered)], rendered.alpha[: len(covered)].max(0)[rows, columns], rng)
    statistics = preprocess.matte_statistics(marked[: len(covered)], probability, marked[len(covered) :])
    clean = rendered.clean[: len(covered)].mean(0)[rows, columns].transpose(2, 0, 1).astype(np.float32) / 255
    arrays = augment.flipped([square(a, size) for a in (statistics, alpha[None], colour, clean)], rng)
    return dict(zip(("statistics", "opacity", "colour", "clean"), arrays, strict=True))


def stay_of(source: Source, rng: Rng, photo_share: float) -> tuple[Scene, int, list[int]]:
    """A marked scene, one of its marked frames, and every frame in which the mark is at the same place."""
    scene = scenes.scene(source, rng, INPAINTER_KINDS, photo_share)
    assert scene.mark is not None
    visible = scene.mark.visible()
    anchor = visible[rng.integers(len(visible))]
    return scene, anchor, scene.mark.stay(anchor)


def inner(shape: tuple[int, ...], size: int) -> tuple[slice, slice]:
    """The middle size x size of a larger window: compression looked beyond its edges, as in life."""
    top, left = max(0, (shape[0] - size) // 2), max(0, (shape[1] - size) // 2)
    return slice(top, top + size), slice(left, left + size)


def square(array: Array, size: int) -> Array:
    grow = [(0, 0)] * (array.ndim - 2) + [(0, max(0, size - array.shape[-2])), (0, max(0, size - array.shape[-1]))]
    return np.pad(array, grow, mode="edge")[..., :size, :size].astype(np.float32)


def _probability(crops: Array, alpha: Array, rng: Rng) -> Array:
    """What the segmenter sees of the mark, where it sees it; else, and for other segmenters, something like it."""
    if rng.random() < SIGHTED_SHARE:
        seen = sighted(crops, min(1.0, float(rng.uniform(LEAST_SCALE, 1.3))))
        if seen[alpha > VISIBLE].sum() > LEAST_SIGHTED * (alpha > VISIBLE).sum():
            return seen
    return _as_segmented(alpha, rng)


def _as_segmented(alpha: Array, rng: Rng) -> Array:
    """The mark's extent as a segmenter would have it: soft, a bit too thick or too thin, with parts missing or too much."""
    mask = (alpha > VISIBLE).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    roll = rng.random()
    mask = cv2.dilate(mask, kernel) if roll < 0.35 else cv2.erode(mask, kernel) if roll < 0.45 else mask
    if rng.random() < 0.3:
        wrong = cv2.resize(rng.random((6, 6)).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        mask = np.where(wrong > 0.9, rng.uniform(0, 1), mask).astype(np.float32)
    if rng.random() < 0.5:
        mask = _overlooked(mask, rng)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.2)), 0, 1)


def _overlooked(mask: Array, rng: Rng) -> Array:
    """Without what lies in one or two rectangles: of a faint word the segmenter may see some letters only. At least a third is seen."""
    seen, (height, width) = mask.copy(), mask.shape
    for _ in range(int(rng.integers(1, 3))):
        rows, columns = (np.sort(rng.integers(0, extent + 1, 2)) for extent in (height, width))
        if rng.random() < 0.5:  # from top to bottom, as letters are
            rows = np.array([0, height])
        seen[rows[0] : rows[1], columns[0] : columns[1]] *= rng.choice([0, 0, rng.uniform(0, 0.5)])
    return seen if 3 * seen.sum() >= mask.sum() else mask
