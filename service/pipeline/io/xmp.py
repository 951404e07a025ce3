"""The XMP packet of a file: found, kept in MP4 and MOV, which FFmpeg drops it from, and asked for its digital source type."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final
from xml.etree import ElementTree

from service.media import container_of
from service.pipeline.io import still
from service.source_type import known_source_type

MOVIE_SUFFIXES: Final = (".mp4", ".m4v", ".mov")
XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # of the box, as XMP's specification has it
LONGEST_PACKET_BYTES: Final = 2**20
MOST_BOXES: Final = 10_000
SOURCE_TYPE: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
RESOURCE: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"


def packet_of(path: Path) -> bytes | None:
    """The file's XMP packet, if it has one that may be read; of other containers than images, MP4 and MOV none."""
    container = container_of(path)
    if container == "image":
        return still.xmp_of(path)
    if container not in ("mp4", "mov"):
        return None
    with path.open("rb") as file:
        return _packet_of_movie(file, path.stat().st_size)


def keep(source: Path, target: Path) -> None:
    """Give a finished MP4 or MOV the source's packet, as a box at its end, where it moves nothing; other targets stay as they are."""
    if target.suffix.lower() not in MOVIE_SUFFIXES or (packet := packet_of(source)) is None:
        return
    with target.open("ab") as file:
        file.write(struct.pack(">I4s", 8 + len(XMP_UUID) + len(packet), b"uuid") + XMP_UUID + packet)


def source_type_of(packet: bytes) -> str | None:
    """The address of the digital source type that a packet tells, if it is one of IPTC's."""
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # XMP has neither; entities could grow without bounds
        return None
    try:
        tree = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    told = (value for element in tree.iter() for value in _values(element))
    return next((address for value in told if (address := known_source_type(value)) is not None), None)


def _values(element: ElementTree.Element) -> Iterator[str]:
    """What an element says of the source type: in an attribute, as its text, or as the resource that it points to."""
    if SOURCE_TYPE in element.attrib:
        yield element.attrib[SOURCE_TYPE]
    if element.tag == SOURCE_TYPE:
        yield element.attrib.get(RESOURCE) or "".join(element.itertext())


def _packet_of_movie(file: BinaryIO, end: int) -> bytes | None:
    """From a `uuid` box of the file, or from `moov/udta/XMP_`, as QuickTime has it."""
    for name, start, stop in _boxes(file, 0, end):
        if name == b"uuid" and _read(file, start, len(XMP_UUID)) == XMP_UUID:
            return _packet(file, start + len(XMP_UUID), stop)
        if name == b"moov" and (found := _inside(file, start, stop, b"udta", b"XMP_")) is not None:
            return _packet(file, *found)
    return None


def _inside(file: BinaryIO, start: int, stop: int, *names: bytes) -> tuple[int, int] | None:
    """Where the content of the box at the end of this path of boxes lies."""
    for name in names:
        place = next(((first, last) for found, first, last in _boxes(file, start, stop) if found == name), None)
        if place is None:
            return None
        start, stop = place
    return start, stop


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box that lies between two places of the file."""
    for _ in range(MOST_BOXES):
        head = _read(file, start, 16)
        if start + 8 > stop or len(head) < 8:
            return
        size, name = struct.unpack_from(">I4s", head)
        header_bytes = 8
        if size == 1 and len(head) == 16:  # a large one
            size, header_bytes = struct.unpack_from(">Q", head, 8)[0], 16
        elif size == 0:  # to the end
            size = stop - start
        if size < header_bytes or start + size > stop:
            return
        yield name, start + header_bytes, start + size
        start += size


def _packet(file: BinaryIO, start: int, stop: int) -> bytes | None:
    return _read(file, start, stop - start) if 0 < stop - start <= LONGEST_PACKET_BYTES else None


def _read(file: BinaryIO, at: int, size_bytes: int) -> bytes:
    file.seek(at, io.SEEK_SET)
    return file.read(size_bytes)
