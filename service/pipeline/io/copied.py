"""The streams that are not encoded: those that the target can hold are copied packet by packet, captions that are text may be converted."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.video.stream import VideoStream

from service.pipeline.io.container import is_cover
from service.pipeline.io.mux import copy_tags, hevc_tag
from service.pipeline.io.streams import MOVIE_MUXERS, TEXT_OF_MUXER, Fate, fate_of, refusal, stream_part

EMPTY_CAPTION = b"\0\0"  # a text of length 0; MP4 fills the time between captions with it
COVER_FILES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}  # by codec: name and type of an attachment
MAX_START_UP_SECONDS = 0.1  # of sound before the first that is heard: HE-AAC has the longest, about 0.09
UNNAMED = " channels"  # how FFmpeg calls a layout of which only the number of channels is known
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # FFmpeg's own choice
MILLISECONDS = Fraction(1, 1000)
BLOCKS = "adpcm"  # how FFmpeg's names of the codecs begin whose sound comes in blocks, of which an AVI states only the bit rate


class CopiedStreams:
    """The copied streams of a target. Add them before its first packet.

    suffix: the target's, for messages.
    """

    def __init__(self, source: InputContainer, target: OutputContainer, suffix: str) -> None:
        self._source = source
        self._target = target
        self._suffix = suffix
        self._muxer = target.format.name
        self._covers = _cover_pictures(source) if self._muxer == "matroska" else {}
        self._copies: dict[int, Stream] = {}  # by index in the source
        self._first_seconds: dict[int, Fraction] = {}  # by index in the source
        self._captions: dict[int, tuple[SubtitleCodecContext, SubtitleCodecContext]] = {}  # decoder and encoder, by index in the source

    def add(self, template: Stream) -> None:
        """Add a stream of the source, unless the target has no place for its kind. Raises RequestError if it holds others of its kind."""
        part = stream_part(template)
        match fate_of(part, self._muxer):
            case Fate.COPIED:
                self._copies[template.index] = self._add_copy(template)
            case Fate.CONVERTED:
                self._copies[template.index] = self._add_captions(template)
            case Fate.ATTACHED if isinstance(template, AttachmentStream):
                self._target.add_attachment(template.name or "attachment", template.mimetype or "application/octet-stream", template.data)
            case Fate.ATTACHED:
                name, media_type = COVER_FILES[part.codec]
                self._target.add_attachment(template.metadata.get("filename", name), media_type, self._covers[template.index])
            case Fate.REFUSED:
                raise refusal(part, self._suffix)

    def packets(self) -> Iterator["av.Packet[Stream]"]:
        """Packets of the added streams in file order, ready to be muxed."""
        templates = [self._source.streams[index] for index in self._copies]
        if not templates:
            return
        for packet in self._source.demux(templates):
            if packet.dts is None and packet.size == 0:
                continue  # marks the end of a stream
            if self._is_trimmed(packet):
                continue
            if packet.size == len(EMPTY_CAPTION) and packet.stream.name == "mov_text" and bytes(packet) == EMPTY_CAPTION:
                continue  # the muxer fills gaps between captions itself
            if packet.stream.type == "audio" and not packet.duration and self._source.format.name == "avi":
                packet.duration = 1  # one tick is one packet there; MP4 would cut off a last one without a length
            index = packet.stream_index
            copy = self._converted(packet) if index in self._captions else packet
            if copy is not None:
                copy.stream = self._copies[index]
                yield copy

    def _is_trimmed(self, packet: "av.Packet[Stream]") -> bool:
        """Whether an edit list leaves a packet out, and the target has no such list. What a sound decoder only starts up with is kept."""
        seconds = Fraction(0) if packet.pts is None else packet.pts * packet.time_base
        first = self._first_seconds.setdefault(packet.stream_index, seconds)
        return packet.is_discard and self._muxer not in MOVIE_MUXERS and first < -MAX_START_UP_SECONDS

    def _add_copy(self, template: Stream) -> Stream:
        stream = self._target.add_stream_from_template(template, opaque=True)
        if isinstance(template, VideoStream) and self._muxer in MOVIE_MUXERS and template.codec_context.name == "hevc":
            stream.codec_context.codec_tag = hevc_tag(template)
        if isinstance(stream, AudioStream) and self._muxer in MOVIE_MUXERS:
            _name_layout(stream)
        if isinstance(stream, AudioStream) and self._muxer == "avi" and template.codec_context.name.startswith(BLOCKS):
            stream.codec_context.bit_rate = round(8 * _bytes_of_tick(self._source, template) / (template.time_base or 1))
        copy_tags(stream, template, template.metadata)
        return stream

    def _add_captions(self, template: Stream) -> Stream:
        stream = self._target.add_stream(TEXT_OF_MUXER[self._muxer])
        decoder, encoder = template.codec_context, stream.codec_context
        assert isinstance(decoder, SubtitleCodecContext)
        assert isinstance(encoder, SubtitleCodecContext)
        decoder.open(strict=False)
        encoder.subtitle_header = decoder.subtitle_header
        stream.time_base = encoder.time_base = MILLISECONDS
        self._captions[template.index] = (decoder, encoder)
        copy_tags(stream, template, template.metadata)
        return stream

    def _converted(self, packet: "av.Packet[Stream]") -> "av.Packet[Stream] | None":
        """A caption in the target's codec; None for an empty one."""
        decoder, encoder = self._captions[packet.stream_index]
        captions = decoder.decode2(packet)
        if captions is None:
            return None
        copy = cast("av.Packet[Stream]", encoder.encode_subtitle(captions))
        copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
        copy.is_keyframe = True
        return copy


def _bytes_of_tick(source: InputContainer, template: Stream) -> Fraction:
    """The bytes of sound in a tick of a stream of an AVI: from these and the bit rate its muxer tells how long a block of sound is."""
    with av.open(source.name, format=source.format.name, metadata_errors="replace") as again:
        first = next((packet for packet in again.demux(again.streams[template.index]) if packet.size), None)
        return Fraction(first.size, max(1, first.duration or 1)) if first else Fraction(1)


def _name_layout(stream: AudioStream) -> None:
    """Say which loudspeakers the channels are for, where a source gives only their number: MP4 wants to know of PCM."""
    layout = stream.codec_context.layout
    if layout.name.endswith(UNNAMED) and layout.nb_channels in USUAL_LAYOUTS:
        stream.codec_context.layout = USUAL_LAYOUTS[layout.nb_channels]


def _cover_pictures(source: InputContainer) -> dict[int, bytes]:
    """The covers of a file that has just been opened, by stream. They are its first packets."""
    covers = [stream for stream in source.streams if is_cover(stream)]
    return {packet.stream_index: bytes(packet) for packet in islice(source.demux(covers), len(covers))} if covers else {}


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
