"""Builds the output file: its container, its encoded and copied streams, its metadata and chapters."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from service.pipeline.io.codec import EncoderSettings
from service.pipeline.io.hdr import write_colour_tags
from service.pipeline.io.streams import MOVIE_MUXERS
from service.pipeline.io.tag_names import KEYED, MUXERS_OWN, written
from service.pipeline.sandbox.sandbox import THREADS
from service.pipeline.video import VideoInfo

STATISTICS_TAGS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_")  # Matroska's; no longer true of a re-encoded stream
TITLE_AS_READ, TITLE = "name", "title"  # of a track: MP4 and MOV are read with one name for it and written with another
FRAME_THREADED = ("libx264", "libx264rgb")  # left alone, they cut each picture into a slice per thread


def open_target(path: Path, muxer: str, time_base: Fraction, *, own_keys: bool = False) -> OutputContainer:
    """Open a file for writing. In MP4 and MOV the index comes first, and the main stream keeps its exact time base.

    own_keys: MP4 and MOV store all tags under their own names.
    """
    options = {}
    if muxer in MOVIE_MUXERS:
        flags = "+faststart+use_metadata_tags" if own_keys and muxer in KEYED else "+faststart"
        options = {"movflags": flags, "video_track_timescale": str(time_base.denominator)}
    return av.open(str(path), "w", format=muxer, options=options)


def add_encoded_stream(target: OutputContainer, info: VideoInfo, settings: EncoderSettings, template: VideoStream) -> VideoStream:
    """Add the stream of new pictures, with size, timing, colour tags, rotation, language and title as in the source."""
    stream = target.add_stream(settings.codec, rate=info.fps, options=dict(settings.options), time_base=info.time_base)
    assert isinstance(stream, VideoStream)
    set_up_pictures(stream.codec_context, info, settings)
    if settings.codec == "libx265" and target.format.name in MOVIE_MUXERS:
        stream.codec_context.codec_tag = hevc_tag(template)
    if info.display_matrix:
        stream.set_display_matrix(info.display_matrix)
    stream.time_base = info.time_base
    copy_tags(stream, template, without_statistics(template.metadata))
    return stream


def add_spliced_stream(target: OutputContainer, template: VideoStream, record: bytes) -> VideoStream:
    """Add the stream that holds packets of the source and new ones. record: the parameter sets of both."""
    stream = target.add_stream_from_template(template, opaque=True)
    assert isinstance(stream, VideoStream)
    stream.codec_context.extradata = record
    copy_tags(stream, template, without_statistics(template.metadata))
    return stream


def set_up_pictures(encoder: VideoCodecContext, info: VideoInfo, settings: EncoderSettings) -> None:
    """Give an encoder that is not open yet the size, format, fields, colour and aspect ratio of the pictures, and its threads."""
    encoder.width, encoder.height, encoder.pix_fmt = info.width, info.height, settings.pixel_format
    encoder.thread_count = THREADS
    if settings.codec in FRAME_THREADED:
        encoder.thread_type = "FRAME"
    encoder.field_order = info.field_order
    write_colour_tags(encoder, info.colour)
    if info.sample_aspect_ratio is not None:
        encoder.sample_aspect_ratio = info.sample_aspect_ratio


def without_statistics(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a stream that are still true when its pictures are encoded again."""
    return {key: value for key, value in tags.items() if not key.startswith(STATISTICS_TAGS)}


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
    target.metadata.update(written(source.metadata))
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
    kept = {key: value for key, value in tags.items() if key not in MUXERS_OWN}
    if TITLE_AS_READ in kept:
        kept.setdefault(TITLE, kept.pop(TITLE_AS_READ))
    stream.metadata.update(kept)
    stream.disposition = Disposition(template.disposition)
