"""Writes small videos of every kind: any codec, pixel format and container, with sound, captions, tags and times as people have them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from service.pipeline.io.mux import start_encoders
from tests.video.clips import picture_rgb

FPS = 25
FRAMES = 6
SAMPLE_RATE = 48_000
QUIET = {  # options by encoder that keep it silent and fast
    "libx265": {"x265-params": "log-level=none", "preset": "ultrafast"},
    "libx264": {"preset": "veryfast"},
    "libsvtav1": {"preset": "12"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime", "auto-alt-ref": "0"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "auto-alt-ref": "0"},
    "dnxhd": {"profile": "dnxhr_hq"},
    "prores_ks": {},
}
SIZES = {"dvvideo": (720, 576), "dnxhd": (256, 128), "h263": (128, 96), "rv20": (128, 96)}  # the codecs that do not take 64x48
RATES = {"libopencore_amrnb": 8000, "nellymoser": 44_100, "adpcm_swf": 44_100, "mp3": 44_100}
RAW_CAPTIONS: Mapping[str, Callable[[str], bytes]] = {  # by codec: a packet of it
    "mov_text": lambda line: len(line).to_bytes(2, "big") + line.encode(),
    "hdmv_pgs_subtitle": lambda line: b"\x80\0\0" + line.encode(),  # a segment that ends a display set, and what nobody looks at
    "dvd_subtitle": lambda line: b"\0\x08\0\x04" + line.encode()[:4].ljust(4, b"\xff"),
}
CHANNELS = {"libopencore_amrnb": "mono", "nellymoser": "mono"}


class NotWritten(Exception):
    """FFmpeg writes no such file, so nobody has one of this kind."""


@dataclass(frozen=True)
class Sound:
    """A track of sound, by FFmpeg's encoder. starts: in seconds after the pictures."""

    codec: str
    layout: str = "stereo"
    tags: Mapping[str, str] = field(default_factory=dict)
    starts: Fraction = Fraction(0)


@dataclass(frozen=True)
class Film:
    """What a video is made of.

    pts: in ticks of 1/25 s. texts: captions by name of their format, each with the text of a file of it. configure: sees the file before
    its header is written. packet: sees each packet of pictures before it is muxed. finish: muxes more at the end.
    """

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    pts: tuple[int, ...] = tuple(range(FRAMES))
    muxer: str | None = None
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    sounds: tuple[Sound, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    configure: Callable[[OutputContainer, VideoStream], object] = lambda *_: None
    packet: Callable[["av.Packet[VideoStream]"], "av.Packet[VideoStream]"] = lambda packet: packet
    finish: Callable[[OutputContainer], object] = lambda _: None

    @property
    def size(self) -> tuple[int, int]:
        return SIZES.get(self.codec, (64, 48))

    def write(self, path: Path) -> None:
        """Write the file. Raises NotWritten where its container does not take what it is made of."""
        try:
            self._write(path)
        except (av.FFmpegError, ValueError, NotImplementedError) as error:
            raise NotWritten(f"{path.suffix}, {self.codec}, {self.pixel_format}: {error}") from error

    def _write(self, path: Path) -> None:
        with av.open(str(path), "w", format=self.muxer, container_options=dict(self.muxer_options)) as target:
            stream = target.add_stream(self.codec, rate=FPS, options=QUIET.get(self.codec, {}) | dict(self.options))
            stream.width, stream.height, stream.pix_fmt = *self.size, self.pixel_format
            stream.codec_context.thread_count = 1
            sounds = [_add_sound(target, sound) for sound in self.sounds]
            texts = [_add_text(target, *text) for text in self.texts]
            self.configure(target, stream)
            start_encoders(target)
            for packet in self._packets(stream):
                changed = self.packet(packet)
                changed.stream = stream
                target.mux(changed)
            for track, sound in zip(sounds, self.sounds, strict=True):
                target.mux(_sound_packets(track, sound, (self.pts[-1] - self.pts[0] + 1) / FPS, Fraction(self.pts[0], FPS)))
            for packets in texts:
                target.mux(packets)
            self.finish(target)

    def _packets(self, stream: VideoStream) -> Iterator["av.Packet[VideoStream]"]:
        for index, at in enumerate(self.pts):
            picture = av.VideoFrame.from_ndarray(picture_rgb(*self.size, index), "rgb24").reformat(format=self.pixel_format)
            picture.pts, picture.time_base = at, Fraction(1, FPS)
            yield from stream.encode(picture)
        yield from stream.encode(None)


def _add_sound(target: OutputContainer, sound: Sound) -> AudioStream:
    options = {"strict": "-2"} if sound.codec in ("opus", "vorbis", "truehd") else {}
    stream = target.add_stream(sound.codec, rate=RATES.get(sound.codec, SAMPLE_RATE), options=options)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = CHANNELS.get(sound.codec, sound.layout)
    formats = stream.codec_context.codec.audio_formats
    if formats:
        stream.codec_context.format = formats[0]
    stream.metadata.update(sound.tags)
    return stream


def _sound_packets(stream: AudioStream, sound: Sound, seconds: float, start: Fraction) -> list["av.Packet[Stream]"]:
    """The packets of a tone, one frequency for each channel."""
    context = stream.codec_context
    rate, channels = context.sample_rate, context.layout.nb_channels
    times = np.arange(max(2 * 1152, round(seconds * rate))) / rate
    tones = np.stack([0.4 * np.sin(2 * np.pi * (300 + 100 * n) * times) for n in range(channels)]).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tones, "fltp", context.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, round((start + sound.starts) * rate), Fraction(1, rate)
    resampler = av.AudioResampler(context.format, context.layout, rate, frame_size=context.frame_size or 1024)
    ready = [*resampler.resample(frame), *resampler.resample(None)]
    packets = [packet for piece in ready for packet in stream.encode(piece)]
    return [*packets, *stream.encode(None)]


def _add_text(target: OutputContainer, name: str, text: str) -> list["av.Packet[Stream]"]:
    """Add captions, which are muxed later. name: FFmpeg's, of the demuxer of a file with this text, or of a codec without such a file."""
    if name in RAW_CAPTIONS:
        stream = target.add_mux_stream(name, time_base=Fraction(1, 1000))
        return [_caption(stream, 40 + 80 * index, RAW_CAPTIONS[name](line)) for index, line in enumerate(text.split())]
    with av.open(BytesIO(text.encode()), format=name) as source:
        stream = target.add_stream_from_template(source.streams.subtitles[0])
        return [_copied(packet, stream) for packet in source.demux() if packet.size]


def _caption(stream: Stream, milliseconds: int, content: bytes) -> "av.Packet[Stream]":
    packet = av.Packet(content)
    packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 1000), True
    packet.pts = packet.dts = milliseconds
    packet.duration = 60
    return packet


def _copied(packet: "av.Packet[Stream]", stream: Stream) -> "av.Packet[Stream]":
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.stream, copy.is_keyframe = stream, True
    return copy


def remuxed(source: Path, target: Path, change: Callable[["av.Packet[Stream]"], object] = lambda _: None, **options: str) -> None:
    """Copy all streams into another file. change: sees each packet before it is muxed."""
    with av.open(str(source)) as read, av.open(str(target), "w", container_options=options) as written:
        copies = [written.add_stream_from_template(stream, opaque=True) for stream in read.streams]
        for packet in _packets_of(read):
            copy = copies[packet.stream_index]
            change(packet)
            packet.stream = copy
            written.mux(packet)


def _packets_of(source: InputContainer) -> Iterable["av.Packet[Stream]"]:
    return (packet for packet in source.demux() if packet.size)
