"""Tiny clips made with PyAV, and what PyAV reads from a file: the oracle of these tests."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from service.pipeline.io.mux import start_encoders

SAMPLE_RATE = 48_000


@dataclass(frozen=True)
class Spec:
    """What a clip is made of. colour: (range, matrix, primaries, transfer), FFmpeg's integers."""

    width: int = 96
    height: int = 64
    pts: Sequence[int] = tuple(range(12))
    time_base: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()
    rotation_degrees: int = 0
    colour: tuple[int, int, int, int] | None = None
    aspect: Fraction | None = None
    audio: str | None = None
    subtitles: str | None = None


def make_clip(path: Path, spec: Spec | None = None) -> Path:
    """Write the clip; the suffix decides its container."""
    spec = spec or Spec()
    with av.open(str(path), "w", options=_muxer_options(path, spec)) as target:
        video = target.add_stream(spec.codec, rate=Fraction(25), options=dict(spec.options), time_base=spec.time_base)
        video.width, video.height, video.pix_fmt = spec.width, spec.height, spec.pixel_format
        video.time_base = spec.time_base
        if spec.rotation_degrees:
            video.set_display_rotation(spec.rotation_degrees)
        if spec.colour:
            context = video.codec_context
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = spec.colour
        if spec.aspect:
            video.codec_context.sample_aspect_ratio = spec.aspect
        audio = target.add_stream(spec.audio, rate=SAMPLE_RATE) if spec.audio else None
        subtitles = target.add_mux_stream(spec.subtitles, time_base=Fraction(1, 1000)) if spec.subtitles else None
        start_encoders(target)
        for index, pts in enumerate(spec.pts):
            target.mux(video.encode(_picture(spec, index, pts)))
        target.mux(video.encode(None))
        if audio:
            _add_sound(target, audio, float(spec.time_base * (spec.pts[-1] + 1)))
        if subtitles and spec.subtitles:
            _add_captions(target, subtitles, spec.subtitles)
    return path


def picture_rgb(width: int, height: int, index: int) -> np.ndarray:
    """(h, w, 3) uint8: waves and a square that move with the index."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / 7 + index / 3 + k) * np.cos(y / 5 - k) for k in range(3)]
    rgb = np.stack(waves, axis=-1).astype(np.uint8)
    left = 3 * index % max(1, width - 12)
    rgb[8:20, left : left + 12] = (220, 40, 60)
    return rgb


def _muxer_options(path: Path, spec: Spec) -> dict[str, str]:
    return {"video_track_timescale": str(spec.time_base.denominator)} if path.suffix in (".mp4", ".mov") else {}


def _picture(spec: Spec, index: int, pts: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture_rgb(spec.width, spec.height, index), "rgb24").reformat(format=spec.pixel_format)
    frame.pts, frame.time_base = pts, spec.time_base
    return frame


def _add_sound(target: OutputContainer, stream: AudioStream, seconds: float) -> None:
    rng = np.random.default_rng(1)
    size = 960
    for start in range(0, int(seconds * SAMPLE_RATE), size):
        frame = av.AudioFrame.from_ndarray(rng.uniform(-0.5, 0.5, (2, size)).astype(np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))


def _add_captions(target: OutputContainer, stream: Stream, codec: str) -> None:
    for start, text in ((0.1, b"one"), (0.4, b"two")):
        packet = av.Packet(len(text).to_bytes(2, "big") + text if codec == "mov_text" else text)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(1000 * start)
        packet.duration, packet.is_keyframe = 200, True
        target.mux(packet)


def read_pts(path: Path) -> list[int]:
    """The pts of all frames, in the stream's time base."""
    with av.open(str(path)) as source:
        return [frame.pts for frame in source.decode(video=0)]


def read_times(path: Path) -> list[Fraction]:
    """The times of all frames in seconds."""
    with av.open(str(path)) as source:
        return [frame.pts * frame.time_base for frame in source.decode(video=0)]


def read_first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as source:
        return next(source.decode(video=0))


def read_packets(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    """(content, time) of the packets of the first stream of a kind: "audio" or "subtitles"."""
    with av.open(str(path)) as source:
        packets = source.demux(getattr(source.streams, kind)[0])
        return [(bytes(packet), packet.pts * packet.time_base) for packet in packets if packet.size]


def child_processes() -> set[int]:
    """The ids of the processes that work for this one: its children, and those of its forker, which is none itself."""
    children = _children_of(os.getpid())
    forkers = {child for child in children if b"forker" in Path(f"/proc/{child}/cmdline").read_bytes()}
    return (children - forkers).union(*map(_children_of, forkers))


def _children_of(process_id: int) -> set[int]:
    return {int(child) for task in Path(f"/proc/{process_id}/task").iterdir() for child in (task / "children").read_text().split()}
