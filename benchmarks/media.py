"""Reads clips and photos of the evaluation, encodes the marked file, and reads streams for comparison.

Pictures are RGB (H, W, 3) uint8; a photo is a clip of one. Encoded files are tagged BT.709, limited range, and read back by their tags.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

# Of every marked video. More threads are not deterministic, nor is AVX-512: for widths that are no multiples of 64 the file depends on what
# the memory held before (x264 of av 18.1.0).
X264 = {"preset": "fast", "crf": "18", "threads": "1", "x264-params": "asm=avx2"}
JPEG_QUALITY = 92  # of every marked photo that is not a PNG
PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Timing:
    """The presentation times of a file's pictures."""

    pts: Sequence[int]
    time_base: Fraction
    fps: Fraction

    @property
    def seconds(self) -> Sequence[float]:
        """When each picture is shown, after the first."""
        return [float((pts - self.pts[0]) * self.time_base) for pts in self.pts]


@dataclass(frozen=True)
class Clip:
    """The first pictures of a real clip, (T, H, W, 3) uint8; their pts begin at 0."""

    path: Path
    pictures: NDArray[np.uint8]
    timing: Timing

    @property
    def height(self) -> int:
        return int(self.pictures.shape[1])

    @property
    def width(self) -> int:
        return int(self.pictures.shape[2])


def read_clip(path: Path, frames: int, short_side_pixels: int) -> Clip:
    """The first `frames` pictures of a file, shrunk to a short side of at most `short_side_pixels`; both sides even.

    Raises ValueError if the file has no frames.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        width, height = even_size(stream.width, stream.height, short_side_pixels)
        decoded = list(islice(container.decode(stream), frames))
        if not decoded:
            raise ValueError(f"{path.name} has no frames")
        pictures = np.stack([_rgb(frame, width, height) for frame in decoded])
        pts = [int(frame.pts or 0) for frame in decoded]
        assert stream.time_base is not None
        fps = stream.average_rate or Fraction(30)
        return Clip(path, pictures, Timing([p - pts[0] for p in pts], stream.time_base, fps))


def read_photo(path: Path, short_side_pixels: int) -> Clip:
    """A photo as a clip of one picture, shrunk as by `read_clip`."""
    with Image.open(path) as photo:
        size = even_size(*photo.size, short_side_pixels)
        picture = np.asarray(photo.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    return Clip(path, picture[None], Timing([0], Fraction(1, 25), Fraction(25)))


def is_photo(path: Path) -> bool:
    """Whether the file is a photo, by its suffix."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def even_size(width: int, height: int, short_side_pixels: int) -> tuple[int, int]:
    """Width and height, scaled down to the short side and rounded to even numbers."""
    scale = min(1.0, short_side_pixels / min(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def pictures_of(path: Path) -> Iterator[Picture]:
    """Every picture of a video in presentation order, or the one of a photo."""
    if is_photo(path):
        with Image.open(path) as photo:
            yield np.asarray(photo.convert("RGB"))
        return
    for frame in frames_of(path):
        yield to_rgb(frame)


def frames_of(path: Path) -> Iterator[av.VideoFrame]:
    """Every decoded frame of a file, in presentation order."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        yield from container.decode(video=0)


def to_rgb(frame: av.VideoFrame) -> Picture:
    """Convert a decoded frame to RGB (H, W, 3) uint8 by its own colour tags."""
    return _rgb(frame, frame.width, frame.height)


def _rgb(frame: av.VideoFrame, width: int, height: int) -> Picture:
    flags = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.reformat(width, height, "rgb24", interpolation=flags).to_ndarray()


def write_video(target: Path, pictures: Iterable[Picture], size: tuple[int, int], timing: Timing, audio_of: Path | None = None) -> None:
    """Encode one picture of (width, height) for each pts as H.264 (x264 fast, crf 18, yuv420p); copy the audio packets of `audio_of`."""
    with av.open(str(target), "w") as container, ExitStack() as sources:
        video = container.add_stream("libx264", rate=timing.fps, options=X264)
        (video.width, video.height), video.pix_fmt = size, "yuv420p"
        video.time_base = video.codec_context.time_base = timing.time_base
        _tag(video.codec_context)
        if audio_of is not None:
            source = sources.enter_context(av.open(str(audio_of)))
            container.mux(_audio_of(source, container, timing.pts[-1] * timing.time_base))  # the muxer interleaves
        for picture, pts in zip(pictures, timing.pts, strict=False):
            container.mux(video.encode(_yuv(picture, pts, timing.time_base)))
        container.mux(video.encode(None))


def write_photo(target: Path, picture: Picture) -> None:
    """Write a picture in the format of the target's suffix."""
    Image.fromarray(picture).save(target, quality=JPEG_QUALITY)


def _tag(context: av.VideoCodecContext) -> None:
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709


def _yuv(picture: Picture, pts: int, time_base: Fraction) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
    frame = rgb.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, interpolation=flags,
        dst_color_primaries=ColorPrimaries.BT709, dst_color_trc=ColorTrc.BT709,
    )  # fmt: skip
    frame.pts, frame.time_base = pts, time_base
    return frame


def _audio_of(source: InputContainer, target: OutputContainer, end_seconds: Fraction) -> list[av.Packet]:
    """The source's audio packets up to a time, assigned to new streams of the target."""
    streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams.audio}
    packets = []
    for packet in source.demux(*source.streams.audio) if streams else ():
        if packet.dts is not None and packet.dts * packet.time_base <= end_seconds:
            packet.stream = streams[packet.stream.index]
            packets.append(packet)
    return packets


def video_times(path: Path) -> list[Fraction]:
    """The exact presentation time of every frame in seconds; 0 for a photo."""
    if is_photo(path):
        return [Fraction(0)]
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def audio_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Every audio packet with its time in seconds, of all audio streams in order."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets = [p for p in container.demux(*container.streams.audio) if p.pts is not None]
        packets.sort(key=lambda p: (p.stream.index, p.pts))
        return [(p.pts * p.time_base, bytes(p)) for p in packets]
