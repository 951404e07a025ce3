"""Training samples: a piece of a clean clip with a mark drawn on it, compressed, and the exact truth.

Sample i is a function of (seed, i) alone, so a resumed run sees the same samples as an uninterrupted one.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models import preprocess
from service.pipeline.locate.segment import STILL_SECOND_SCALE
from training import augment, rendering, scenes
from training.detection import detected_probability
from training.patches import Patch
from training.rendering import Rendered
from training.scenes import VISIBLE, Scene, Source, window_on

Array = NDArray[np.float32]
Rng = np.random.Generator
Sample = dict[str, Array]

PASSES = (preprocess.ANALYSIS_LONG_SIDE_PIXELS, STILL_SECOND_SCALE * preprocess.ANALYSIS_LONG_SIDE_PIXELS, 0)  # long side; 0: full size
PASS_SHARES = (0.55, 0.2, 0.25)
UNMARKED_SHARE = 1 / 3  # of the segmenter's scenes
TEXT = 0.3  # a higher coverage is scene text
MARKED_FRAMES = (1, 2, 4, 8, 12, 12)  # numbers of marked frames for the matte network, as far as an interval has them
OBJECTS_SHARE, PAINTED_SHARE = 0.32, 0.25  # of the segmenter's scenes, and of its photos; with more, it missed marks in static scenes
MIN_STRIDE_FRAMES, MAX_STRIDE_FRAMES = 2, 24  # between the segmenter's frames: the service samples long stretches
LONG_EXPOSURE_SHARE, EXPOSURES = 0.2, 5  # share of the segmenter's samples whose frames are means of this many, as in the service
DETECTED_SHARE = 0.7  # of the matte network's samples that use the shipped segmenter's probability, if it finds the mark
MIN_SCALE = 0.33  # of the segmenter's first pass: that of a picture of 1080 lines
MIN_DETECTED = 0.25  # mean probability on the mark; with less it would not be a candidate

INPAINTER_KINDS = {
    "moving": 0.12, "moving_name": 0.04, "corner": 0.07, "faint": 0.08, "tiled": 0.08, "subtitle": 0.07, "subtitle_chinese": 0.05,
    "badge": 0.04, "logo": 0.06, "wordmark": 0.05, "emblem": 0.05, "diagonal": 0.04, "grid": 0.03, "bug": 0.04, "several": 0.02,
    "sticker": 0.02, "plate": 0.03, "handle": 0.03, "stamp": 0.02, "clock": 0.02, "crawl": 0.01, "bouncing": 0.02,
    "star": 0.04, "made_with": 0.07, "pill": 0.03, "fine_print": 0.02, "outlined_text": 0.06, "drifter": 0.04, "credits_roll": 0.01,
    "karaoke": 0.02, "vertical": 0.03, "pop_on": 0.03,
}  # fmt: skip
SEGMENTER_KINDS = {
    "moving": 0.08, "moving_name": 0.03, "corner": 0.10, "faint": 0.12, "tiled": 0.08, "subtitle": 0.05, "subtitle_chinese": 0.04,
    "badge": 0.03, "fading": 0.02, "emblem": 0.05, "diagonal": 0.04, "grid": 0.02, "logo": 0.04, "wordmark": 0.04, "bug": 0.04,
    "several": 0.02, "sticker": 0.01, "plate": 0.02, "handle": 0.02, "stamp": 0.01, "crawl": 0.01, "clock": 0.02, "bouncing": 0.01,
    "star": 0.06, "made_with": 0.09, "pill": 0.03, "fine_print": 0.04, "outlined_text": 0.06, "drifter": 0.04, "credits_roll": 0.02,
    "karaoke": 0.02, "vertical": 0.05, "pop_on": 0.04,
}  # fmt: skip


def segmenter_sample(source: Source, index: int, size: int = 224, frames: int = preprocess.SEGMENTER_FRAMES) -> Sample:
    """frames (T, 3, size, size) in [0, 1]; target (T, 2, size, size) of 0 and 1: overlay and scene text.

    In a long exposure, the target is what is marked in most of its frames.
    """
    rng = source.rng(index)
    exposures = EXPOSURES if rng.random() < LONG_EXPOSURE_SHARE else 1
    scene, indices = _segmenter_scene(source, rng, frames * exposures)
    native = max(size, min(int(size * _shrinking(scene, rng)), scene.height, scene.width)) // 2 * 2
    top, left = _window(scene, indices, native, rng)
    rendered = rendering.render(scene, indices[:1] if scene.is_picture else indices, top, left, native, rng)
    marked = as_published(scene, rendered, rng, rescaled_share=0.15).marked
    marked, alpha, text = (_fitted(x, size) for x in (marked, rendered.alpha, rendered.text))
    if scene.is_picture:  # the same picture at all times
        marked, alpha, text = (np.repeat(x, len(indices), 0) for x in (marked, alpha, text))
    pictures = _averaged_frames(marked.transpose(0, 3, 1, 2).astype(np.float32) / 255, exposures)
    target = np.stack([alpha > 0.04, text > TEXT], 1).astype(np.float32)
    return {"frames": pictures, "target": np.rint(_averaged_frames(target, exposures))}


def _shrinking(scene: Scene, rng: Rng) -> float:
    """By how much the scene is shrunk: mostly to the size of a pass of the service; else not."""
    analysis = float(rng.choice(PASSES, p=PASS_SHARES))
    return max(1.0, max(scene.height, scene.width) / analysis) if analysis else 1.0


def _averaged_frames(clip: Array, exposures: int) -> Array:
    """(T * exposures, ...) -> (T, ...): means of consecutive frames."""
    return clip.reshape(-1, exposures, *clip.shape[1:]).mean(1)


def _segmenter_scene(source: Source, rng: Rng, frames: int) -> tuple[Scene, list[int]]:
    """A random scene, with or without a mark and distractors, and the frames of the sample."""
    show_mistake = bool(source.mistakes) and rng.random() < source.mistake_share
    scene = (
        scenes.mistaken_scene(source, rng)
        if show_mistake
        else scenes.random_scene(source, rng, SEGMENTER_KINDS if rng.random() >= UNMARKED_SHARE else None, photo_share=0.4)
    )
    stride = min(_stride(rng), (scene.frames - 1) // (frames - 1))
    if not show_mistake and scene.other is None and rng.random() < OBJECTS_SHARE:
        scene = scenes.with_objects(scene, rng, source)
    if not show_mistake and stride and scene.other is None and rng.random() < PAINTED_SHARE:
        scene = scenes.with_painted_marks(scene, rng, source)
    if rng.random() < 0.08:
        scene = scenes.with_framing(scene, rng, source)
    start = int(rng.integers(0, max(1, scene.frames - stride * (frames - 1))))
    return scene, [min(start + i * stride, scene.frames - 1) for i in range(frames)]


def _stride(rng: Rng) -> int:
    """Frames from one sampled frame to the next, log-uniform; 0, a still picture, in a tenth of the samples."""
    if rng.random() < 0.1:
        return 0
    return round(float(np.exp(rng.uniform(np.log(MIN_STRIDE_FRAMES), np.log(MAX_STRIDE_FRAMES)))))


def _window(scene: Scene, indices: list[int], size: int, rng: Rng) -> tuple[int, int]:
    """(top, left) of the sample's window."""
    if (mistake := scene.mistake) is None:
        return window_on(scene, _focus(scene, indices, rng), size, rng)
    area = np.ones((mistake.height, mistake.width), np.float32)
    return window_on(scene, Patch(mistake.left, mistake.top, area, np.broadcast_to(area[..., None], (*area.shape, 3))), size, rng)


def _focus(scene: Scene, indices: list[int], rng: Rng) -> Patch | None:
    """What the window should contain: mostly the mark in one of the frames, else a distractor, or nothing in particular."""
    roll = rng.random()
    if scene.mark is not None and roll < 0.75:
        return scene.mark.patches[indices[rng.integers(len(indices))]]
    if scene.objects and roll < 0.95:
        return scene.objects[rng.integers(len(scene.objects))].patch
    return None


def _fitted(clip: NDArray, size: int) -> NDArray:
    """Scale (T, h, w[, 3]) down to about `size`, then pad or crop to exactly size x size."""
    scale = size / max(clip.shape[1:3])
    if scale < 1:
        clip = np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for f in clip])
    grow = [(0, 0), (0, max(0, size - clip.shape[1])), (0, max(0, size - clip.shape[2]))] + [(0, 0)] * (clip.ndim - 3)
    return np.pad(clip, grow, mode="edge")[:, :size, :size]


def as_published(scene: Scene, rendered: Rendered, rng: Rng, rescaled_share: float = 0.0) -> Rendered:
    """With the marked frames compressed as by a platform: a video, or a single picture."""
    if scene.is_picture:
        return replace(rendered, marked=augment.as_picture(rendered.marked[0], rng)[None])
    return replace(rendered, marked=augment.recompressed(rendered.marked, rng, rescaled_share))


def matte_sample(source: Source, index: int, size: int = 128) -> Sample:
    """statistics (MATTE_STATISTICS, size, size); means over the frames, in [0, 1]: opacity (1, ...), colour (3, ...), clean (3, ...)."""
    rng = source.rng(index)
    scene, anchor, interval = sample_interval(source, rng, photo_share=0.3)
    others = [i for i in range(scene.frames) if i not in set(interval)]
    with_mark = sorted(rng.choice(interval, min(len(interval), int(rng.choice(MARKED_FRAMES))), replace=False).tolist())
    without_mark = sorted(rng.choice(others, min(len(others), int(rng.integers(0, 5))), replace=False).tolist())
    count = len(with_mark)
    assert scene.mark is not None
    top, left = window_on(scene, scene.mark.patches[anchor], size + 32, rng)
    rendered = as_published(scene, rendering.render(scene, with_mark + without_mark, top, left, size + 32, rng), rng)
    rows, columns = inner(rendered.alpha.shape[1:], size)
    marked = rendered.marked.transpose(0, 3, 1, 2).astype(np.float32)[..., rows, columns] / 255
    alpha = rendered.alpha[:count].mean(0)[rows, columns]
    weight = rendered.alpha[:count, ..., None]
    colour = ((rendered.colour[:count] * weight).sum(0) / np.maximum(weight.sum(0), 1e-3))[rows, columns].transpose(2, 0, 1)
    probability = _probability(marked[:count], rendered.alpha[:count].max(0)[rows, columns], rng)
    statistics = preprocess.matte_statistics(marked[:count], probability, marked[count:])
    clean = rendered.clean[:count].mean(0)[rows, columns].transpose(2, 0, 1).astype(np.float32) / 255
    arrays = augment.flipped([square(a, size) for a in (statistics, alpha[None], colour, clean)], rng)
    return dict(zip(("statistics", "opacity", "colour", "clean"), arrays, strict=True))


def sample_interval(source: Source, rng: Rng, photo_share: float) -> tuple[Scene, int, list[int]]:
    """A random marked scene, one of its marked frames, and all frames of that frame's interval."""
    scene = scenes.random_scene(source, rng, INPAINTER_KINDS, photo_share)
    assert scene.mark is not None
    visible = scene.mark.visible()
    anchor = visible[rng.integers(len(visible))]
    return scene, anchor, scene.mark.interval_of(anchor)


def inner(shape: tuple[int, ...], size: int) -> tuple[slice, slice]:
    """The central size x size of a larger window, whose edges were compressed with their surroundings, as in real videos."""
    top, left = max(0, (shape[0] - size) // 2), max(0, (shape[1] - size) // 2)
    return slice(top, top + size), slice(left, left + size)


def square(array: Array, size: int) -> Array:
    """Pad or crop (..., H, W) to (..., size, size), repeating the edges."""
    grow = [(0, 0)] * (array.ndim - 2) + [(0, max(0, size - array.shape[-2])), (0, max(0, size - array.shape[-1]))]
    return np.pad(array, grow, mode="edge")[..., :size, :size].astype(np.float32)


def _probability(crops: Array, alpha: Array, rng: Rng) -> Array:
    """The shipped segmenter's probability (h, w), if it finds the mark; otherwise, and sometimes anyway, an imitation."""
    if rng.random() < DETECTED_SHARE:
        probability = detected_probability(crops, min(1.0, float(rng.uniform(MIN_SCALE, 1.3))))
        if probability[alpha > VISIBLE].sum() > MIN_DETECTED * (alpha > VISIBLE).sum():
            return probability
    return _imitated_segmentation(alpha, rng)


def _imitated_segmentation(alpha: Array, rng: Rng) -> Array:
    """Imitate a segmenter's probability (h, w): soft, slightly too thick or too thin, with missing or extra parts."""
    mask = (alpha > VISIBLE).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    roll = rng.random()
    mask = cv2.dilate(mask, kernel) if roll < 0.35 else cv2.erode(mask, kernel) if roll < 0.45 else mask
    if rng.random() < 0.3:
        wrong = cv2.resize(rng.random((6, 6)).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        mask = np.where(wrong > 0.9, rng.uniform(0, 1), mask).astype(np.float32)
    if rng.random() < 0.5:
        mask = _with_parts_missing(mask, rng)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.2)), 0, 1)


def _with_parts_missing(mask: Array, rng: Rng) -> Array:
    """Remove one or two rectangles, as a segmenter may find only some letters of a faint word; at least a third remains."""
    found, (height, width) = mask.copy(), mask.shape
    for _ in range(int(rng.integers(1, 3))):
        rows, columns = (np.sort(rng.integers(0, extent + 1, 2)) for extent in (height, width))
        if rng.random() < 0.5:  # the full height, like letters
            rows = np.array([0, height])
        found[rows[0] : rows[1], columns[0] : columns[1]] *= rng.choice([0, 0, rng.uniform(0, 0.5)])
    return found if 3 * found.sum() >= mask.sum() else mask
