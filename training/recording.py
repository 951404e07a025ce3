"""Samples of the inpainter as the service makes them: it looks for the marks of whole scenes, and what its network would get is kept.

The marks are found and measured by the service itself, so their masks, opacities and errors are real ones, which `restoration` imitates: a
word of which half was found, a blob with one opacity, the wrong colour. The truth is known, as the mark was drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models import references
from models.references import Reference
from service.inference.session import Networks
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.encodings import Piece
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.request import Request
from service.pipeline.run import detect
from service.pipeline.video import Frame, Limits, VideoInfo
from training import augment, rendering, scenes
from training.rendering import Rendered
from training.samples import INPAINTER_KINDS, Sample
from training.scenes import VISIBLE, Scene, Source

Rng = np.random.Generator

PHOTO_SHARE = 0.2
SCENE_FRAMES = (16, 40)
MAX_PIXELS = 1280 * 720  # of a scene: larger ones take too long
WINDOWS, TARGETS = 4, 8  # of a scene, and frames that are restored in each
FPS = 30
SCENES_PER_SHARD = 1000  # numbers that a shard's scenes are taken from, so that no two shards share one


def recorded_samples(source: Source, shard: int, size: int) -> Iterator[Sample]:
    """The samples of a shard, without end, with the arrays of `restoration.aligned_sample`."""
    for number in count(shard * SCENES_PER_SHARD):
        yield from scene_samples(source, number, _networks(), size)


def scene_samples(source: Source, index: int, networks: Networks, size: int) -> Iterator[Sample]:
    """The samples of one scene, at most WINDOWS * TARGETS; none where no mark is found."""
    rng = source.rng(index)
    scene, rendered = _rendered_scene(source, rng)
    with TemporaryDirectory() as scratch:
        path = _published(scene, rendered, Path(scratch), rng)
        info = probe(path, Limits())
        marks = detect(path, Request(), networks).placements
        with decode(path, info, Limits()) as decoded:
            shown = {frame.index: frame for frame in decoded}
    recorder = Recorder(networks, marks, Footage(info, shown, rendered))
    for _ in range(WINDOWS if marks else 0):
        yield from recorder.window(size, rng)


@dataclass(frozen=True)
class Footage:
    """A scene: its file's description, its frames as decoded, and as they were drawn."""

    info: VideoInfo
    frames: dict[int, Frame] = field(repr=False)
    drawn: Rendered = field(repr=False)


class Recorder(Inpainter):
    """The service's inpainter of one scene, which tells what it would give to the network, and the truth with it."""

    def __init__(self, networks: Networks, marks: tuple[Placement, ...], footage: Footage) -> None:
        super().__init__(networks.inpainter_encoder, networks.inpainter, marks, footage.info)
        self._footage = footage
        self._look_at_bars(footage.frames)

    def window(self, size: int, rng: Rng) -> Iterator[Sample]:
        """Samples of a window of `size` pixels on a random mark, in some of the frames that show it."""
        mark = self._marks[rng.integers(len(self._marks))]
        inside = np.argwhere(mark.mask > 0.5)
        shown = [index for index in self._footage.frames if mark.covers(index)]
        if not len(inside) or not shown or min(self._info.width, self._info.height) < size:
            return
        y, x = inside[rng.integers(len(inside))] + (mark.box.top, mark.box.left)
        box = _around(int(y), int(x), size, self._info, rng)
        for target in sorted(rng.choice(shown, min(len(shown), TARGETS), replace=False).tolist()):
            yield from self._samples(target, box)

    def _samples(self, target: int, box: Box) -> Iterator[Sample]:
        """The sample of a target frame, if its window holds a mark."""
        alignments = self._alignments(target, box, self._footage.frames)
        crops = [Reference(a.frame, round(a.dy), round(a.dx)) for a in alignments]
        views = [View.of(box).moved(crop.dy, crop.dx) for crop in crops]
        seen = [self._marked_frame(Piece(crop.frame, view), self._footage.frames) for crop, view in zip(crops, views, strict=True)]
        marked = seen[0]["mask"] > 0.5
        if len(crops) != 1 + references.REFERENCES or not marked.any():
            return
        hole = marked & (self._drawn(self._footage.drawn.alpha[..., None], target, views[0]) > VISIBLE)
        clean = np.stack([self._drawn(self._footage.drawn.clean, crop.frame, view) for crop, view in zip(crops, views, strict=True)])
        yield {
            "frames": np.stack([one["frame"] for one in seen]),
            **{name: np.stack([one[name] for one in seen]) for name in ("mask", "opacity", "colour", "doubt")},
            "clean": clean.astype(np.float32) / 255,
            "hole": (hole if hole.any() else marked).astype(np.float32),  # a mark that is none: all is to stay as it is
        }

    def _drawn(self, clip: NDArray, index: int, view: View) -> NDArray:
        """The view of a frame of (T, H, W, C) as (C, h, w)."""
        inner = view.inner(self._info.width, self._info.height)
        assert inner is not None, "a reference outside the picture is never chosen"
        return view.padded(np.ascontiguousarray(clip[index][inner.slices].transpose(2, 0, 1)), inner)


@cache
def _networks() -> Networks:
    """The shipped networks, loaded once in each process."""
    return Networks.load("cpu", threads=1)


def _rendered_scene(source: Source, rng: Rng) -> tuple[Scene, Rendered]:
    """A random marked scene of at most MAX_PIXELS, and a piece of it in which the mark is seen."""
    scene = scenes.random_scene(source, rng, INPAINTER_KINDS, PHOTO_SHARE)
    while scene.height * scene.width > MAX_PIXELS:
        scene = scenes.random_scene(source, rng, INPAINTER_KINDS, PHOTO_SHARE)
    assert scene.mark is not None
    visible = scene.mark.visible()
    length = min(scene.frames, int(rng.integers(*SCENE_FRAMES, endpoint=True)))
    start = int(np.clip(visible[rng.integers(len(visible))] - rng.integers(0, length), 0, scene.frames - length))
    return scene, rendering.render(scene, list(range(start, start + length)), 0, 0, max(scene.height, scene.width), rng)


def _published(scene: Scene, rendered: Rendered, folder: Path, rng: Rng) -> Path:
    """The marked scene as a file: a JPEG, or a video of H.264, of some quality."""
    if scene.is_picture:
        path, quality = folder / "picture.jpg", int(rng.integers(*augment.PICTURE_QUALITY, endpoint=True))
        cv2.imwrite(str(path), cv2.cvtColor(rendered.marked[0], cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return path
    path = folder / "video.mp4"
    options = {"crf": str(augment.random_crf(rng)), "preset": "veryfast", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = *rendered.marked.shape[1:3], "yuv420p"
        for picture in rendered.marked:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _around(y: int, x: int, size: int, info: VideoInfo, rng: Rng) -> Box:
    """A box of `size` pixels inside the picture that contains the pixel."""
    top, left = (
        int(np.clip(pixel - rng.integers(size // 4, 3 * size // 4 + 1), 0, extent - size))
        for pixel, extent in ((y, info.height), (x, info.width))
    )
    return Box(left, top, left + size, top + size)
