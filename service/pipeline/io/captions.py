"""Closed captions as a track of text, for new pictures that cannot hold them: what CEA-608 says, as FFmpeg's decoder reads it."""

import re
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import Final, cast

import av
from av.container import OutputContainer
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from service.pipeline.io.streams import TEXT_OF_MUXER

HEAD: Final = b"GA94\x03"  # before the captions in a coded picture: a byte whose last five bits count them, a byte, and three bytes each
TRIPLET_BYTES: Final = 3
FIELDS_OF_608: Final = (4, 5)  # the last three bits of a triplet's first byte: two of CEA-608, of the first or the second field, follow
FIRST_LETTER: Final = 0x20  # below are commands
EMPTY_SCC: Final = b"Scenarist_SCC V1.0\n\n"  # a file of captions without captions: FFmpeg opens its decoder for one, with a time base
MILLISECONDS: Final = Fraction(1, 1000)
DECODERS_FONT, USUAL_FONT = b"Monospace", b"Arial"  # SubRip names any font but the usual one with each caption
PLACE: Final = re.compile(rb"\{\\(?:an\d|pos\([^)]*\))\}")  # on the screen, in ASS; players know better what else is there
ERASE: Final = b"\xfc\x94\x2c"  # what is shown: the decoder tells of a caption when it has ended
TITLE: Final = "Closed captions"


def has_text(packet: bytes) -> bool:
    """Whether a packet of pictures has letters of CEA-608."""
    places = (at for start in _starts(packet) for at in _places(packet, start) if at + TRIPLET_BYTES <= len(packet))
    return any(packet[at] & 7 in FIELDS_OF_608 and packet[at + 1] & 0x7F >= FIRST_LETTER for at in places)


def _starts(packet: bytes) -> Iterator[int]:
    """Where lists of captions start in a packet."""
    at = packet.find(HEAD)
    while at >= 0:
        yield at + len(HEAD)
        at = packet.find(HEAD, at + 1)


def _places(packet: bytes, start: int) -> range:
    count = packet[start] & 0x1F if start < len(packet) else 0
    return range(start + 2, start + 2 + TRIPLET_BYTES * count, TRIPLET_BYTES)


class CaptionTrack:
    """A track of text in a target, from the captions in pictures. Add it before the target's first packet."""

    def __init__(self, target: OutputContainer) -> None:
        self._stub = av.open(BytesIO(EMPTY_SCC), format="scc")
        self._stream = target.add_stream(TEXT_OF_MUXER[target.format.name])
        decoder, encoder = self._stub.streams[0].codec_context, self._stream.codec_context
        assert isinstance(decoder, SubtitleCodecContext)
        assert isinstance(encoder, SubtitleCodecContext)
        decoder.open(strict=False)
        encoder.subtitle_header = (decoder.subtitle_header or b"").replace(DECODERS_FONT, USUAL_FONT)
        self._stream.time_base = encoder.time_base = MILLISECONDS
        self._stream.metadata["title"] = TITLE
        self._decoder, self._encoder = decoder, encoder

    def packets(self, picture: av.VideoFrame, seconds: Fraction) -> Iterator["av.Packet[Stream]"]:
        """The captions that end with this picture, which is shown at `seconds`. Pictures come in order."""
        side_data = cast(SideDataContainer, picture.side_data)  # PyAV annotates one kind only
        if Type.A53_CC in side_data:
            yield from self._decoded(bytes(side_data[Type.A53_CC]), seconds)

    def rest(self, seconds: Fraction) -> Iterator["av.Packet[Stream]"]:
        """The caption that is still shown at the end of the video."""
        yield from self._decoded(ERASE, seconds)

    def _decoded(self, captions: bytes, seconds: Fraction) -> Iterator["av.Packet[Stream]"]:
        packet = av.Packet(captions)
        packet.pts, packet.time_base = round(seconds / MILLISECONDS), MILLISECONDS
        found = self._decoder.decode2(packet)
        if found is None or not len(found):
            return
        begins, lasts = round(Fraction(found.pts, av.time_base) / MILLISECONDS), found.end_display_time
        plain = PLACE.sub(b"", cast(AssSubtitle, found[0]).ass)
        text = cast("av.Packet[Stream]", self._encoder.encode_subtitle(SubtitleSet.create(plain, 0, lasts, found.pts)))
        text.pts, text.dts, text.duration, text.time_base = begins, begins, lasts, MILLISECONDS
        text.is_keyframe, text.stream = True, self._stream
        yield text
