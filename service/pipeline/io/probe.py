"""Describes a file: what it is, whether it is complete, and whether its size is within the limits."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Stream
from av.video.stream import VideoStream

from service.errors import DecodeFailed, NoFrames, TooLarge, TooLong, TooManyPixels, Truncated
from service.media import container_of
from service.pipeline.io import still
from service.pipeline.io.container import main_video_stream, open_source, read_error
from service.pipeline.io.hdr import read_colour_tags
from service.pipeline.io.pixels import pixel_format_of
from service.pipeline.sandbox.sandbox import Channel, Child, Message
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Limits, VideoInfo

MIN_SIDE_PIXELS = 16  # encoders and networks cannot work on less than a macroblock
MISSING_SECONDS = 0.5  # rounding and edit lists explain this much of the announced length, or MISSING_SHARE of it
MISSING_SHARE = 0.1
MAX_FRAMES_PER_SECOND = 1000


def probe(path: Path, limits: Limits) -> VideoInfo:
    """Describe a video or an image. Raises the InputError kind that fits a file that cannot be cleaned, or DecodeFailed.

    All packets are read, but only the first frame is decoded. This finds cut-off files, exact lengths and the bit rate quickly.
    """
    container = container_of(path)
    file_bytes = path.stat().st_size
    if file_bytes > limits.file_bytes:
        raise TooLarge(f"the file has {file_bytes / 2**20:.1f} MiB; the limit is {limits.file_bytes / 2**20:g} MiB")
    request = {"path": str(path.absolute()), "container": container, "limits": asdict(limits)}
    with Child(
        _describe_in_child,
        request,
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
    ) as child:
        message = child.receive()
    try:
        return info_from_message(message["info"])
    except (KeyError, TypeError, ValueError):
        raise DecodeFailed("the decoder sent a description that cannot be read") from None


def _describe_in_child(channel: Channel, request: Message) -> None:
    path, container, limits = Path(request["path"]), request["container"], Limits(**request["limits"])
    info = still.describe(path, limits) if container == "image" else _describe_video(path, container, limits)
    channel.send(info=info_to_message(info))


def _describe_video(path: Path, container: str, limits: Limits) -> VideoInfo:
    with closing(open_source(path, container)) as source:
        stream = main_video_stream(source)
        _check_size(stream.codec_context.width, stream.codec_context.height, limits)
        _check_duration((source.duration or 0) / av.time_base, limits)
        totals = _scan_packets(source, stream, limits)
    with closing(open_source(path, container)) as source:
        stream = main_video_stream(source)
        frame = _first_frame(source, stream)
        _check_size(frame.width, frame.height, limits)
        fps = _frame_rate(stream, totals)
        seconds = totals.seconds or float(totals.packets / fps)
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            rotation_degrees=frame.rotation,
            pixel_format=pixel_format_of(frame),
            colour=read_colour_tags(frame),
            time_base=stream.time_base or Fraction(1, 1000),
            fps=fps,
            duration_seconds=seconds,
            frames_estimate=totals.packets,
            codec=stream.codec_context.codec.canonical_name,
            container=container,
            file_bytes=path.stat().st_size,
            video_bit_rate=round(8 * totals.bytes / seconds),
            sample_aspect_ratio=stream.sample_aspect_ratio or None,
            display_matrix=_display_matrix(frame),
        )


@dataclass
class _StreamTotals:
    """Count, size and time span of the packets of the main stream."""

    packets: int = 0
    bytes: int = 0
    first_seconds: Fraction | None = None
    end_seconds: Fraction = Fraction(0)

    def add(self, packet: "av.Packet[Stream]") -> None:
        self.packets += 1
        self.bytes += packet.size
        start, end = _packet_span(packet)
        self.first_seconds = start if self.first_seconds is None else min(self.first_seconds, start)
        self.end_seconds = max(self.end_seconds, end)

    @property
    def seconds(self) -> float:
        return float(self.end_seconds - (self.first_seconds or 0))


def _scan_packets(source: InputContainer, stream: VideoStream, limits: Limits) -> _StreamTotals:
    """Add up every packet of the main stream. Raises Truncated, NoFrames or TooLong."""
    totals = _StreamTotals()
    last_end = Fraction(0)
    for packet in _data_packets(source):
        if packet.stream_index == stream.index:
            totals.add(packet)
            _check_duration(totals.seconds, limits)
        if packet.stream.type in ("video", "audio"):
            last_end = max(last_end, _packet_span(packet)[1])
    announced = (source.duration or 0) / av.time_base
    missing = announced + (source.start_time or 0) / av.time_base - float(last_end)
    if announced and missing > max(MISSING_SECONDS, MISSING_SHARE * announced):
        raise Truncated(f"the file ends after {float(last_end):.1f} of its {announced:.1f} s")
    if totals.packets == 0:
        raise NoFrames("the video has no frames")
    return totals


def _data_packets(source: InputContainer) -> Iterator["av.Packet[Stream]"]:
    """All packets that carry data. Raises Truncated for a damaged one."""
    try:
        for packet in source.demux():
            if packet.is_corrupt:
                raise Truncated("the file ends early, or a part of it is damaged")
            if packet.size:
                yield packet
    except av.FFmpegError as error:
        raise read_error(error, "the file ends early, or its index is broken") from error


def _packet_span(packet: "av.Packet[Stream]") -> tuple[Fraction, Fraction]:
    """Start and end of a packet in seconds; both 0 if it has no time stamp."""
    start = packet.pts if packet.pts is not None else packet.dts
    if start is None:
        return Fraction(0), Fraction(0)
    return start * packet.time_base, (start + (packet.duration or 0)) * packet.time_base


def _first_frame(source: InputContainer, stream: VideoStream) -> av.VideoFrame:
    try:
        frame = next(source.decode(stream), None)
    except av.FFmpegError as error:
        raise read_error(error, "the video's first picture is damaged") from error
    if frame is None:
        raise NoFrames("the video has no frames that can be decoded")
    return frame


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    side_data = cast(SideDataContainer, frame.side_data)  # PyAV annotates one kind only
    if SideDataType.DISPLAYMATRIX not in side_data:
        return ()
    return tuple(memoryview(side_data[SideDataType.DISPLAYMATRIX]).cast("i"))


def _frame_rate(stream: VideoStream, totals: _StreamTotals) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= MAX_FRAMES_PER_SECOND:
            return rate
    if totals.seconds > 0:
        return max(Fraction(1, 1000), Fraction(totals.packets / totals.seconds).limit_denominator(1001))
    return Fraction(25)


def _check_duration(seconds: float, limits: Limits) -> None:
    if seconds > limits.duration_seconds:
        raise TooLong(f"the video is {seconds:.1f} s long; the limit is {limits.duration_seconds:g} s")


def _check_size(width: int, height: int, limits: Limits) -> None:
    long, short = max(width, height), min(width, height)
    if long > limits.long_side_pixels or short > limits.short_side_pixels:
        limit = f"{limits.long_side_pixels}x{limits.short_side_pixels}"
        raise TooManyPixels(f"the picture is {width}x{height} pixels; the limit is {limit}")
    if 0 < short < MIN_SIDE_PIXELS:
        raise TooManyPixels(f"the picture is {width}x{height} pixels; each side needs at least {MIN_SIDE_PIXELS}")
