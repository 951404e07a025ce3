"""Puts boxes into MP4 and MOV files, as cameras do, and writes files that FFmpeg does not write by itself."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ENTRY_BYTES: Final = {b"stsd": 16, b"avc1": 86, b"hvc1": 86, b"hev1": 86}  # before the boxes in these; 8 in others
TRACK: Final = (b"moov", b"trak")


def sample_entry(codec: bytes) -> tuple[bytes, ...]:
    """The path to the description of a track's pictures. codec: such as `avc1`."""
    return (*TRACK, b"mdia", b"minf", b"stbl", b"stsd", codec)


def box(name: bytes, content: bytes) -> bytes:
    """A box of MP4."""
    return struct.pack(">I", 8 + len(content)) + name + content


def put(path: Path, folder: Sequence[bytes], content: bytes) -> None:
    """Append boxes to those in a folder. The file's index must come last, as FFmpeg writes it; then no offset changes."""
    data = bytearray(path.read_bytes())
    starts, start, stop = [], 0, len(data)
    for name in folder:
        at, stop = next((first, last) for found, first, last in _boxes(data, start, stop) if found == name)
        starts.append(at)
        start = at + ENTRY_BYTES.get(name, 8)
    data[stop:stop] = content
    for at in starts:
        struct.pack_into(">I", data, at, int.from_bytes(data[at : at + 4], "big") + len(content))
    path.write_bytes(data)


def _boxes(data: bytes | bytearray, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= stop:
        size = int.from_bytes(data[start : start + 4], "big")
        yield bytes(data[start + 4 : start + 8]), start, start + size
        start += size
