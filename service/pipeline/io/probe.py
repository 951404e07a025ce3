"""Describes a file: what it is, whether it is complete, and whether its size is within the limits."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Stream
from av.video.stream import VideoStream

from service.errors import DecodeFailed, NoFrames, TooLarge, TooLong, TooManyPixels, Truncated, UnsupportedFormat
from service.media import container_of
from service.pipeline.io import captions, mixed_fields, still, video_parts
from service.pipeline.io.container import DEMUXERS, is_cover, main_video_stream, open_source, read_error
from service.pipeline.io.crop import hidden_edges
from service.pipeline.io.hdr import read_colour_tags, read_hdr10
from service.pipeline.io.pixels import pixel_format_of
from service.pipeline.io.streams import CLOSED_CAPTIONS, TEXT_CAPTIONS
from service.pipeline.io.traits import crop_of, has_alpha, is_interlaced
from service.pipeline.picture.orientation import orientation_of
from service.pipeline.sandbox.sandbox import Channel, Child, Message
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Carried, Limits, VideoInfo

MIN_SIDE_PIXELS = 16  # encoders and networks cannot work on less than a macroblock
MISSING_SECONDS = 0.5  # rounding and edit lists explain this much of the announced length, or MISSING_SHARE of it
MISSING_SHARE = 0.1
MAX_FRAMES_PER_SECOND = 1000
ENCRYPTED: Final = "encryption_info"  # PyAV's name of what comes with an encrypted packet


def probe(path: Path, limits: Limits) -> VideoInfo:
    """Describe a video or an image, upright. Raises the InputError kind that fits a file that cannot be cleaned, or DecodeFailed.

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
    with closing(open_source(path, container, with_tags=False)) as source:
        stream = main_video_stream(source)
        _check_size(stream.codec_context.width, stream.codec_context.height, limits)
        span = _scan_packets(source, stream, container, limits)
    with closing(open_source(path, container, with_tags=False)) as source:
        stream = main_video_stream(source)
        frame, fps = _first_frame(source, stream), _frame_rate(stream, span)
        _check_size(frame.width, frame.height, limits)
        seconds = span.seconds or float(span.packets / fps)
        crop = crop_of(frame, hidden_edges(path, container))
        is_mixed = not is_interlaced(frame, stream) and span.may_have_fields and mixed_fields.has_fields(path, container, span.key_frames)
        parts = span.caption_parts + (Carried("fields"),) * is_mixed
        stored = VideoInfo(
            width=frame.width - (crop.left + crop.right if crop else 0),
            height=frame.height - (crop.top + crop.bottom if crop else 0),
            orientation=1,
            pixel_format=pixel_format_of(frame),
            colour=read_colour_tags(frame),
            time_base=stream.time_base or Fraction(1, 1000),
            fps=fps,
            duration_seconds=seconds,
            frames_estimate=span.packets,
            codec=stream.codec_context.codec.canonical_name,
            container=container,
            file_bytes=path.stat().st_size,
            video_bit_rate=round(8 * span.bytes / seconds),
            sample_aspect_ratio=stream.sample_aspect_ratio or None,
            display_matrix=_display_matrix(frame),
            end_pts=None if container == "avi" else span.end,
            begins_hidden=span.begins_hidden,
            crop=crop,
            interlaced=is_mixed or is_interlaced(frame, stream),
            field_order=stream.codec_context.field_order,
            alpha=has_alpha(stream),
            captions=span.captions,
            hdr10=read_hdr10(frame),
            carries=(*video_parts.parts_of(source, stream, frame, parts), *video_parts.file_parts_of(source, path, container)),
        )
        return stored.turned_upright(orientation_of(stored.display_matrix))


@dataclass
class _Span:
    """When the pictures or sounds of one stream are presented, from its packets in any order; ticks of its time base.

    MP4 and MOV state how long until the next packet is *decoded*, which for reordered pictures says nothing about how long one is
    shown. Only the sum is right: so the last picture lasts as long as all of them less the time until it appears.
    stated: the length in the file's index, which holds for a file that is complete; 0: none. arrived: packets, those that an edit list
    leaves out too.
    """

    time_base: Fraction
    sums_durations: bool
    stated: int
    arrived: int = 0
    packets: int = 0
    bytes: int = 0
    begins_hidden: bool = False
    captions: bool = False
    caption_text: bool = False
    key_frames: int = 0
    may_have_fields: bool = False
    first: int | None = None
    last: int = 0
    last_duration: int = 0
    durations: int = 0

    @classmethod
    def of(cls, stream: Stream, container: str) -> "_Span":
        """The empty span of a stream."""
        in_movie = DEMUXERS[container] == "mov"
        return cls(stream.time_base or Fraction(1), in_movie, stream.duration or 0 if in_movie else 0)

    def add(self, packet: "av.Packet[Stream]") -> None:
        self.arrived += 1
        if packet.is_discard:
            self.begins_hidden |= not self.packets
            return
        self.packets += 1
        self.bytes += packet.size
        if packet.stream.type == "video":
            self._look_into(packet)
        start = packet.pts if packet.pts is not None else packet.dts
        if start is None:
            return
        duration = max(0, packet.duration or 0)
        self.durations += duration
        if self.first is None or start >= self.last:
            self.last, self.last_duration = start, duration
        self.first = start if self.first is None else min(self.first, start)

    def _look_into(self, packet: "av.Packet[Stream]") -> None:
        """Take note of what the bytes of a picture say."""
        data = bytes(packet)
        if not self.caption_text and captions.HEAD in data:
            self.captions, self.caption_text = True, captions.has_text(data)
        if packet.is_keyframe:
            self.key_frames += 1
            self.may_have_fields = self.may_have_fields or mixed_fields.may_have_fields(packet.stream, data)

    @property
    def seconds(self) -> float:
        return float((self.end - (self.first or 0)) * self.time_base)

    @property
    def end(self) -> int:
        """When the last one has been presented, in ticks, if all that the file's index states is there."""
        return (self.first or 0) + max(self._length, self.stated)

    @property
    def end_seconds(self) -> float:
        """When the last one that is there has been presented."""
        return float(max((self.first or 0) + self.durations, self.last + self.last_duration) * self.time_base)

    @property
    def caption_parts(self) -> tuple[Carried, ...]:
        """The closed captions in the pictures; codec: CEA-608, where there is text in it."""
        return (Carried(CLOSED_CAPTIONS, TEXT_CAPTIONS if self.caption_text else ""),) if self.captions else ()

    @property
    def _length(self) -> int:
        until_last = self.last - (self.first or 0)
        if self.sums_durations and self.durations > until_last:
            return self.durations
        usual = until_last // max(1, self.packets - 1)
        last = self.last_duration or usual
        return until_last + (min(last, usual) if self.sums_durations else last)


def _scan_packets(source: InputContainer, stream: VideoStream, container: str, limits: Limits) -> _Span:
    """The span of the main stream. Raises Truncated, NoFrames or TooLong."""
    spans: dict[int, _Span] = {}
    for packet in _data_packets(source):
        if packet.has_sidedata(ENCRYPTED):
            raise UnsupportedFormat("the file is encrypted, as copy-protected films are; save it without")
        if packet.stream.type in ("video", "audio") and not is_cover(packet.stream):
            if packet.stream_index not in spans:
                spans[packet.stream_index] = _Span.of(packet.stream, container)
            spans[packet.stream_index].add(packet)
    main = spans.get(stream.index)
    if main is None or not main.packets:
        raise NoFrames("the video has no frames")
    if not all(0 < source.streams[index].frames <= span.arrived for index, span in spans.items()):
        _check_complete(source, max(span.end_seconds for span in spans.values()), starts_at_zero=DEMUXERS[container] == "matroska")
    _check_duration(main.seconds, limits)
    return main


def _check_complete(source: InputContainer, end_seconds: float, *, starts_at_zero: bool) -> None:
    """Raise Truncated if the file announces much more than it holds.

    starts_at_zero: the announced duration holds the time before the start.
    """
    announced = (source.duration or 0) / av.time_base
    start = 0.0 if starts_at_zero else (source.start_time or 0) / av.time_base
    missing = announced + start - end_seconds
    if announced and missing > max(MISSING_SECONDS, MISSING_SHARE * announced):
        raise Truncated(f"the file ends after {end_seconds:.1f} of its {announced:.1f} s")


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


def _frame_rate(stream: VideoStream, span: _Span) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= MAX_FRAMES_PER_SECOND:
            return rate
    if span.seconds > 0:
        return max(Fraction(1, 1000), Fraction(span.packets / span.seconds).limit_denominator(1001))
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
