"""The file that is written: its container, the streams that are copied into it, its metadata and chapters."""

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
from service.pipeline.sandbox.sandbox import THREADS
from service.pipeline.video import VideoInfo

OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})  # of the old file, written anew for the new
MEASURED_TAGS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_")  # Matroska's figures of a stream that is no longer the same

NO_CAPTION = b"\0\0"  # a text of length 0, with which MP4 fills the time between captions


def open_target(path: Path, muxer: str, time_base: Fraction) -> OutputContainer:
    """Open a file for writing. MP4 and MOV get the index first and the main stream's time base exactly."""
    options = {}
    if muxer in ("mp4", "mov"):
        options = {"movflags": "+faststart", "video_track_timescale": str(time_base.denominator)}
    return av.open(str(path), "w", format=muxer, options=options)


def add_encoded_stream(target: OutputContainer, info: VideoInfo, settings: EncoderSettings, template: VideoStream) -> VideoStream:
    """The stream of the new pictures: shape, timing, colour tags, rotation, language and title as in the source."""
    stream = target.add_stream(settings.codec, rate=info.fps, options=dict(settings.options), time_base=info.time_base)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = info.width, info.height, settings.pixel_format
    context.thread_count = THREADS
    context.color_range = 2 if info.colour.full_range else 1
    context.colorspace = info.colour.matrix
    context.color_primaries = info.colour.primaries
    context.color_trc = info.colour.transfer
    if info.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.display_matrix:
        stream.set_display_matrix(info.display_matrix)
    stream.time_base = info.time_base
    tags = {key: value for key, value in template.metadata.items() if not key.startswith(MEASURED_TAGS)}
    _describe(stream, template, tags)
    return stream


def start_encoders(target: OutputContainer) -> None:
    """Open the encoders of all streams, and let the machine's other work run beside them.

    SVT-AV1, where root runs it, gives its caller and its threads the highest real-time priority: nothing else gets a processor then.
    """
    target.start_encoding()
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def add_copied_stream(target: OutputContainer, template: Stream, suffix: str) -> Stream | None:
    """A stream whose packets will be copied; None for data, which no container takes from another as it is."""
    if template.type == "attachment" and target.format.name != "matroska":
        return None
    if template.type in ("data", "unknown"):
        return None
    try:
        stream = target.add_stream_from_template(template, opaque=True)
    except ValueError:
        name = template.codec_context.name if template.codec_context else "unknown"
        raise RequestError(f"{suffix} files cannot hold the source's {template.type} ({name}); choose another output format") from None
    _describe(stream, template, template.metadata)
    return stream


def copy_description(source: InputContainer, target: OutputContainer) -> None:
    """Metadata and chapters of the file as a whole."""
    target.metadata.update({key: value for key, value in source.metadata.items() if key not in OWN_TAGS})
    target.set_chapters(source.chapters())


def copied_packets(source: InputContainer, copies: dict[int, Stream]) -> Iterator["av.Packet[Stream]"]:
    """Packets of the copied streams, ready to be muxed, in the order of the file. `copies`: by index in the source."""
    templates = [source.streams[index] for index in copies if source.streams[index].type != "attachment"]
    if not templates:
        return
    for packet in source.demux(templates):
        if packet.dts is None and packet.size == 0:
            continue  # the end of a stream, not a part of it
        if packet.size == len(NO_CAPTION) and packet.stream.name == "mov_text" and bytes(packet) == NO_CAPTION:
            continue  # the muxer fills gaps between captions itself, and would do it twice
        packet.stream = copies[packet.stream_index]
        yield packet


class Interleaver:
    """Lets copied packets into the target as the encoded stream advances, so that neither waits in memory for the other."""

    def __init__(self, packets: Iterator["av.Packet[Stream]"], target: OutputContainer) -> None:
        self._packets = packets
        self._target = target
        self._next = next(packets, None)

    def mux_until(self, seconds: Fraction) -> None:
        """Mux the packets before `seconds`."""
        while self._next is not None and _start(self._next) < seconds:
            self._advance()

    def mux_rest(self) -> None:
        while self._next is not None:
            self._advance()

    def _advance(self) -> None:
        assert self._next is not None
        self._target.mux(self._next)
        self._next = next(self._packets, None)


def _start(packet: "av.Packet[Stream]") -> Fraction:
    """When a packet is due, in seconds; at once where it does not say."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(0) if ticks is None else ticks * packet.time_base


def _describe(stream: Stream, template: Stream, tags: dict[str, str]) -> None:
    stream.metadata.update({key: value for key, value in tags.items() if key not in OWN_TAGS})
    stream.disposition = Disposition(template.disposition)
