"""Small videos in memory and on disk, for tests between decoder and encoder. RGB planes, so that every value is exact."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from service.inference.batcher import Arrays
from service.inference.fake import FakeEncoder
from service.pipeline.placement import Box, Placement
from service.pipeline.video import Colour, Frame, PixelFormat, VideoInfo

Picture = NDArray[np.uint8]  # (h, w, 3) RGB

RGB = PixelFormat("gbrp", 8, 0, 0)
FPS = 24


def described(width: int, height: int, fps: int = FPS, frames: int = 40) -> VideoInfo:
    """A video of RGB planes."""
    return VideoInfo(
        width, height, 1, RGB, Colour(True, 0, 1, 1), Fraction(1, fps), Fraction(fps), frames / fps, frames, "h264", "mp4", 1, 1
    )


def scene(index: int, width: int = 128, height: int = 96) -> Picture:
    """A soft drifting texture without bright pixels."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns += 1.5 * index
    waves = [np.sin(columns / 9 + rows / 17 + k) + np.cos((1 + k) * rows / 21) for k in range(3)]
    return (90 + 30 * np.stack(waves, axis=-1)).astype(np.uint8)


def marked(picture: Picture, box: Box) -> Picture:
    """The picture with a white rectangle, which the fake networks treat as a mark."""
    copy = picture.copy()
    copy[box.slices] = 255
    return copy


def film(pictures: Sequence[Picture]) -> list[Frame]:
    """The pictures as decoded frames."""
    return [Frame(i, i, (p[..., 1].copy(), p[..., 2].copy(), p[..., 0].copy())) for i, p in enumerate(pictures)]


def seen(frame: Frame) -> Picture:
    """The frame as a picture."""
    green, blue, red = frame.planes
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def texture(seed: int, width: int, height: int, blur_pixels: float = 2) -> NDArray[np.float32]:
    """(height, width, 3) random in [0, 0.7], different everywhere."""
    noise = np.random.default_rng(seed).standard_normal((height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), blur_pixels)
    return np.clip(0.35 + 0.12 * soft / soft.std(), 0, 0.7).astype(np.float32)


def pan(seed: int, frames: int, step: tuple[int, int], width: int = 128, height: int = 96) -> list[Picture]:
    """A camera that pans over a texture by whole pixels (down, right) per frame."""
    whole = np.rint(255 * texture(seed, width + abs(step[1]) * frames, height + abs(step[0]) * frames)).astype(np.uint8)
    tops, lefts = (np.arange(frames) * s if s >= 0 else (np.arange(frames) - frames) * s for s in step)
    return [whole[top : top + height, left : left + width] for top, left in zip(tops, lefts, strict=True)]


def placement(first: int, last: int, box: Box, mask: NDArray[np.float32] | None = None) -> Placement:
    """An opaque white mark; it fills its box by default."""
    whole = np.ones((box.height, box.width), np.float32)
    return Placement(first, last, box, whole if mask is None else mask, whole, np.ones((3, *whole.shape), np.float32), 1.0)


def write_film(path: Path, pictures: Sequence[Picture], fps: int = FPS) -> Path:
    """Write high-quality H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "6", "preset": "veryfast", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def read_film(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


class EncoderOfEverything(FakeEncoder):
    """A fake encoder whose result depends on every input pixel."""

    def run(self, inputs: Arrays) -> Arrays:
        rest = sum(inputs[name].mean(1, keepdims=True) for name in ("opacity", "colour", "doubt")) / 10
        luma = inputs["frame"].mean(1, keepdims=True) * (1 - 0.9 * inputs["mask"]) + rest
        return super().run(inputs) | {"luma": luma.astype(np.float32)}


@dataclass
class BlendOfReferences:
    """A fake inpainter whose result depends on every pixel of all encodings and on the shifts; it records the shapes."""

    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        luma = inputs["luma"]
        self.shapes.append(luma.shape)
        places = np.arange(1, 6, dtype=np.float32) + inputs["shift"] @ np.float32([0.01, 0.02])
        lent = (luma * places[:, :, None, None, None]).sum(1) / 15
        return {"clean": np.clip(lent + 0.1 * inputs["frame"], 0, 1).astype(np.float32)}


def excerpt(source: Path, target: Path, seconds: float) -> None:
    """Copy the packets of a video's first seconds into a new file."""
    with av.open(source) as read, av.open(target, "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is not None and packet.time_base is not None and packet.dts * packet.time_base < seconds:
                packet.stream = copy
                written.mux(packet)
