"""The XMP packet of a file: finds it, copies it in MP4 and MOV, where FFmpeg drops it, and reads the digital source type in it."""

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from xml.etree import ElementTree

from service.media import container_of
from service.pipeline.io import still
from service.pipeline.io.boxes import boxes, read_at
from service.source_type import known_source_type

MOVIE_SUFFIXES: Final = (".mp4", ".m4v", ".mov")
XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # type of the box, from the XMP specification
MAX_PACKET_BYTES: Final = 2**20  # of a packet that is read for the source type; the specification writes 2 to 64 kB
MAX_TEXTS: Final = 10  # that are joined to a value; deeply nested ones would be joined again and again
PIECE_BYTES: Final = 2**20
SOURCE_TYPE: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
RESOURCE: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"


def xmp_packet_of(path: Path) -> bytes | None:
    """The XMP packet of an image, MP4 or MOV; None if there is none, if it is too long to be read, or in any other container."""
    container = container_of(path)
    if container == "image":
        packet = still.xmp_of(path)
        return packet if packet and len(packet) <= MAX_PACKET_BYTES else None
    if container not in ("mp4", "mov"):
        return None
    with path.open("rb") as file:
        start, stop = _find_packet_in_movie(file, path.stat().st_size) or (0, 0)
        return read_at(file, start, stop - start) if 0 < stop - start <= MAX_PACKET_BYTES else None


def copy_xmp_packet(source: Path, target: Path) -> None:
    """Append the source's packet, unread, to a finished MP4 or MOV, as a box at its end, which moves nothing.

    Other targets are not changed.
    """
    if target.suffix.lower() not in MOVIE_SUFFIXES or container_of(source) not in ("mp4", "mov"):
        return
    with source.open("rb") as packet, target.open("ab") as file:
        start, stop = _find_packet_in_movie(packet, source.stat().st_size) or (0, 0)
        size = 8 + len(XMP_UUID) + stop - start
        if start == stop or size >= 2**32:
            return
        file.write(struct.pack(">I4s", size, b"uuid") + XMP_UUID)
        for at in range(start, stop, PIECE_BYTES):
            file.write(read_at(packet, at, min(PIECE_BYTES, stop - at)))


def source_type_of(packet: bytes) -> str | None:
    """The URL of the digital source type that a packet states; None if it states none that IPTC or C2PA lists."""
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # XMP has neither; entities could grow without bounds
        return None
    try:
        tree = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    stated = (value for element in tree.iter() for value in _source_types(element))
    return next((url for value in stated if (url := known_source_type(value)) is not None), None)


def _source_types(element: ElementTree.Element) -> Iterator[str]:
    """The source types that an element states: in an attribute, as its text, or as the resource that it points to."""
    if SOURCE_TYPE in element.attrib:
        yield element.attrib[SOURCE_TYPE]
    if element.tag == SOURCE_TYPE:
        yield element.attrib.get(RESOURCE) or "".join(islice(element.itertext(), MAX_TEXTS))


def _find_packet_in_movie(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Start and end of the packet: in a `uuid` box of the file or, as QuickTime writes it, in `moov/udta/XMP_`.

    end: size of the file in bytes.
    """
    for name, start, stop in boxes(file, 0, end):
        if name == b"uuid" and read_at(file, start, len(XMP_UUID)) == XMP_UUID:
            return start + len(XMP_UUID), stop
        if name == b"moov" and (found := _find_box(file, start, stop, b"udta", b"XMP_")) is not None:
            return found
    return None


def _find_box(file: BinaryIO, start: int, stop: int, *names: bytes) -> tuple[int, int] | None:
    """Start and end of the content of a nested box. names: the path to it. None if there is no such box."""
    for name in names:
        content = next(((first, last) for found, first, last in boxes(file, start, stop) if found == name), None)
        if content is None:
            return None
        start, stop = content
    return start, stop
