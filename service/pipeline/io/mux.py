"""Builds the output file: its container, its encoded and copied streams, its metadata and chapters."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from service.pipeline.io.codec import EncoderSettings
from service.pipeline.io.hdr import write_colour_tags
from service.pipeline.io.streams import MOVIE_MUXERS
from service.pipeline.sandbox.sandbox import THREADS
from service.pipeline.video import VideoInfo

CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})  # the muxer writes its own
STATISTICS_TAGS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_")  # Matroska's; no longer true of a re-encoded stream
MAKER_KEYS = "com."  # how the keys of phones and cameras begin, such as com.apple.quicktime.make
FRAME_THREADED = ("libx264", "libx264rgb")  # left alone, they cut each picture into a slice per thread


def open_target(path: Path, muxer: str, time_base: Fraction, metadata: Mapping[str, str] | None = None) -> OutputContainer:
    """Open a file for writing. In MP4 and MOV the index comes first, and the main stream keeps its exact time base.

    metadata: the source's. If it has keys of the maker of a phone or camera, MP4 and MOV store all of it under its own keys.
    """
    options = {}
    if muxer in MOVIE_MUXERS:
        has_maker_keys = any(key.startswith(MAKER_KEYS) for key in metadata or ())
        flags = "+faststart+use_metadata_tags" if has_maker_keys else "+faststart"
        options = {"movflags": flags, "video_track_timescale": str(time_base.denominator)}
    return av.open(str(path), "w", format=muxer, options=options)


def add_encoded_stream(target: OutputContainer, info: VideoInfo, settings: EncoderSettings, template: VideoStream) -> VideoStream:
    """Add the stream of new pictures, with size, timing, colour tags, rotation, language and title as in the source."""
    stream = target.add_stream(settings.codec, rate=info.fps, options=dict(settings.options), time_base=info.time_base)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = info.width, info.height, settings.pixel_format
    context.thread_count = THREADS
    if settings.codec in FRAME_THREADED:
        context.thread_type = "FRAME"
    if settings.codec == "libx265" and target.format.name in MOVIE_MUXERS:
        context.codec_tag = hevc_tag(template)
    context.field_order = info.field_order
    write_colour_tags(context, info.colour)
    if info.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.display_matrix:
        stream.set_display_matrix(info.display_matrix)
    stream.time_base = info.time_base
    tags = {key: value for key, value in template.metadata.items() if not key.startswith(STATISTICS_TAGS)}
    copy_tags(stream, template, tags)
    return stream


def hevc_tag(template: Stream) -> str:
    """How a copy of an HEVC stream is tagged in MP4 and MOV: as Apple's players ask for, unless the source is tagged otherwise."""
    with suppress(UnicodeDecodeError):  # a tag of any four bytes
        if template.codec_context.codec_tag == "hev1":
            return "hev1"
    return "hvc1"


def start_encoders(target: OutputContainer) -> None:
    """Open the encoders of all streams, at normal priority.

    SVT-AV1 run by root gives its threads and its caller the highest real-time priority, which starves every other process.
    """
    target.start_encoding()
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # the thread has ended
            if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def copy_description(source: InputContainer, target: OutputContainer, with_chapters: bool = True) -> None:
    """Copy the metadata and chapters of the file as a whole."""
    target.metadata.update({key: value for key, value in source.metadata.items() if key not in CONTAINER_TAGS})
    if with_chapters:
        target.set_chapters(source.chapters())


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


def copy_tags(stream: Stream, template: Stream, tags: Mapping[str, str]) -> None:
    """Copy tags, and what a stream is for, but for what the muxer writes itself."""
    stream.metadata.update({key: value for key, value in tags.items() if key not in CONTAINER_TAGS})
    stream.disposition = Disposition(template.disposition)
