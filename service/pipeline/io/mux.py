"""Builds the output file: its container, its encoded and copied streams, its metadata and chapters."""

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from service.errors import RequestError
from service.pipeline.io.codec import EncoderSettings
from service.pipeline.io.hdr import write_colour_tags
from service.pipeline.sandbox.sandbox import THREADS
from service.pipeline.video import VideoInfo

CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})  # the muxer writes its own
STATISTICS_TAGS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_")  # Matroska's; no longer true of a re-encoded stream
EMPTY_CAPTION = b"\0\0"  # a text of length 0; MP4 fills the time between captions with it


def open_target(path: Path, muxer: str, time_base: Fraction) -> OutputContainer:
    """Open a file for writing. In MP4 and MOV the index comes first, and the main stream keeps its exact time base."""
    options = {}
    if muxer in ("mp4", "mov"):
        options = {"movflags": "+faststart", "video_track_timescale": str(time_base.denominator)}
    return av.open(str(path), "w", format=muxer, options=options)


def add_encoded_stream(target: OutputContainer, info: VideoInfo, settings: EncoderSettings, template: VideoStream) -> VideoStream:
    """Add the stream of new pictures, with size, timing, colour tags, rotation, language and title as in the source."""
    stream = target.add_stream(settings.codec, rate=info.fps, options=dict(settings.options), time_base=info.time_base)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = info.width, info.height, settings.pixel_format
    context.thread_count = THREADS
    write_colour_tags(context, info.colour)
    if info.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.display_matrix:
        stream.set_display_matrix(info.display_matrix)
    stream.time_base = info.time_base
    tags = {key: value for key, value in template.metadata.items() if not key.startswith(STATISTICS_TAGS)}
    _copy_tags(stream, template, tags)
    return stream


def start_encoders(target: OutputContainer) -> None:
    """Open the encoders of all streams, at normal priority.

    SVT-AV1 run by root gives its threads and its caller the highest real-time priority, which starves every other process.
    """
    target.start_encoding()
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # the thread has ended
            if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def add_copied_stream(target: OutputContainer, template: Stream, suffix: str) -> Stream | None:
    """Add a stream whose packets will be copied. Returns None for data streams, which no container takes from another.

    suffix: the target's, for messages. Raises RequestError if the target cannot hold the stream.
    """
    if template.type == "attachment" and target.format.name != "matroska":
        return None
    if template.type in ("data", "unknown"):
        return None
    try:
        stream = target.add_stream_from_template(template, opaque=True)
    except ValueError:
        name = template.codec_context.name if template.codec_context else "unknown"
        raise RequestError(
            f"{suffix} files cannot hold the source's {template.type} stream ({name}); choose another output format"
        ) from None
    _copy_tags(stream, template, template.metadata)
    return stream


def copy_description(source: InputContainer, target: OutputContainer, with_chapters: bool = True) -> None:
    """Copy the metadata and chapters of the file as a whole."""
    target.metadata.update({key: value for key, value in source.metadata.items() if key not in CONTAINER_TAGS})
    if with_chapters:
        target.set_chapters(source.chapters())


def copied_packets(source: InputContainer, copies: dict[int, Stream]) -> Iterator["av.Packet[Stream]"]:
    """Packets of the copied streams in file order, ready to be muxed. copies: target stream by index of the source stream."""
    templates = [source.streams[index] for index in copies if source.streams[index].type != "attachment"]
    if not templates:
        return
    for packet in source.demux(templates):
        if packet.dts is None and packet.size == 0:
            continue  # marks the end of a stream
        if packet.size == len(EMPTY_CAPTION) and packet.stream.name == "mov_text" and bytes(packet) == EMPTY_CAPTION:
            continue  # the muxer fills gaps between captions itself
        packet.stream = copies[packet.stream_index]
        yield packet


def packets_within(packets: Iterator["av.Packet[Stream]"], start: Fraction, seconds: Fraction) -> Iterator["av.Packet[Stream]"]:
    """The packets that are presented within `seconds` from `start`, moved so that they begin at zero. Those without a time are left out."""
    for packet in packets:
        if packet.pts is None or not start <= packet.pts * packet.time_base < start + seconds:
            continue
        ticks = round(start / packet.time_base)
        packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        yield packet


class Interleaver:
    """Muxes copied packets as the encoded stream advances, so that neither queues up in memory."""

    def __init__(self, packets: Iterator["av.Packet[Stream]"], target: OutputContainer) -> None:
        self._packets = packets
        self._target = target
        self._next = next(packets, None)

    def mux_until(self, seconds: Fraction) -> None:
        """Mux the packets that are due before `seconds`."""
        while self._next is not None and _due_seconds(self._next) < seconds:
            self._advance()

    def mux_rest(self) -> None:
        """Mux the remaining packets."""
        while self._next is not None:
            self._advance()

    def _advance(self) -> None:
        assert self._next is not None
        self._target.mux(self._next)
        self._next = next(self._packets, None)


def _due_seconds(packet: "av.Packet[Stream]") -> Fraction:
    """The decoding time of a packet in seconds; 0 if it has none."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(0) if ticks is None else ticks * packet.time_base


def _copy_tags(stream: Stream, template: Stream, tags: dict[str, str]) -> None:
    stream.metadata.update({key: value for key, value in tags.items() if key not in CONTAINER_TAGS})
    stream.disposition = Disposition(template.disposition)
