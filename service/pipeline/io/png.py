"""What Pillow cannot do with PNG files: 16 bits a colour, and taking over every chunk of metadata."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import EncodeFailed, Truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_OFFSET = 24  # of the bit depth in the file: signature, chunk header, width, height
XMP_KEYWORD = "XML:com.adobe.xmp"  # of the text chunk that holds XMP
KEPT_CHUNKS = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME")


def is_deep(path: Path) -> bool:
    """Whether the file is a PNG with 16 bits a sample."""
    with path.open("rb") as file:
        head = file.read(DEPTH_OFFSET + 1)
    return head.startswith(SIGNATURE) and head[DEPTH_OFFSET:] == b"\x10"


def read_deep(path: Path) -> NDArray[np.uint16]:
    """A 16-bit picture, (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) RGBA uint16."""
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        raise Truncated("the image ends early, or a part of it is damaged")
    if stored.ndim == 2:
        stored = stored[..., np.newaxis]
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[stored.shape[-1]]
    return stored[..., order].astype(np.uint16, copy=False)


def encode_deep(rgb: NDArray[np.uint16], original: NDArray[np.uint16]) -> bytes:
    """A 16-bit PNG of (h, w, 3) RGB, grey or with alpha as `original` is (h, w, 1, 3 or 4)."""
    channels = np.concatenate([rgb[..., ::-1], original[..., 3:]], axis=-1)
    if original.shape[-1] == 1:
        channels = np.rint(rgb.mean(axis=-1, keepdims=True)).astype(np.uint16)
    done, encoded = cv2.imencode(".png", channels)
    if not done:
        raise EncodeFailed("the image could not be encoded")
    return encoded.tobytes()


def with_ancillary_chunks(png: bytes, source: bytes) -> bytes:
    """The PNG with the metadata of another in place of its own: colour profile, resolution, text, EXIF."""
    chunks = list(_chunks(png))
    kept = [chunk for chunk in _chunks(source) if chunk[0] in KEPT_CHUNKS]
    own = [chunk for chunk in chunks if chunk[0] not in KEPT_CHUNKS]
    return SIGNATURE + b"".join(_written(*chunk) for chunk in (own[0], *kept, *own[1:]))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk."""
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def _written(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
