"""Training samples: a piece of a clean clip, a mark drawn on it, compressed; and the exact truth.

Sample number i is a function of (seed, i) alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models import preprocess
from training import augment, watermarks
from training.clips import Clip, Frames, Window, cut
from training.vocabulary import Vocabulary
from training.watermarks import Mark

Array = NDArray[np.float32]
Rng = np.random.Generator
Sample = dict[str, Array]

DRAWN_FRAMES = 96
VISIBLE = 0.03  # alpha above this is mark
COVERED_FRAMES = (1, 2, 4, 8, 12, 12)  # that the matte head is shown; 12 where a stay has them

INPAINTER_KINDS = {
    "moving": 0.26, "moving_name": 0.1, "corner": 0.11, "faint": 0.1, "tiled": 0.12, "subtitle": 0.1, "subtitle_chinese": 0.07,
    "badge": 0.14,
}  # fmt: skip
SEGMENTER_KINDS = {
    "moving": 0.18, "moving_name": 0.07, "corner": 0.12, "faint": 0.12, "tiled": 0.12, "subtitle": 0.1, "subtitle_chinese": 0.06,
    "badge": 0.15, "fading": 0.08,
}  # fmt: skip

PAINTED_KINDS = ("badge", "badge", "corner", "subtitle", "faint", "scene_text")


@dataclass(frozen=True)
class Source:
    """What samples are made from."""

    clips: tuple[Clip, ...]
    vocabulary: Vocabulary
    seed: int

    def rng(self, index: int) -> Rng:
        return np.random.default_rng([self.seed, index])


@dataclass(frozen=True)
class Scene:
    """A clip with a mark on it, not rendered yet. `frames` counts the clip's frames, or those a photo is panned for.

    A `painted` photo has things on it that look like marks but move with it.
    """

    clip: Clip
    mark: Mark | None
    height: int
    width: int
    frames: int
    painted: bool = False


def _pick(rng: Rng, kinds: dict[str, float]) -> str:
    shares = np.array(list(kinds.values()))
    return str(rng.choice(list(kinds), p=shares / shares.sum()))


def _scene(source: Source, rng: Rng, kinds: dict[str, float] | None, photo_share: float) -> Scene:
    photos = [c for c in source.clips if len(c.frames) == 1]
    videos = [c for c in source.clips if len(c.frames) > 1]
    pool = photos if photos and (not videos or rng.random() < photo_share) else videos
    clip = pool[rng.integers(len(pool))]
    frames = len(clip.frames) if len(clip.frames) > 1 else DRAWN_FRAMES
    height, width = clip.frames.shape[1:3]
    mark = watermarks.draw(_pick(rng, kinds), rng, width, height, frames, source.vocabulary) if kinds else None
    return Scene(clip, mark, height, width, frames)


def _window_on_mark(scene: Scene, frame: int, size: int, rng: Rng) -> tuple[int, int]:
    """(top, left) of an even-aligned window of `size` that holds a random pixel of the mark at `frame`, else anywhere."""
    limit_y, limit_x = max(0, scene.height - size), max(0, scene.width - size)
    y, x = rng.integers(0, scene.height), rng.integers(0, scene.width)
    patch = scene.mark.patches[frame] if scene.mark else None
    if patch is not None:
        rows, columns = np.nonzero(patch.alpha > VISIBLE)
        if len(rows):
            chosen = rng.integers(len(rows))
            y, x = rows[chosen] + patch.top, columns[chosen] + patch.left
    top, left = y - rng.integers(size // 4, 3 * size // 4 + 1), x - rng.integers(size // 4, 3 * size // 4 + 1)
    return int(np.clip(top, 0, limit_y)) // 2 * 2, int(np.clip(left, 0, limit_x)) // 2 * 2


@dataclass(frozen=True)
class Rendered:
    """clean, marked: (T, H, W, 3) uint8; alpha (T, H, W) and colour (T, H, W, 3) float32."""

    clean: Frames
    marked: Frames
    alpha: Array
    colour: Array


def _render(scene: Scene, indices: list[int], top: int, left: int, size: int, rng: Rng) -> Rendered:
    height, width = min(size, scene.height) // 2 * 2, min(size, scene.width) // 2 * 2
    clean = cut(scene.clip, Window(tuple(indices), top, left, height, width), rng, always_moving=scene.painted)
    clean = augment.recoloured(clean, rng)
    patches = [scene.mark.patches[i] if scene.mark else None for i in indices]
    drawn = [watermarks.placed(p, height, width, top, left) for p in patches]
    alpha, colour = np.stack([a for a, _ in drawn]), np.stack([c for _, c in drawn])
    marked = np.rint((1 - alpha[..., None]) * clean + alpha[..., None] * colour * 255).astype(np.uint8)
    return Rendered(clean, augment.compressed(marked, augment.random_crf(rng)), alpha, colour)


def _painted(scene: Scene, rng: Rng, vocabulary: Vocabulary) -> Scene:
    """The scene with some marks painted on its photo: as they move with it, they are things in the scene and no overlays."""
    if len(scene.clip.frames) > 1:
        return scene
    picture = scene.clip.frames[0]
    for _ in range(int(rng.integers(1, 7))):
        thing = watermarks.draw(str(rng.choice(PAINTED_KINDS)), rng, scene.width, scene.height, 1, vocabulary).patches[0]
        picture = watermarks.apply(picture, thing)
    return replace(scene, clip=Clip(scene.clip.name, picture[None]), painted=True)


def segmenter_sample(source: Source, index: int, size: int = 224, frames: int = preprocess.SEGMENTER_FRAMES) -> Sample:
    """frames (T, 3, size, size) in [0, 1]; target (T, 2, size, size): overlay, scene text."""
    rng = source.rng(index)
    scene = _scene(source, rng, SEGMENTER_KINDS if rng.random() < 0.7 else None, photo_share=0.35)
    scale = float(rng.choice([1, 1.5, 2, 2]))  # the clips are twice the analysis size: most see the mark as the first pass does
    native = int(size * scale) // 2 * 2
    stride = int(rng.integers(2, 9)) if rng.random() < 0.9 else 0
    if stride and rng.random() < 0.4:
        scene = _painted(scene, rng, source.vocabulary)
    start = int(rng.integers(0, max(1, scene.frames - stride * frames)))
    indices = [min(start + i * stride, scene.frames - 1) for i in range(frames)]
    around = indices[rng.integers(frames)] if rng.random() < 0.8 else int(rng.integers(scene.frames))
    top, left = _window_on_mark(scene if rng.random() < 0.75 else replace(scene, mark=None), around, native, rng)
    signs = watermarks.draw("scene_text", rng, scene.width, scene.height, scene.frames, source.vocabulary) if rng.random() < 0.25 else None
    rendered = _render(scene, indices, top, left, native, rng)
    marked, alpha = rendered.marked, rendered.alpha
    sign_alpha = np.zeros_like(alpha)
    if signs is not None and scene.mark is None:  # under an overlay the sign would have to be drawn first; apart is enough to learn from
        drawn = [watermarks.placed(signs.patches[i], *alpha.shape[1:], top, left) for i in indices]
        sign_alpha = np.stack([a for a, _ in drawn])
        sign_colour = np.stack([c for _, c in drawn])
        marked = np.rint((1 - sign_alpha[..., None]) * marked + sign_alpha[..., None] * sign_colour * 255).astype(np.uint8)
    marked, alpha, sign_alpha = (_fitted(x, size) for x in (marked, alpha, sign_alpha))
    pictures = marked.transpose(0, 3, 1, 2).astype(np.float32) / 255
    target = np.stack([alpha > 0.04, sign_alpha > 0.3], 1).astype(np.float32)
    return {"frames": pictures, "target": target}


def _fitted(clip: NDArray, size: int) -> NDArray:
    """(T, h, w[, 3]) scaled down by area to about `size`, then padded or cut to exactly size x size."""
    scale = size / max(clip.shape[1:3])
    if scale < 1:
        clip = np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for f in clip])
    grow = [(0, 0), (0, max(0, size - clip.shape[1])), (0, max(0, size - clip.shape[2]))] + [(0, 0)] * (clip.ndim - 3)
    return np.pad(clip, grow, mode="edge")[:, :size, :size]


def matte_sample(source: Source, index: int, size: int = 96) -> Sample:
    """statistics (MATTE_STATISTICS, size, size); opacity (1, ...); colour (3, ...); clean (3, ...), the mean of the clean frames."""
    rng = source.rng(index)
    scene, anchor, stay = _stay(source, rng, photo_share=0.3)
    hidden = [i for i in range(scene.frames) if i not in set(stay)]
    covered = sorted(rng.choice(stay, min(len(stay), int(rng.choice(COVERED_FRAMES))), replace=False).tolist())
    uncovered = sorted(rng.choice(hidden, min(len(hidden), int(rng.integers(0, 5))), replace=False).tolist())
    top, left = _window_on_mark(scene, anchor, size + 32, rng)
    rendered = _render(scene, covered + uncovered, top, left, size + 32, rng)
    rows, columns = _inner(rendered.alpha.shape[1:], size)
    marked = rendered.marked.transpose(0, 3, 1, 2).astype(np.float32)[..., rows, columns] / 255
    alpha = rendered.alpha[: len(covered)].mean(0)[rows, columns]
    weight = rendered.alpha[: len(covered), ..., None]
    colour = ((rendered.colour[: len(covered)] * weight).sum(0) / np.maximum(weight.sum(0), 1e-3))[rows, columns].transpose(2, 0, 1)
    probability = _as_segmented(rendered.alpha[: len(covered)].max(0)[rows, columns], rng)
    statistics = preprocess.matte_statistics(marked[: len(covered)], probability, marked[len(covered) :])
    clean = rendered.clean[: len(covered)].mean(0)[rows, columns].transpose(2, 0, 1).astype(np.float32) / 255
    arrays = augment.flipped([_square(a, size) for a in (statistics, alpha[None], colour, clean)], rng)
    return dict(zip(("statistics", "opacity", "colour", "clean"), arrays, strict=True))


def _stay(source: Source, rng: Rng, photo_share: float) -> tuple[Scene, int, list[int]]:
    """A marked scene, one of its marked frames, and every frame in which the mark is at the same place."""
    scene = _scene(source, rng, INPAINTER_KINDS, photo_share)
    assert scene.mark is not None
    visible = [i for i, patch in enumerate(scene.mark.patches) if patch is not None]
    anchor = visible[rng.integers(len(visible))]
    return scene, anchor, [i for i in visible if _same_place(scene.mark, i, anchor)]


def _same_place(mark: Mark, frame: int, anchor: int) -> bool:
    """Whether the mark at `frame` stays where it is at `anchor` (a subtitle's next line is another mark)."""
    here, there = mark.patches[frame], mark.patches[anchor]
    if here is None or there is None:
        return False
    moving = mark.kind.startswith("moving")
    return (here.left, here.top) == (there.left, there.top) and (moving or here.alpha is there.alpha)


def _inner(shape: tuple[int, ...], size: int) -> tuple[slice, slice]:
    """The middle size x size of a larger window: compression looked beyond its edges, as in life."""
    top, left = max(0, (shape[0] - size) // 2), max(0, (shape[1] - size) // 2)
    return slice(top, top + size), slice(left, left + size)


def _square(array: Array, size: int) -> Array:
    grow = [(0, 0)] * (array.ndim - 2) + [(0, max(0, size - array.shape[-2])), (0, max(0, size - array.shape[-1]))]
    return np.pad(array, grow, mode="edge")[..., :size, :size].astype(np.float32)


def _as_segmented(alpha: Array, rng: Rng) -> Array:
    """The mark's extent as a segmenter would have it: soft, a bit too thick or too thin, with parts missing or too much."""
    mask = (alpha > VISIBLE).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    roll = rng.random()
    mask = cv2.dilate(mask, kernel) if roll < 0.35 else cv2.erode(mask, kernel) if roll < 0.45 else mask
    if rng.random() < 0.3:
        wrong = cv2.resize(rng.random((6, 6)).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        mask = np.where(wrong > 0.9, rng.uniform(0, 1), mask).astype(np.float32)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.2)), 0, 1)


def inpainter_sample(source: Source, index: int, size: int = 96) -> Sample:
    """The inpainter's four inputs (1+R, ...), clean (1+R, 3, size, size) and hole (1, size, size): where the target's mark is."""
    rng = source.rng(index)
    scene, target, stay = _stay(source, rng, photo_share=0.15)
    wanted = (target, *preprocess.reference_frames(target, min(stay), max(stay), scene.frames))
    indices = sorted({*wanted, *(min(max(i + d, 0), scene.frames - 1) for i in wanted for d in (-1, 1))})
    top, left = _window_on_mark(scene, target, size + 32, rng)
    rendered = _render(scene, indices, top, left, size + 32, rng)
    rows, columns = _inner(rendered.alpha.shape[1:], size)
    order = [indices.index(i) for i in wanted]
    alpha, colour = (x[order][:, rows, columns] for x in (rendered.alpha, rendered.colour))
    mean_alpha = _stay_mean(scene, wanted, stay, top, left, rendered.alpha.shape[1:], (rows, columns))
    scene_now = rendered.clean[order[0]][rows, columns].astype(np.float32) / 255
    believed: dict[int, tuple[Array, Array]] = {}  # one opacity and colour for all frames of a stay
    for mean, shown in zip(mean_alpha, colour, strict=True):
        if id(mean) not in believed:
            believed[id(mean)] = augment.misjudged(mean, shown, scene_now, rng)
    opacity = np.stack([believed[id(mean)][0] for mean in mean_alpha])[:, None]
    grown = int(rng.integers(2, 6))
    ever = (np.maximum(mean_alpha, alpha) > VISIBLE).astype(np.float32)
    mask = np.stack([cv2.dilate(a, np.ones((grown, grown), np.uint8)) for a in ever])[:, None]
    shade = np.stack([believed[id(mean)][1] for mean in mean_alpha]).transpose(0, 3, 1, 2)
    marked, clean = (x[order][:, rows, columns].transpose(0, 3, 1, 2).astype(np.float32) / 255 for x in (rendered.marked, rendered.clean))
    hole = (alpha[:1] > VISIBLE).astype(np.float32)
    arrays = augment.flipped([_square(a, size) for a in (marked, mask, opacity, shade, clean, hole)], rng)
    return dict(zip(("frames", "mask", "opacity", "colour", "clean", "hole"), arrays, strict=True))


def _stay_mean(
    scene: Scene, wanted: tuple[int, ...], stay: list[int], top: int, left: int, shape: tuple[int, ...], inner: tuple[slice, slice]
) -> list[Array]:
    """The opacity map a placement would have at each wanted frame: the mean over its stay, as animated marks are not still.

    The same array for all frames of the stay.
    """
    assert scene.mark is not None
    some = stay[:: max(1, len(stay) // 6)]
    mean = np.mean([watermarks.placed(scene.mark.patches[i], shape[0], shape[1], top, left)[0] for i in some], 0, dtype=np.float32)[inner]
    staying = set(stay)
    return [mean if i in staying else watermarks.placed(scene.mark.patches[i], shape[0], shape[1], top, left)[0][inner] for i in wanted]
