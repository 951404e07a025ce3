"""The packets of a video's main stream as a table: when each is decoded and shown, and where groups of pictures begin and can be left."""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Final

from av.container import InputContainer
from av.video.stream import VideoStream

from service.pipeline.io import avc

MAX_PACKETS: Final = 100_000  # of a video that is read in parts: their numbers fit into one message
NEW_EXTRADATA: Final = "new_extradata"
HEVC_SLICES: Final = 32  # types of units below it are slices
HEVC_IDR_SLICES: Final = (19, 20)
IsBegin = Callable[[bytes], bool]  # whether the packet, which is a key frame, resets the decoder


@dataclass(frozen=True)
class PacketTable:
    """The packets in their order in the file, in which they are decoded; times in ticks. dts: None where the file does not say.

    resets: of each packet, whether nothing after it refers to what is before it, according to its own bits.
    """

    pts: Sequence[int]
    dts: Sequence[int | None]
    sizes: Sequence[int] = field(repr=False)
    resets: Sequence[bool] = field(repr=False)

    @cached_property
    def shown(self) -> list[int]:
        """The pts in the order in which the pictures are shown."""
        return sorted(self.pts)

    @cached_property
    def breaks(self) -> list[int]:
        """The numbers of packets before which exactly the pictures come that are shown earlier. There, what is after can be cut off."""
        latest = accumulate(self.pts, max, initial=self.shown[0] - 1)
        return [number for number, (before, first) in enumerate(zip(latest, self.shown, strict=False)) if before < first]

    @property
    def begins(self) -> list[int]:
        """Those of them that reset the decoder with the first picture that is shown: what is before can be cut off as well."""
        return [number for number in self.breaks if self.resets[number] and self.pts[number] == self.shown[number]]

    @cached_property
    def reorder_frames(self) -> int:
        """How many pictures at most come before one that is shown earlier."""
        place = {pts: index for index, pts in enumerate(self.shown)}
        return max(number - place[pts] for number, pts in enumerate(self.pts))

    def decoding_times(self) -> list[int] | None:
        """When each packet is decoded: strictly rising, none after its picture is shown. None where the file contradicts itself."""
        times = (
            [self._delayed(number) for number in range(len(self.pts))] if None in self.dts else [dts for dts in self.dts if dts is not None]
        )
        rising = all(before < after for before, after in pairwise(times))
        return times if rising and all(dts <= pts for dts, pts in zip(times, self.pts, strict=True)) else None

    def _delayed(self, number: int) -> int:
        """The decoding time of a packet whose file does not say it: as late as the order of the pictures allows."""
        late = number - self.reorder_frames
        return self.shown[late] if late >= 0 else self.shown[0] + late

    def allowed_reorder(self, times: Sequence[int]) -> int:
        """How many pictures may come before one that is shown earlier, if others take the packets' places in the file and their times."""
        for frames in range(self.reorder_frames, 0, -1):
            if all(dts <= pts for dts, pts in zip(times[frames:], self.shown, strict=False)):
                return frames
        return 0


def read_table(source: InputContainer, stream: VideoStream, see: Callable[[bytes], object] = len) -> PacketTable | None:
    """The table of a stream. None if packets and pictures do not belong together one by one. see: called with the bytes of each packet."""
    reset = resets_decoder(stream)
    pts, dts, sizes, resets = list[int](), list[int | None](), list[int](), list[bool]()
    if reset is None:
        return None
    for packet in source.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None or packet.is_discard or packet.is_corrupt or packet.has_sidedata(NEW_EXTRADATA) or len(pts) >= MAX_PACKETS:
            return None
        content = bytes(packet)
        see(content)
        pts.append(packet.pts)
        dts.append(packet.dts)
        sizes.append(packet.size)
        resets.append(packet.is_keyframe and reset(content))
    return PacketTable(pts, dts, sizes, resets) if pts and len(set(pts)) == len(pts) else None


def resets_decoder(stream: VideoStream) -> IsBegin | None:
    """How a key frame of this stream shows that pictures after it need nothing from before it; None where that is not known."""
    record = stream.codec_context.extradata or b""
    match stream.codec_context.codec.canonical_name:
        case "h264" if record[:1] == b"\1" and record[4] & 3 == avc.UNIT_LENGTH_BYTES - 1:
            return lambda packet: _first_slice(packet) == avc.IDR_SLICE
        case "hevc" if record[:1] == b"\1" and record[21] & 3 == avc.UNIT_LENGTH_BYTES - 1:
            return lambda packet: _first_hevc_slice(packet) in HEVC_IDR_SLICES
        case "vp9":
            return _is_vp9_key_frame
    return None


def _first_slice(packet: bytes) -> int | None:
    """The type of the first slice of an H.264 picture."""
    return next((kind for unit in avc.units_of(packet) if (kind := avc.unit_type(unit)) in avc.SLICES), None)


def _first_hevc_slice(packet: bytes) -> int | None:
    """The type of the first slice of an HEVC picture."""
    return next((kind for unit in avc.units_of(packet) if (kind := unit[0] >> 1 & 63) < HEVC_SLICES), None)


def _is_vp9_key_frame(packet: bytes) -> bool:
    """By the first bits: a marker, the profile, of which the highest has a bit more, and whether the packet only shows an earlier frame."""
    reserved = packet[0] >> 4 & 3 == 3
    return packet[0] >> 6 == 2 and not packet[0] >> (2 if reserved else 3) & 1 and not packet[0] >> (1 if reserved else 2) & 1


def digest_of(times: Iterable[int]) -> str:
    """Equal for equal times."""
    return hashlib.sha256(array("q", times).tobytes()).hexdigest()
