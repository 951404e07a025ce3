"""Writes the aspect ratio of the pixels into a finished Matroska or WebM file, which PyAV cannot tell the muxer.

FFmpeg's muxer leaves filling between the list of places at the start and what follows. The new fields take their bytes from there, so no
picture or sound moves.
"""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from service.errors import EncodeFailed
from service.media import EBML
from service.pipeline.io.boxes import read_at
from service.pipeline.io.crop import TRACK, TRACK_TYPE, TRACKS, VIDEO, VIDEO_TRACK
from service.pipeline.io.tags import SEGMENT, elements

SEEK_HEAD, SEEK, SEEK_POSITION, VOID, CHECKSUM = 0x114D9B74, 0x4DBB, 0x53AC, 0xEC, 0xBF  # Matroska's elements
PIXEL_WIDTH, DISPLAY_UNIT = 0xB0, 0x54B2
DISPLAY_WIDTH, DISPLAY_HEIGHT = b"\x54\xb0", b"\x54\xba"
PIXEL_HEIGHT: Final = 0xBA
FIELD_BYTES: Final = 2  # of a width or height
SMALLEST_VOID: Final = 9  # its name and a size of eight bytes


class Element(NamedTuple):
    """Where an element of Matroska lies: from `at`, its content from `first` to `last`."""

    name: int
    at: int
    first: int
    last: int


def write_aspect_ratio(path: Path, ratio: Fraction | None) -> None:
    """Write the ratio of a pixel's width to its height. Does nothing for square pixels and for other containers. Raises EncodeFailed."""
    with path.open("r+b") as file:
        if ratio in (None, 1) or read_at(file, 0, len(EBML)) != EBML:
            return
        size_bytes = path.stat().st_size
        segment = next((item for item in _inside(file, 0, size_bytes) if item.name == SEGMENT), None)
        if segment is None:
            raise EncodeFailed("the file that was written has no segment")
        parts = {item.name: item for item in reversed(_inside(file, segment.first, segment.last))}
        if not {SEEK_HEAD, VOID, TRACKS} <= parts.keys():
            raise EncodeFailed("there is no room for the aspect ratio of the pixels")
        data = bytearray(read_at(file, 0, parts[TRACKS].last))
        added = _add_display_size(file, data, parts[TRACKS], ratio)
        _take_from_filling(file, data, parts, segment.first, added)
        file.seek(0)
        file.write(data)


def _inside(file: BinaryIO, start: int, stop: int) -> list[Element]:
    return [Element(*place) for place in elements(file, start, stop)]


def _add_display_size(file: BinaryIO, data: bytearray, tracks: Element, ratio: Fraction) -> int:
    """Insert the fields at the end of the first video track's; returns how many bytes they have."""
    for track in _inside(file, tracks.first, tracks.last):
        fields = {item.name: item for item in _inside(file, track.first, track.last)} if track.name == TRACK else {}
        if VIDEO not in fields or int.from_bytes(_content(data, fields[TRACK_TYPE]), "big") != VIDEO_TRACK:
            continue
        sizes = {item.name: item for item in _inside(file, fields[VIDEO].first, fields[VIDEO].last)}
        width, height = (int.from_bytes(_content(data, sizes[name]), "big") for name in (PIXEL_WIDTH, PIXEL_HEIGHT))
        if DISPLAY_UNIT in sizes:
            data[sizes[DISPLAY_UNIT].last - 1] = 0  # pixels
        shown = ((DISPLAY_WIDTH, round(width * ratio)), (DISPLAY_HEIGHT, height))
        added = b"".join(name + bytes([0x80 | FIELD_BYTES]) + value.to_bytes(FIELD_BYTES, "big") for name, value in shown)
        data[fields[VIDEO].last : fields[VIDEO].last] = added
        for parent in (fields[VIDEO], track, tracks):
            _set_size(data, parent, parent.last - parent.first + len(added))
        _renew_checksum(file, data, tracks, tracks.last - tracks.first + len(added))
        return len(added)
    raise EncodeFailed("the file that was written has no video track")


def _take_from_filling(file: BinaryIO, data: bytearray, parts: dict[int, Element], segment: int, taken: int) -> None:
    """Shorten the filling, and correct where the list of places says that what lies between it and the end of `data` begins."""
    filling, places = parts[VOID], parts[SEEK_HEAD]
    left = filling.last - filling.at - taken
    if left < SMALLEST_VOID or not places.at < filling.at < parts[TRACKS].at:
        raise EncodeFailed("there is no room for the aspect ratio of the pixels")
    content = left - SMALLEST_VOID
    data[filling.at : filling.last] = b"\xec" + (1 << 56 | content).to_bytes(8, "big") + bytes(content)
    for seek in _inside(file, places.first, places.last):
        for field in _inside(file, seek.first, seek.last) if seek.name == SEEK else ():
            position = int.from_bytes(_content(data, field), "big")
            if field.name == SEEK_POSITION and filling.last <= segment + position <= parts[TRACKS].at:
                data[field.first : field.last] = (position - taken).to_bytes(field.last - field.first, "big")
    _renew_checksum(file, data, places, places.last - places.first)


def _content(data: bytearray, element: Element) -> bytes:
    return bytes(data[element.first : element.last])


def _set_size(data: bytearray, element: Element, size: int) -> None:
    """Change an element's size, whose field keeps its width."""
    name_bytes = (element.name.bit_length() + 7) // 8
    width = element.first - element.at - name_bytes
    if size >= (1 << 7 * width) - 1:
        raise EncodeFailed("there is no room for the aspect ratio of the pixels")
    data[element.at + name_bytes : element.first] = (1 << 7 * width | size).to_bytes(width, "big")


def _renew_checksum(file: BinaryIO, data: bytearray, element: Element, size: int) -> None:
    """Correct the checksum of an element's content, `size` bytes, if it begins with one."""
    checksum = next(iter(_inside(file, element.first, element.last)), None)
    if checksum is not None and checksum.name == CHECKSUM:
        data[checksum.first : checksum.last] = zlib.crc32(data[checksum.last : element.first + size]).to_bytes(4, "little")
