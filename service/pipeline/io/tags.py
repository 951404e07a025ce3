"""The tags of a video, counted and hidden: FFmpeg compares each with all before it, at every opening of the file.

A job opens its file six times, and only the one that copies the tags needs them. So where there are many, a decoder is given the file
with the parts that hold them renamed to filling. Nothing else is changed, and no offset.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from service.errors import UnsupportedFormat
from service.pipeline.io.boxes import boxes, read_at

MANY_BYTES: Final = 2**16  # with fewer, a file is opened as it is
MAX_TAGS: Final = 15_000  # copying so many takes FFmpeg about 2 s; the time grows with their square
MAX_PARTS: Final = 100_000  # of a Matroska or AVI file that are looked through: about 30 hours of clusters
SEGMENT, TAGS, TAG, SIMPLE_TAG = 0x18538067, 0x1254C367, 0x7373, 0x67C8  # Matroska's elements
MOVIE_FOLDERS: Final = (b"moov", b"trak")
MOVIE_TAGS: Final = (b"udta", b"meta")


class Part(NamedTuple):
    """A part of a file that holds tags: where it begins, the header that makes it filling, how many bytes and tags it has."""

    start: int
    filling: bytes
    size_bytes: int
    tags: int


class WithoutTags(io.RawIOBase):
    """A file with the headers of some parts replaced."""

    def __init__(self, path: Path, parts: list[Part]) -> None:
        self._file = path.open("rb")
        self._parts = parts

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        at = self._file.tell()
        data = self._file.read(size)
        for part in self._parts:
            first, last = max(part.start, at), min(part.start + len(part.filling), at + len(data))
            if first < last:
                data = data[: first - at] + part.filling[first - part.start : last - part.start] + data[last - at :]
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class Tags:
    """Where a file's tags are."""

    parts: list[Part]

    @property
    def are_many(self) -> bool:
        return sum(part.size_bytes for part in self.parts) > MANY_BYTES


def find_tags(path: Path, container: str) -> Tags:
    """The parts of a video that hold tags. Raises UnsupportedFormat for more than MAX_TAGS."""
    finders = {"mp4": _in_movie, "mov": _in_movie, "mkv": _in_matroska, "webm": _in_matroska, "avi": _in_avi}
    with path.open("rb") as file:
        parts = list(finders[container](file, 0, path.stat().st_size))
    if sum(part.tags for part in parts) > MAX_TAGS:
        raise UnsupportedFormat(f"files with more than {MAX_TAGS} tags are not supported")
    return Tags(parts)


def _in_movie(file: BinaryIO, start: int, stop: int) -> Iterator[Part]:
    for name, first, last in boxes(file, start, stop):
        if name in MOVIE_FOLDERS:
            yield from _in_movie(file, first, last)
        elif name in MOVIE_TAGS:
            yield Part(first - 4, b"free", last - first, _count_in_box(file, name, first, last))


def _count_in_box(file: BinaryIO, name: bytes, first: int, last: int) -> int:
    if name not in (*MOVIE_TAGS, b"ilst"):
        return 1
    if name == b"meta" and read_at(file, first + 4, 4) != b"hdlr":  # as MP4 writes it, with a version; QuickTime has none
        first += 4
    return sum(_count_in_box(file, inner, *place) for inner, *place in boxes(file, first, last, MAX_TAGS + 1))


def _in_avi(file: BinaryIO, start: int, stop: int) -> Iterator[Part]:
    for name, first, last in _chunks(file, start + 12, stop):
        if name == b"LIST" and read_at(file, first, 4) == b"INFO":
            yield Part(first - 8, b"JUNK", last - first, sum(1 for _ in _chunks(file, first + 4, last)))


def _chunks(file: BinaryIO, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and start and end of the content, of each chunk."""
    for _ in range(MAX_PARTS):
        head = read_at(file, at, 8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8 or at + 8 + size > stop:
            return
        yield head[:4], at + 8, at + 8 + size
        at += 8 + size + size % 2


def _in_matroska(file: BinaryIO, start: int, stop: int) -> Iterator[Part]:
    for name, at, first, last in elements(file, start, stop):
        if name == SEGMENT:
            yield from _in_matroska(file, first, last)
        elif name == TAGS:
            yield Part(at, _void(first - at, last - first), last - at, _count_in_tags(file, first, last))


def _count_in_tags(file: BinaryIO, start: int, stop: int) -> int:
    count = 0
    for name, _, first, last in elements(file, start, stop):
        if name in (TAG, SIMPLE_TAG):
            count += (name == SIMPLE_TAG) + _count_in_tags(file, first, last)
        if count > MAX_TAGS:
            break
    return count


def _void(header_bytes: int, content_bytes: int) -> bytes:
    """The header of a void of the same size: one byte for its name in place of four, and so three more for its size."""
    size_bytes = min(8, header_bytes - 1)
    content_bytes += header_bytes - 1 - size_bytes
    return b"\xec" + (1 << 7 * size_bytes | content_bytes).to_bytes(size_bytes, "big")


def elements(file: BinaryIO, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Of Matroska: name, start, and start and end of the content, of each element; one of unknown size reaches to the end."""
    for _ in range(MAX_PARTS):
        head = read_at(file, at, 12)
        name_bytes = 9 - head[0].bit_length() if head else 9
        if name_bytes > 4 or len(head) <= name_bytes:
            return
        size_bytes = 9 - head[name_bytes].bit_length()
        first = at + name_bytes + size_bytes
        if size_bytes > 8 or first > stop:
            return
        size = int.from_bytes(head[name_bytes : name_bytes + size_bytes], "big") - (1 << 7 * size_bytes)
        last = stop if size == (1 << 7 * size_bytes) - 1 else first + size
        if last > stop:
            return
        yield int.from_bytes(head[:name_bytes], "big"), at, first, last
        at = last
