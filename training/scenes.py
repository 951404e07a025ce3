"""Scenes to draw marks on: a clip or a filmed photo with things in it, cuts, passing objects and a mark."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import camera, cutouts, distractors, watermarks
from training.camera import Camera
from training.clips import Clip
from training.distractors import Thing
from training.mistakes import Mistake
from training.patches import Canvas, Mark, Patch
from training.vocabulary import Vocabulary

Array = NDArray[np.float32]
Rng = np.random.Generator

DRAWN_FRAMES = 96
PASSER_SHARE = 0.15
VISIBLE = 0.03  # alpha above this is mark
PAINTED_TEXTS = ("wordmark", "plate", "subtitle", "stamp", "scene_text", "faint")
PAINTED_KINDS = (*PAINTED_TEXTS, "badge", "badge", "logo", "sticker")


@dataclass(frozen=True)
class Source:
    """What samples are made from."""

    clips: tuple[Clip, ...]
    vocabulary: Vocabulary
    seed: int
    cutouts: tuple[Path, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    mistake_share: float = 0.0  # of the segmenter's scenes, that go back to those

    def rng(self, index: int) -> Rng:
        return np.random.default_rng([self.seed, index])

    def mark(self, rng: Rng, kinds: Mapping[str, float], width: int, height: int, frames: int) -> Mark:
        """A mark of one of the kinds, drawn by their shares, over `frames` frames of width x height pixels."""
        shares = np.array(list(kinds.values()))
        kind = str(rng.choice(list(kinds), p=shares / shares.sum()))
        return watermarks.draw(kind, rng, width, height, frames, self.vocabulary, self.pictures)

    @cached_property
    def photos(self) -> tuple[Clip, ...]:
        return tuple(c for c in self.clips if len(c.frames) == 1)

    @cached_property
    def videos(self) -> tuple[Clip, ...]:
        return tuple(c for c in self.clips if len(c.frames) > 1)

    @cached_property
    def pictures(self) -> tuple[NDArray[np.uint8], ...]:
        """One (H, W, 3) picture of each photo and clip, for stickers and passing objects."""
        return tuple(c.frames[0] for c in self.clips)


@dataclass(frozen=True)
class Scene:
    """A clip with a mark on it, not rendered yet. `frames` counts the clip's frames, or those a photo is filmed for.

    `things` are painted on a photo, where `text` (H, W) covers their writing, or are carried along by a clip's motion; `framing` is
    fixed. Somewhere there is a cut to `other`. A piece of the picture `passer` (H, W, 3), or all of it where it has alpha (H, W, 4), goes
    through the scene, behind the mark. `mistake`: a place, without a mark, that has been taken for one.
    """

    clip: Clip
    mark: Mark | None
    height: int
    width: int
    frames: int
    camera: Camera = camera.STILL
    text: Array | None = None
    things: tuple[Thing, ...] = ()
    framing: Patch | None = None
    other: Clip | None = None
    passer: NDArray[np.uint8] | None = field(default=None, repr=False)
    mistake: Mistake | None = None

    @property
    def filmed(self) -> bool:
        """Whether it is a photo."""
        return len(self.clip.frames) == 1


def scene(source: Source, rng: Rng, kinds: Mapping[str, float] | None, photo_share: float) -> Scene:
    """A random clip or photo, with a mark of one of the kinds by their shares; sometimes with a cut or a passing object."""
    pool = source.photos if source.photos and (not source.videos or rng.random() < photo_share) else source.videos
    clip = pool[rng.integers(len(pool))]
    frames = _frames_of(clip)
    height, width = clip.frames.shape[1:3]
    mark = source.mark(rng, kinds, width, height, frames) if kinds else None
    other = source.clips[rng.integers(len(source.clips))] if rng.random() < 0.08 else None
    passer = _passer(source, rng) if rng.random() < PASSER_SHARE else None
    return Scene(clip, mark, height, width, frames, camera.random_camera(rng), other=other, passer=passer)


def mistaken(source: Source, rng: Rng) -> Scene:
    """A clip or photo without a mark, a place of which has been taken for one. It needs `source.mistakes`."""
    mistake = source.mistakes[rng.integers(len(source.mistakes))]
    clip = next(clip for clip in source.clips if clip.name == mistake.clip)
    frames = _frames_of(clip)
    return Scene(clip, None, *clip.frames.shape[1:3], frames, camera.random_camera(rng), mistake=mistake)


def _frames_of(clip: Clip) -> int:
    """Those it has, or for which a photo is filmed."""
    return len(clip.frames) if len(clip.frames) > 1 else DRAWN_FRAMES


def _passer(source: Source, rng: Rng) -> NDArray[np.uint8] | None:
    """A picture to cut something out of, or something that is cut out."""
    if source.cutouts and rng.random() < 0.6:
        return cutouts.load(source.cutouts[rng.integers(len(source.cutouts))])
    return source.pictures[rng.integers(len(source.pictures))]


def canvas(plain: Scene, source: Source) -> Canvas:
    return Canvas(plain.width, plain.height, plain.frames, source.vocabulary, source.pictures, source.cutouts)


def with_things(plain: Scene, rng: Rng, source: Source) -> Scene:
    """The scene with one to four things in it that look like marks and are none."""
    things = [distractors.thing(rng, canvas(plain, source)) for _ in range(int(rng.integers(1, 5)))]
    if plain.filmed:
        return _painted(plain, things)
    return replace(plain, things=tuple(things))


def with_painted_marks(plain: Scene, rng: Rng, source: Source) -> Scene:
    """The photo with marks painted on it: as they move with it, they are things of the scene and no overlays. Clips stay as they are."""
    if not plain.filmed:
        return plain
    things = []
    for _ in range(int(rng.integers(1, 7))):
        kind = str(rng.choice(PAINTED_KINDS))
        patch = watermarks.draw(kind, rng, plain.width, plain.height, 1, source.vocabulary, source.pictures).patches[0]
        if patch is not None:
            things.append(Thing(patch, kind in PAINTED_TEXTS))
    return replace(_painted(plain, things), camera=camera.random_camera(rng, always_moving=True))


def with_framing(plain: Scene, rng: Rng, source: Source) -> Scene:
    """The scene between black bars or darker towards its corners."""
    return replace(plain, framing=distractors.framing(rng, canvas(plain, source)))


def _painted(plain: Scene, things: list[Thing]) -> Scene:
    picture, text = plain.clip.frames[0], np.zeros((plain.height, plain.width), np.float32) if plain.text is None else plain.text
    for thing in things:
        picture = watermarks.apply(picture, thing.patch)
        text = thing.written_over(text)
    return replace(plain, clip=Clip(plain.clip.name, picture[None]), text=text, things=(*plain.things, *things))


def window_on(plain: Scene, patch: Patch | None, size: int, rng: Rng) -> tuple[int, int]:
    """(top, left) of an even-aligned window of `size` pixels that holds a random pixel of the patch, or anywhere without one."""
    y, x = int(rng.integers(0, plain.height)), int(rng.integers(0, plain.width))
    if patch is not None and (found := _pixel_of(patch, rng)) is not None:
        y, x = found
    top, left = y - rng.integers(size // 4, 3 * size // 4 + 1), x - rng.integers(size // 4, 3 * size // 4 + 1)
    limit_y, limit_x = max(0, plain.height - size), max(0, plain.width - size)
    return int(np.clip(top, 0, limit_y)) // 2 * 2, int(np.clip(left, 0, limit_x)) // 2 * 2


def _pixel_of(patch: Patch, rng: Rng) -> tuple[int, int] | None:
    """A random visible pixel (y, x): of a few tried at random, or else of all."""
    rows, columns = (rng.integers(0, extent, 64) for extent in patch.alpha.shape)
    hits = np.nonzero(patch.alpha[rows, columns] > VISIBLE)[0]
    if len(hits) == 0:
        rows, columns = np.nonzero(patch.alpha > VISIBLE)
        if len(rows) == 0:
            return None
        hits = rng.integers(len(rows), size=1)
    return int(rows[hits[0]]) + patch.top, int(columns[hits[0]]) + patch.left
