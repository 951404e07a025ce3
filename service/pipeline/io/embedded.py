"""Small pictures inside metadata, such as the thumbnail in EXIF, which still show the mark: made anew from the clean picture, or cut.

Each stays where it is and keeps its number of bytes, as other parts of the metadata are found by their offsets.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Final, NamedTuple

from PIL import Image

from service.errors import Truncated, UnsupportedFormat
from service.pipeline.io import jpeg

QUALITIES: Final = (90, 75, 60, 45, 30, 15)  # of a JPEG that must not be longer than the one that it replaces
MAX_RENEWED: Final = 8  # small pictures of one block of metadata; further ones are cut
MAX_SIDE_PIXELS: Final = 2048  # of a small picture that is made anew
MAX_FALSE_STARTS: Final = 100  # bytes that look like the start of a JPEG and are none
MAX_DIRECTORIES: Final = 4  # of EXIF: the picture, its thumbnail, and what no camera writes
MAX_ENTRIES: Final = 1000
BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
STRIP_OFFSETS, STRIP_BYTES, JPEG_OFFSET, JPEG_BYTES = 0x0111, 0x0117, 0x0201, 0x0202  # EXIF's tags
SHORT: Final = 3  # EXIF's type of 2 bytes; the others here have 4


class Place(NamedTuple):
    """Where a JPEG lies in a block of metadata, in bytes, and its width and height in pixels."""

    start: int
    stop: int
    size: tuple[int, int]


def places_of(metadata: bytes) -> Iterator[Place]:
    """Each whole JPEG in a block of metadata: the thumbnail of EXIF, previews in maker notes, the one of Photoshop."""
    at = false_starts = 0
    while (at := metadata.find(jpeg.PICTURE_START, at)) >= 0 and false_starts < MAX_FALSE_STARTS:
        stop = jpeg.end_of(metadata, at)
        size = _size_of(metadata, at) if stop else None
        if stop is None or size is None:
            at, false_starts = at + 1, false_starts + 1
        else:
            yield Place(at, stop, size)
            at = stop


def _size_of(metadata: bytes, start: int) -> tuple[int, int] | None:
    try:
        return jpeg.size_of(metadata, start)
    except (Truncated, UnsupportedFormat):
        return None


def renewed(metadata: bytes, picture: Image.Image) -> bytes:
    """The metadata, as long as before, with each JPEG in it replaced by `picture`, shrunk to its size; zeros where none is short enough.

    Thumbnails of EXIF that are no whole JPEG are cut: their pixels are zeros, and nothing points to them.
    """
    data = bytearray(metadata)
    _cut_strips(data)
    for number, place in enumerate(list(places_of(bytes(data)))):
        room = place.stop - place.start
        small = _encode_within(picture, place.size, room) if number < MAX_RENEWED else b""
        data[place.start : place.stop] = small.ljust(room, b"\0")
    return bytes(data)


def has_strips(exif: bytes) -> bool:
    """Whether a thumbnail of EXIF is no whole JPEG."""
    _cut_strips(cut := bytearray(exif))
    return cut != exif


def holds_pictures(metadata: bytes) -> bool:
    """Whether a block of metadata holds any small picture."""
    return next(places_of(metadata), None) is not None or has_strips(metadata)


def _encode_within(picture: Image.Image, size: tuple[int, int], room_bytes: int) -> bytes:
    """The picture as a JPEG of at most this size in pixels and bytes; empty if there is none."""
    small = picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB")
    small.thumbnail((min(size[0], MAX_SIDE_PIXELS), min(size[1], MAX_SIDE_PIXELS)))
    for quality in QUALITIES:
        small.save(encoded := BytesIO(), "JPEG", quality=quality, optimize=True)
        if encoded.tell() <= room_bytes:
            return encoded.getvalue()
    return b""


def _cut_strips(exif: bytearray) -> None:
    """Cut thumbnails that are no whole JPEG: uncompressed ones, and those that end early. Anything but EXIF stays as it is."""
    base = len(jpeg.EXIF) if exif.startswith(jpeg.EXIF) else 0
    order = BYTE_ORDERS.get(bytes(exif[base : base + 4]))
    if order is None:
        return
    try:
        for pointer, places in _directories(bytes(exif), base, order):
            for start, size in places:
                exif[start : start + size] = bytes(max(0, min(size, len(exif) - start)))
            if places and pointer > base + 4:  # of a thumbnail, not of the picture
                struct.pack_into(order + "I", exif, pointer, 0)
    except struct.error:  # a broken directory, in which no reader finds a thumbnail
        return


def _directories(exif: bytes, base: int, order: str) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Of each directory of EXIF: where its offset stands, and start and length of the pixels that it points to, whole JPEGs left out."""
    pointer = base + 4
    for _ in range(MAX_DIRECTORIES):
        (offset,) = struct.unpack_from(order + "I", exif, pointer)
        if offset == 0:
            return
        (count,) = struct.unpack_from(order + "H", exif, base + offset)
        entries = [base + offset + 2 + 12 * index for index in range(min(count, MAX_ENTRIES))]
        tags = {struct.unpack_from(order + "H", exif, entry)[0]: _values(exif, entry, base, order) for entry in entries}
        strips = list(zip(tags.get(STRIP_OFFSETS, ()), tags.get(STRIP_BYTES, ()), strict=False))
        whole = list(zip(tags.get(JPEG_OFFSET, ()), tags.get(JPEG_BYTES, ()), strict=False))
        broken = [(start, size) for start, size in whole if jpeg.end_of(exif, base + start) is None]
        yield pointer, [(base + start, size) for start, size in strips + broken]
        pointer = base + offset + 2 + 12 * count


def _values(exif: bytes, entry: int, base: int, order: str) -> tuple[int, ...]:
    """The whole numbers of an entry, up to MAX_ENTRIES."""
    kind, count = struct.unpack_from(order + "HI", exif, entry + 2)
    width = 2 if kind == SHORT else 4
    at = entry + 8
    if count * width > 4:
        at = base + struct.unpack_from(order + "I", exif, at)[0]
    available = max(0, len(exif) - at) // width
    return struct.unpack_from(f"{order}{min(count, MAX_ENTRIES, available)}{'H' if width == 2 else 'I'}", exif, at)
