"""PNG features that Pillow lacks: 16 bits per sample in colour, and copying all chunks of metadata."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import EncodeFailed, Truncated, UnsupportedFormat
from service.pipeline.io.hdr import HDR_PNG_CHUNKS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_OFFSET = 24  # byte of the bit depth, after signature, chunk header, width and height
MAX_CHUNKS = 100_000  # read one by one; a picture of 200 MiB that was written in pieces of 8 KiB has a quarter of that
XMP_KEYWORD = "XML:com.adobe.xmp"  # names the text chunk that holds XMP
METADATA_CHUNKS = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", *HDR_PNG_CHUNKS, b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME")


def check_lengths(path: Path) -> None:
    """Raise Truncated for a chunk that reaches beyond the end of the file: decoders reserve as much memory as it states.

    Raises UnsupportedFormat for more than MAX_CHUNKS.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        at = len(SIGNATURE)
        for _ in range(MAX_CHUNKS):
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return
            size, name = struct.unpack(">I4s", head)
            at += 12 + size
            if at > end:
                raise Truncated("the image ends early, or a part of it is damaged")
            if name == b"IEND":
                return
    raise UnsupportedFormat(f"images of more than {MAX_CHUNKS} chunks are not supported")


def is_16_bit(path: Path) -> bool:
    """Whether the file is a PNG with 16 bits per sample."""
    with path.open("rb") as file:
        head = file.read(DEPTH_OFFSET + 1)
    return head.startswith(SIGNATURE) and head[DEPTH_OFFSET:] == b"\x10"


def read_16_bit(path: Path) -> NDArray[np.uint16]:
    """Read a 16-bit picture: (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) RGBA uint16. Raises Truncated."""
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        raise Truncated("the image ends early, or a part of it is damaged")
    if stored.ndim == 2:
        stored = stored[..., np.newaxis]
    bgr_to_rgb = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[stored.shape[-1]]
    return stored[..., bgr_to_rgb].astype(np.uint16, copy=False)


def encode_16_bit(rgb: NDArray[np.uint16], original: NDArray[np.uint16]) -> bytes:
    """Encode (h, w, 3) RGB as a 16-bit PNG, grey or with the alpha of `original` (h, w, 1, 3 or 4). Raises EncodeFailed."""
    channels = np.concatenate([rgb[..., ::-1], original[..., 3:]], axis=-1)
    if original.shape[-1] == 1:
        channels = np.rint(rgb.mean(axis=-1, keepdims=True)).astype(np.uint16)
    done, encoded = cv2.imencode(".png", channels)
    if not done:
        raise EncodeFailed("the image could not be encoded")
    return encoded.tobytes()


def with_metadata_of(png: bytes, source: bytes) -> bytes:
    """The PNG with its metadata replaced by that of `source`: colour profile, HDR tags, resolution, text, EXIF."""
    chunks = list(_chunks(png))
    metadata = [chunk for chunk in _chunks(source) if chunk[0] in METADATA_CHUNKS]
    pixels = [chunk for chunk in chunks if chunk[0] not in METADATA_CHUNKS]
    return SIGNATURE + b"".join(_encode_chunk(*chunk) for chunk in (pixels[0], *metadata, *pixels[1:]))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk of a PNG."""
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def _encode_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
