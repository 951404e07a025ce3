"""Images sent within a request: their type and size, from a few bytes of their headers. The job decodes and checks the rest."""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from service.errors import NotMedia, Truncated
from service.media import HEAD_BYTES, suffix_of_head

MAX_SEGMENTS: Final = 1000  # of a JPEG before its size: metadata of 64 MB
MAX_BOXES_BYTES: Final = 4096  # of an AVIF before its size
FRAME_STARTS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the markers of segments with the size
FILL: Final = 0xFF


@dataclass(frozen=True)
class Picture:
    """An open image file, at its start, the suffix of its type, and width and height in pixels as stored."""

    file: BinaryIO
    suffix: str
    size: tuple[int, int]


def picture_of(file: BinaryIO, name: str) -> Picture:
    """What an open file's headers say. `name` is the parameter's, for errors. Raises NotMedia, UnsupportedFormat, Truncated."""
    head = file.read(HEAD_BYTES)
    suffix = suffix_of_head(head)
    sizes = {".png": _png_size, ".jpg": _jpeg_size, ".webp": _webp_size, ".avif": _avif_size}
    if suffix not in sizes:
        raise NotMedia(f"{name} is not an image")
    try:
        size = sizes[suffix](file, head)
    except (struct.error, ValueError):
        raise Truncated("the image ends early or is damaged") from None
    file.seek(0)
    return Picture(file, suffix, size)


def _png_size(_file: BinaryIO, head: bytes) -> tuple[int, int]:
    """The first chunk is IHDR, which begins with the size."""
    name, width, height = struct.unpack_from(">4sII", head, 12)
    if name != b"IHDR":
        raise ValueError("no IHDR")
    return width, height


def _webp_size(_file: BinaryIO, head: bytes) -> tuple[int, int]:
    """The first chunk is of one of three kinds."""
    kind = head[12:16]
    if kind == b"VP8X":  # 24 bits each, less one
        width, height = (int.from_bytes(head[start : start + 3], "little") + 1 for start in (24, 27))
        return width, height
    if kind == b"VP8L":  # 14 bits each, less one, after a byte
        bits = int(struct.unpack_from("<I", head, 21)[0])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":  # 14 bits each, after a frame's tag and its start code
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no VP8 chunk")


def _avif_size(file: BinaryIO, head: bytes) -> tuple[int, int]:
    """The first property with a size; its version and flags come first."""
    data = head + file.read(MAX_BOXES_BYTES)
    width, height = struct.unpack_from(">4xII", data, data.index(b"ispe") + 4)
    return width, height


def _jpeg_size(file: BinaryIO, _head: bytes) -> tuple[int, int]:
    """Segments say how long they are, up to that of the frame, which has the size."""
    file.seek(2)
    for _segment in range(MAX_SEGMENTS):
        prefix, marker, length_bytes = struct.unpack(">BBH", file.read(4))
        if marker == FILL:  # any number of these may precede a marker
            file.seek(-3, os.SEEK_CUR)
            continue
        if prefix != FILL or length_bytes < 2:
            raise ValueError("no segment")
        if marker in FRAME_STARTS:
            height, width = struct.unpack(">xHH", file.read(5))
            return width, height
        file.seek(length_bytes - 2, os.SEEK_CUR)
    raise ValueError("no frame")
