"""H.264 as bytes: units, parameter sets and the record in which MP4 and Matroska keep them (ISO/IEC 14496-10 and 14496-15)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

IDR_SLICE, SPS, PPS = 5, 7, 8  # unit types
SLICES: Final = range(1, 6)
UNIT_LENGTH_BYTES: Final = 4  # of the field before each unit, in the files that are understood here
START_CODE: Final = b"\0\0\1"
HIGH_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128))  # their parameter sets say how chroma is sampled
SHORT_RECORD: Final = (66, 77, 88)  # profiles whose record does not
MAX_ID: Final = 31  # of a sequence parameter set
EXTENDED_SAR: Final = 255
UNSPECIFIED: Final = 2  # of primaries, transfer and matrix
ASPECT_RATIOS: Final = (
    *((0, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)  # by aspect_ratio_idc; 0: not said


def unit_type(unit: bytes) -> int:
    """The type of a unit."""
    return unit[0] & 31


def units_of(packet: bytes) -> Iterator[bytes]:
    """The units of a packet, each after its length. Raises ValueError for a length that does not fit."""
    position = 0
    while position < len(packet):
        start = position + UNIT_LENGTH_BYTES
        position = start + int.from_bytes(packet[position:start])
        if not start < position <= len(packet):
            raise ValueError("a unit does not end where its packet does")
        yield packet[start:position]


def units_of_stream(stream: bytes) -> list[bytes]:
    """The units of a byte stream, each after a start code, as encoders write them."""
    return [unit.rstrip(b"\0") for unit in stream.split(START_CODE)[1:]]


def packet_of(units: Iterable[bytes]) -> bytes:
    """Inverse of `units_of`."""
    return b"".join(len(unit).to_bytes(UNIT_LENGTH_BYTES) + unit for unit in units)


def allows_fields(record: bytes, packet: bytes) -> bool:
    """Whether a parameter set of a record, or in a packet of either form, allows interlaced pictures."""
    try:
        units = [*ParameterSets.of_record(record).sequence, *units_of(packet)]
    except ValueError:  # of a byte stream, or damaged
        units = units_of_stream(record) + units_of_stream(packet)
    return any(_is_of_fields(unit) for unit in units if unit and unit_type(unit) == SPS)


def _is_of_fields(unit: bytes) -> bool:
    try:
        return not sequence_parameters(unit).progressive
    except ValueError:
        return False


@dataclass(frozen=True)
class SequenceParameters:
    """What a sequence parameter set says of its pictures, as far as pictures of another one can differ beside it.

    size: macroblocks across and down. crop: left, right, top, bottom, in the set's units. reorder_frames: how many pictures at most come
    before one that is shown earlier; None: it does not say. hrd: it promises a decoder's buffer how bits arrive.
    """

    id: int
    profile: int
    level: int
    chroma: int
    bit_depths: tuple[int, int]
    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    progressive: bool
    aspect_ratio: Fraction = Fraction(0)
    full_range: bool = False
    colours: tuple[int, int, int] = (UNSPECIFIED,) * 3  # primaries, transfer, matrix
    chroma_places: tuple[int, int] = (0, 0)
    hrd: bool = False
    reorder_frames: int | None = None


@dataclass(frozen=True)
class ParameterSets:
    """The parameter sets of a stream, as units."""

    sequence: tuple[bytes, ...] = field(repr=False)
    picture: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of_stream(cls, stream: bytes) -> "ParameterSets":
        """Those in a byte stream."""
        units = units_of_stream(stream)
        return cls(*(tuple(unit for unit in units if unit_type(unit) == kind) for kind in (SPS, PPS)))

    @classmethod
    def of_record(cls, record: bytes) -> "ParameterSets":
        """Those of an AVCDecoderConfigurationRecord. Raises ValueError for another one, also for one with shorter lengths of units."""
        if len(record) < 7 or record[0] != 1 or record[4] & 3 != UNIT_LENGTH_BYTES - 1:
            raise ValueError("not a record of parameter sets")
        sequence, position = _listed(record, 6, record[5] & 31)
        picture, _ = _listed(record, position + 1, record[position] if position < len(record) else 0)
        if not sequence or not picture:
            raise ValueError("a record without parameter sets")
        return cls(sequence, picture)

    def free_id(self) -> int | None:
        """One that none of them has, of either kind."""
        taken = {sequence_parameters(unit).id for unit in self.sequence} | {_Bits(unit).number() for unit in self.picture}
        return next((number for number in range(MAX_ID + 1) if number not in taken), None)

    def and_those(self, others: "ParameterSets") -> "ParameterSets":
        """Both."""
        return ParameterSets(self.sequence + others.sequence, self.picture + others.picture)

    def record(self) -> bytes:
        """The AVCDecoderConfigurationRecord. The sets, which agree in profile, chroma and bit depth, may differ in level."""
        first = self.sequence[0]
        constraints = 0xFF
        for unit in self.sequence:
            constraints &= unit[2]
        level = max(unit[3] for unit in self.sequence)
        head = bytes((1, max(unit[1] for unit in self.sequence), constraints, level, 0xFC | UNIT_LENGTH_BYTES - 1))
        sets = bytes((0xE0 | len(self.sequence),)) + _list(self.sequence) + bytes((len(self.picture),)) + _list(self.picture)
        said = sequence_parameters(first)
        depths = (0xF8 | depth - 8 for depth in said.bit_depths)
        extension = bytes((0xFC | said.chroma, *depths, 0)) if head[1] not in SHORT_RECORD else b""
        return head + sets + extension


def _listed(record: bytes, position: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """That many units from a position on, each after its length in two bytes, and the position after them."""
    found: list[bytes] = []
    for _ in range(count):
        start = position + 2
        position = start + int.from_bytes(record[position:start])
        if not start < position <= len(record):
            raise ValueError("a record of parameter sets ends early")
        found.append(record[start:position])
    return tuple(found), position


def _list(units: Iterable[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2) + unit for unit in units)


class _Bits:
    """Reads the bits of a unit after its first byte. Raises ValueError beyond its end."""

    def __init__(self, unit: bytes) -> None:
        data = unit[1:].replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def bits(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a unit ends early")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        return bool(self.bits(1))

    def number(self) -> int:
        """An unsigned number of variable length."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """A signed one."""
        number = self.number()
        return (number + 1) // 2 if number & 1 else -(number // 2)


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """What a sequence parameter set says. Raises ValueError where it cannot be read."""
    bits = _Bits(unit)
    profile, _, level, number = bits.bits(8), bits.bits(8), bits.bits(8), bits.number()
    chroma, depths = _chroma(bits) if profile in HIGH_PROFILES else (1, (8, 8))
    bits.number()  # how frames are numbered
    _skip_order_counts(bits)
    bits.number()  # reference frames
    bits.flag()
    size = bits.number() + 1, bits.number() + 1
    progressive = bits.flag()
    if not progressive:
        bits.flag()
    bits.flag()
    crop = (bits.number(), bits.number(), bits.number(), bits.number()) if bits.flag() else (0, 0, 0, 0)
    fixed = (number, profile, level, chroma, depths, size, crop, progressive)
    return SequenceParameters(*fixed, *_usability(bits)) if bits.flag() else SequenceParameters(*fixed)


def _chroma(bits: _Bits) -> tuple[int, tuple[int, int]]:
    """How chroma is sampled, and the bit depths."""
    chroma = bits.number()
    if chroma == 3 and bits.flag():
        raise ValueError("three pictures of one colour each")
    depths = bits.number() + 8, bits.number() + 8
    bits.flag()
    if bits.flag():
        for index in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma, depths


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    scale = 8
    for _ in range(size):
        scale = (scale + bits.signed()) % 256
        if not scale:
            return


def _skip_order_counts(bits: _Bits) -> None:
    match bits.number():
        case 0:
            bits.number()
        case 1:
            bits.flag()
            bits.signed()
            bits.signed()
            for _ in range(bits.number()):
                bits.signed()


def _usability(bits: _Bits) -> tuple[Fraction, bool, tuple[int, int, int], tuple[int, int], bool, int | None]:
    """The last six values of `SequenceParameters`, in their order."""
    aspect_ratio = _aspect_ratio(bits) if bits.flag() else Fraction(0)
    if bits.flag():
        bits.flag()  # overscan
    full_range, colours = False, (UNSPECIFIED,) * 3
    if bits.flag():
        bits.bits(3)
        full_range = bits.flag()
        if bits.flag():
            colours = bits.bits(8), bits.bits(8), bits.bits(8)
    places = (bits.number(), bits.number()) if bits.flag() else (0, 0)
    if bits.flag():
        bits.bits(65)  # timing
    if bits.flag() or bits.flag():
        return aspect_ratio, full_range, colours, places, True, None
    bits.flag()  # whether messages tell how fields are shown
    return aspect_ratio, full_range, colours, places, False, _reorder_frames(bits) if bits.flag() else None


def _aspect_ratio(bits: _Bits) -> Fraction:
    index = bits.bits(8)
    width, height = (
        (bits.bits(16), bits.bits(16)) if index == EXTENDED_SAR else ASPECT_RATIOS[index] if index < len(ASPECT_RATIOS) else (0, 1)
    )
    return Fraction(width, height) if height else Fraction(0)


def _reorder_frames(bits: _Bits) -> int:
    bits.flag()
    for _ in range(4):
        bits.number()
    return bits.number()
