"""An encoder whose pictures can stand beside a source's own packets in one H.264 stream.

Both keep their parameter sets, side by side under different numbers. All that a decoder sets itself up for is the same in both.
"""

from dataclasses import dataclass, replace
from typing import Final

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from service.pipeline.io import avc
from service.pipeline.io.avc import ParameterSets, SequenceParameters, sequence_parameters
from service.pipeline.io.codec import SPECIAL_OPTIONS, EncoderSettings, encoder_options, muxer_of
from service.pipeline.io.mux import set_up_pictures
from service.pipeline.io.packets import PacketTable
from service.pipeline.video import Colour, VideoInfo

ENCODER: Final = "libx264"
CONTAINERS: Final = ("mp4", "mov", "mkv")
MUXERS: Final = ("mp4", "mov", "matroska")
PROFILES: Final = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}  # x264's names
# By how many pictures may come before one that is shown earlier.
REORDER_OPTIONS: Final[tuple[dict[str, str], ...]] = ({"bf": "0"}, {"b-pyramid": "none"}, {})


class NotCopiedError(Exception):
    """No packet can be copied beside newly encoded ones. The message says why, as one phrase for people."""


class ParameterSetReader:
    """The parameter sets of an H.264 stream. The packets may repeat them, but bring no others."""

    def __init__(self, stream: VideoStream) -> None:
        self._record = stream.codec_context.extradata or b""
        self._known: frozenset[bytes] | None = None
        self._brings_others = False

    def see(self, packet: bytes) -> None:
        """Take note of a packet. Raises ValueError where its units or the stream's sets cannot be read."""
        if self._known is None:
            sets = ParameterSets.of_record(self._record)
            self._known = frozenset(sets.sequence + sets.picture)
        own = (unit for unit in avc.units_of(packet) if avc.unit_type(unit) in (avc.SPS, avc.PPS))
        self._brings_others |= any(unit not in self._known for unit in own)

    def sets(self) -> ParameterSets:
        """The sets of the stream. Raises NotCopiedError if its packets bring others."""
        if self._brings_others:
            raise NotCopiedError("its packets change how they are to be decoded")
        return ParameterSets.of_record(self._record)


@dataclass(frozen=True)
class Beside:
    """The encoder for new pictures beside a source's packets. sets: those of both. source: what the source's say of its pictures."""

    info: VideoInfo
    settings: EncoderSettings
    source: SequenceParameters
    sets: ParameterSets

    def open(self) -> VideoCodecContext:
        """A new encoder; its packets refer to the sets."""
        return _opened(self.info, self.settings, self.source)


def encoder_beside(info: VideoInfo, suffix: str, table: PacketTable, reader: ParameterSetReader) -> Beside:
    """The encoder for new pictures in a file with this suffix. info: of the source, as it is stored; reader: has seen its packets.

    Raises NotCopiedError where it cannot be shown that decoders take both for one stream, ValueError for sets that cannot be read.
    """
    settings = encoder_options(info, suffix)
    _check_kind(info, suffix, settings)
    sets = reader.sets()
    said = [sequence_parameters(unit) for unit in sets.sequence]
    if said[0].profile not in PROFILES or not said[0].progressive or said[0].hrd:
        raise NotCopiedError("it promises decoders what new pictures cannot keep")
    number, times = sets.free_id(), table.decoding_times()
    if number is None or times is None:
        raise NotCopiedError("its packets contradict each other")
    reorder = min(
        frames for frames in (table.allowed_reorder(times), said[0].reorder_frames, len(REORDER_OPTIONS) - 1) if frames is not None
    )
    level = {"profile": PROFILES[said[0].profile], "level": str(said[0].level)}
    special = ":".join(filter(None, (settings.options.get(SPECIAL_OPTIONS[ENCODER]), f"sps-id={number}")))
    options = settings.options | REORDER_OPTIONS[reorder] | level | {SPECIAL_OPTIONS[ENCODER]: special}
    settings = replace(settings, options=options)
    own = ParameterSets.of_stream(_opened(info, settings, said[0]).extradata or b"")
    for one in said:
        _check_alike(sequence_parameters(own.sequence[0]), one, reorder)
    return Beside(info, settings, said[0], sets.and_those(own))


def _check_kind(info: VideoInfo, suffix: str, settings: EncoderSettings) -> None:
    """Raise NotCopiedError for a kind of video or target whose packets are never copied."""
    if info.codec != "h264" or settings.codec != ENCODER:
        raise NotCopiedError("its codec is another one")
    if info.container not in CONTAINERS or muxer_of(suffix) not in MUXERS:
        raise NotCopiedError("its container is another one")
    if info.interlaced or info.captions or info.crop or info.alpha:
        raise NotCopiedError("its pictures carry more than samples")


def _check_alike(own: SequenceParameters, source: SequenceParameters, reorder: int) -> None:
    """Raise NotCopiedError if a decoder would have to set itself up anew for our pictures, or could not decode them."""
    same = replace(own, id=source.id, profile=source.profile, level=source.level, reorder_frames=source.reorder_frames) == source
    if not same or own.profile > source.profile or own.level > source.level or own.reorder_frames != reorder:
        raise NotCopiedError("new pictures would differ in kind")


def _opened(info: VideoInfo, settings: EncoderSettings, source: SequenceParameters) -> VideoCodecContext:
    """An encoder whose pictures say of aspect ratio and colour what the source's say, though the container may say more."""
    encoder = av.CodecContext.create(settings.codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    primaries, transfer, matrix = source.colours
    colour = Colour(source.full_range, matrix, primaries, transfer)
    set_up_pictures(encoder, replace(info, colour=colour, sample_aspect_ratio=source.aspect_ratio or None), settings)
    encoder.options = dict(settings.options)
    encoder.time_base, encoder.framerate = info.time_base, info.fps
    encoder.flags |= Flags.global_header
    encoder.open()
    return encoder
