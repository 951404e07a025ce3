"""Scenes to render: a clip or a filmed photo with objects, cuts, passing objects and a mark."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import camera, cutouts, distractors, watermarks
from training.camera import Camera
from training.clips import Clip
from training.distractors import SceneObject
from training.mistakes import Mistake
from training.patches import Canvas, Mark, Patch
from training.vocabulary import Vocabulary

Array = NDArray[np.float32]
Rng = np.random.Generator

DRAWN_FRAMES = 96
PASSING_OBJECT_SHARE = 0.15
VISIBLE = 0.03  # a pixel with a higher alpha belongs to the mark
LINES = (360, 480, 540, 720, 720, 1080)  # sizes of the short side at which clips and photos are shown
MAX_ENLARGEMENT = 1.5  # of a clip beyond its own size
AS_PICTURE_SHARE = 0.5  # of the photos; the others are filmed
PAINTED_TEXTS = ("wordmark", "plate", "subtitle", "stamp", "scene_text", "faint")
PAINTED_KINDS = (*PAINTED_TEXTS, "badge", "badge", "logo", "sticker", "star", "star")


@dataclass(frozen=True)
class Source:
    """The material of samples: clips, fonts, cut-outs, known mistakes, and the seed."""

    clips: tuple[Clip, ...]
    vocabulary: Vocabulary
    seed: int
    cutouts: tuple[Path, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    mistake_share: float = 0.0  # share of the segmenter's scenes that show one of them
    kinds: tuple[str, ...] = ()  # the kinds of marks to draw; without any, all that a network learns from

    def rng(self, index: int) -> Rng:
        """The random generator of sample `index`."""
        return np.random.default_rng([self.seed, index])

    def mark(self, rng: Rng, kinds: Mapping[str, float], width: int, height: int, frames: int) -> Mark:
        """A random mark, its kind drawn by the given shares, on `frames` frames of width x height pixels."""
        drawable = {kind: share for kind, share in kinds.items() if not self.kinds or kind in self.kinds}
        shares = np.array(list(drawable.values()))
        kind = str(rng.choice(list(drawable), p=shares / shares.sum()))
        return watermarks.draw(kind, rng, width, height, frames, self.vocabulary, self.pictures)

    @cached_property
    def photos(self) -> tuple[Clip, ...]:
        """The clips of one frame."""
        return tuple(c for c in self.clips if c.is_photo)

    @cached_property
    def videos(self) -> tuple[Clip, ...]:
        """The clips of more than one frame."""
        return tuple(c for c in self.clips if not c.is_photo)

    @cached_property
    def pictures(self) -> tuple[NDArray[np.uint8], ...]:
        """One (H, W, 3) uint8 picture of each photo and clip, for stickers and passing objects."""
        return tuple(c.frames[0] for c in self.clips)


@dataclass(frozen=True)
class Scene:
    """A clip with a mark, before rendering. `frames`: the clip's frames, or those for which a photo is filmed, or 1: a single picture.

    `objects` are painted on a photo, where `text` (H, W) in [0, 1] is the coverage of their text, or move along with a clip. `framing` is
    static. `other`: a clip to which the scene cuts at a random frame. `passing_object`: a picture, of which a piece (H, W, 3) or, with
    alpha (H, W, 4), all of it moves through the scene behind the mark. `mistake`: a place without a mark where the segmenter found one.
    """

    clip: Clip
    mark: Mark | None
    height: int
    width: int
    frames: int
    camera: Camera = camera.STILL
    text: Array | None = None
    objects: tuple[SceneObject, ...] = ()
    framing: Patch | None = None
    other: Clip | None = None
    passing_object: NDArray[np.uint8] | None = field(default=None, repr=False)
    mistake: Mistake | None = None

    @property
    def filmed(self) -> bool:
        """Whether the clip is a photo, filmed by the virtual camera or shown as it is."""
        return self.clip.is_photo

    @property
    def is_picture(self) -> bool:
        """Whether it is a single picture, to be compressed as such."""
        return self.frames == 1


def random_scene(source: Source, rng: Rng, kinds: Mapping[str, float] | None, photo_share: float) -> Scene:
    """A random clip or photo with a random mark, its kind drawn by the given shares; sometimes with a cut or a passing object.

    Half of the photos are single pictures, without camera, cut or passing object.
    """
    pool = source.photos if source.photos and (not source.videos or rng.random() < photo_share) else source.videos
    clip = _at_random_lines(pool[rng.integers(len(pool))], rng)
    as_picture = clip.is_photo and rng.random() < AS_PICTURE_SHARE
    frames = 1 if as_picture else _frames_of(clip)
    height, width = clip.size
    mark = _visible_mark(source, rng, kinds, width, height, frames) if kinds else None
    if as_picture:
        return Scene(clip, mark, height, width, frames)
    other = source.clips[rng.integers(len(source.clips))] if rng.random() < 0.08 else None
    passing_object = _passing_object(source, rng) if rng.random() < PASSING_OBJECT_SHARE else None
    return Scene(clip, mark, height, width, frames, camera.random_camera(rng), other=other, passing_object=passing_object)


def _at_random_lines(clip: Clip, rng: Rng) -> Clip:
    """The clip at one of LINES that does not enlarge it too much, or at its own size."""
    own = min(clip.size)
    fitting = [lines for lines in LINES if lines <= MAX_ENLARGEMENT * own]
    lines = int(rng.choice(fitting)) if fitting else own
    return clip if lines == own else clip.at_lines(lines)


def _visible_mark(source: Source, rng: Rng, kinds: Mapping[str, float], width: int, height: int, frames: int) -> Mark:
    """A random mark that is visible in some frame: those that come and go may be absent from a single picture."""
    while not (mark := source.mark(rng, kinds, width, height, frames)).visible():
        pass
    return mark


def mistaken_scene(source: Source, rng: Rng) -> Scene:
    """An unmarked clip or photo with one of `source.mistakes`, which must not be empty."""
    mistake = source.mistakes[rng.integers(len(source.mistakes))]
    clip = next(clip for clip in source.clips if clip.name == mistake.clip)
    frames = _frames_of(clip)
    return Scene(clip, None, *clip.size, frames, camera.random_camera(rng), mistake=mistake)


def _frames_of(clip: Clip) -> int:
    """The number of frames of a clip, or for which a photo is filmed."""
    return DRAWN_FRAMES if clip.is_photo else len(clip.frames)


def _passing_object(source: Source, rng: Rng) -> NDArray[np.uint8] | None:
    """A picture of which a piece will pass (H, W, 3), or a cut-out object (H, W, 4)."""
    if source.cutouts and rng.random() < 0.6:
        return cutouts.load(source.cutouts[rng.integers(len(source.cutouts))])
    return source.pictures[rng.integers(len(source.pictures))]


def canvas(scene: Scene, source: Source) -> Canvas:
    """The canvas for drawing on the scene."""
    return Canvas(scene.width, scene.height, scene.frames, source.vocabulary, source.pictures, source.cutouts)


def with_objects(scene: Scene, rng: Rng, source: Source) -> Scene:
    """Add one to four distractors to the scene."""
    objects = [distractors.scene_object(rng, canvas(scene, source)) for _ in range(int(rng.integers(1, 5)))]
    if scene.filmed:
        return _painted(scene, objects)
    return replace(scene, objects=tuple(objects))


def with_painted_marks(scene: Scene, rng: Rng, source: Source) -> Scene:
    """Paint marks on the photo. As they move with it, they are objects of the scene, not overlays. Videos are returned unchanged."""
    if not scene.filmed:
        return scene
    objects = []
    for _ in range(int(rng.integers(1, 7))):
        kind = str(rng.choice(PAINTED_KINDS))
        patch = watermarks.draw(kind, rng, scene.width, scene.height, 1, source.vocabulary, source.pictures).patches[0]
        if patch is not None:
            objects.append(SceneObject(patch, kind in PAINTED_TEXTS))
    return replace(_painted(scene, objects), camera=camera.random_camera(rng, always_moving=True))


def with_framing(scene: Scene, rng: Rng, source: Source) -> Scene:
    """Add black bars or a vignette to the scene."""
    return replace(scene, framing=distractors.framing(rng, canvas(scene, source)))


def _painted(scene: Scene, objects: list[SceneObject]) -> Scene:
    picture, text = scene.clip.frames[0], np.zeros((scene.height, scene.width), np.float32) if scene.text is None else scene.text
    for item in objects:
        picture = watermarks.apply(picture, item.patch)
        text = item.written_over(text)
    return replace(scene, clip=Clip(scene.clip.name, picture[None]), text=text, objects=(*scene.objects, *objects))


def window_on(scene: Scene, patch: Patch | None, size: int, rng: Rng) -> tuple[int, int]:
    """(top, left), both even, of a window of `size` pixels that contains a random pixel of the patch; anywhere without a patch."""
    y, x = int(rng.integers(0, scene.height)), int(rng.integers(0, scene.width))
    if patch is not None and (found := _pixel_of(patch, rng)) is not None:
        y, x = found
    top, left = y - rng.integers(size // 4, 3 * size // 4 + 1), x - rng.integers(size // 4, 3 * size // 4 + 1)
    limit_y, limit_x = max(0, scene.height - size), max(0, scene.width - size)
    return int(np.clip(top, 0, limit_y)) // 2 * 2, int(np.clip(left, 0, limit_x)) // 2 * 2


def _pixel_of(patch: Patch, rng: Rng) -> tuple[int, int] | None:
    """A random visible pixel (y, x) of the patch: among 64 random ones, else among all; None if none is visible."""
    rows, columns = (rng.integers(0, extent, 64) for extent in patch.alpha.shape)
    hits = np.nonzero(patch.alpha[rows, columns] > VISIBLE)[0]
    if len(hits) == 0:
        rows, columns = np.nonzero(patch.alpha > VISIBLE)
        if len(rows) == 0:
            return None
        hits = rng.integers(len(rows), size=1)
    return int(rows[hits[0]]) + patch.top, int(columns[hits[0]]) + patch.left
