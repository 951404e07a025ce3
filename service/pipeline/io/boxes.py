"""The boxes of MP4 and MOV: their names and places in a file."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_BOXES: Final = 10_000  # side by side


def boxes(file: BinaryIO, start: int, stop: int, limit: int = MAX_BOXES) -> Iterator[tuple[bytes, int, int]]:
    """Name, and start and end of the content, of each box between two byte offsets of the file. A malformed one ends them."""
    for _ in range(limit):
        head = read_at(file, start, 16)
        if start + 8 > stop or len(head) < 8:
            return
        size, name = struct.unpack_from(">I4s", head)
        header_bytes = 8
        if size == 1 and len(head) == 16:  # 64-bit size
            size, header_bytes = struct.unpack_from(">Q", head, 8)[0], 16
        elif size == 0:  # reaches to the end
            size = stop - start
        if size < header_bytes or start + size > stop:
            return
        yield name, start + header_bytes, start + size
        start += size


def read_at(file: BinaryIO, at: int, size_bytes: int) -> bytes:
    """The bytes at an offset; fewer at the end of the file."""
    file.seek(at, io.SEEK_SET)
    return file.read(size_bytes)
