"""PNG features that Pillow lacks: 16 bits per sample in colour, and copying all chunks of metadata."""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import EncodeFailed, Truncated, UnsupportedFormat
from service.pipeline.io.hdr import HDR_PNG_CHUNKS
from service.pipeline.io.jpeg import Rewrite

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_OFFSET = 24  # byte of the bit depth, after signature, chunk header, width and height
MAX_CHUNKS = 100_000  # read one by one; a picture of 200 MiB that was written in pieces of 8 KiB has a quarter of that
XMP_KEYWORD = "XML:com.adobe.xmp"  # names the text chunk that holds XMP
RAW_PROFILE = re.compile(rb"Raw profile type (\w+)\0")  # names the text chunk in which ImageMagick keeps metadata as hexadecimal digits
RAW_KINDS = {b"exif": "exif", b"APP1": "exif", b"8bim": "photoshop", b"iptc": "photoshop", b"xmp": "xmp"}
MAX_PROFILE_BYTES = 16 * 2**20
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


def encode_16_bit(rgb: NDArray[np.uint16], original: NDArray[np.uint16], transparent: int | None = None) -> bytes:
    """Encode (h, w, 3) RGB as a 16-bit PNG, grey or with the alpha of `original` (h, w, 1, 3 or 4). Raises EncodeFailed.

    transparent: the shade of a grey `original` that is transparent; the same pixels are so again.
    """
    channels = np.concatenate([rgb[..., ::-1], original[..., 3:]], axis=-1)
    if original.shape[-1] == 1:
        channels = np.rint(rgb.mean(axis=-1, keepdims=True)).astype(np.uint16)
    if transparent is not None:
        visible = np.where(channels == transparent, transparent ^ 1, channels)
        channels = np.where(original == transparent, transparent, visible).astype(np.uint16)
    done, encoded = cv2.imencode(".png", channels)
    if not done:
        raise EncodeFailed("the image could not be encoded")
    data = encoded.tobytes()
    if transparent is None:
        return data
    head, *rest = _chunks(data)
    return SIGNATURE + b"".join(_encode_chunk(*chunk) for chunk in (head, (b"tRNS", struct.pack(">H", transparent)), *rest))


def transparent_grey(path: Path) -> int | None:
    """The shade of a 16-bit grey picture that is transparent; None if there is none. In colour OpenCV turns one into alpha."""
    for name, content in _chunks(path.read_bytes()):
        if name == b"tRNS" and len(content) == 2:
            return int.from_bytes(content, "big")
        if name == b"IDAT":
            return None
    return None


def with_metadata_of(png: bytes, source: bytes, rewrite: Rewrite) -> bytes:
    """The PNG with its metadata (colour profile, HDR tags, resolution, text, EXIF) replaced by that of `source`, as `rewrite` keeps it."""
    chunks = list(_chunks(png))
    found = [chunk for chunk in _chunks(source) if chunk[0] in METADATA_CHUNKS]
    metadata = [(name, new) for name, content in found if (new := _rewritten(name, content, rewrite)) is not None]
    pixels = [chunk for chunk in chunks if chunk[0] not in METADATA_CHUNKS]
    return SIGNATURE + b"".join(_encode_chunk(*chunk) for chunk in (pixels[0], *metadata, *pixels[1:]))


def _rewritten(name: bytes, content: bytes, rewrite: Rewrite) -> bytes | None:
    """The new content of a chunk of metadata; None: it is not written."""
    if name == b"eXIf":
        return rewrite("exif", content)
    keyword = XMP_KEYWORD.encode() + b"\0"
    if name == b"iTXt" and content.startswith(keyword):
        return _rewritten_xmp(content, len(keyword), rewrite)
    raw = RAW_PROFILE.match(content)
    if raw is None or name not in (b"tEXt", b"zTXt") or (kind := RAW_KINDS.get(raw[1])) is None:
        return content
    profile = raw_profile(content[raw.end() :], is_compressed=name == b"zTXt")
    return content if profile is not None and rewrite(kind, profile) == profile else None


def _rewritten_xmp(content: bytes, keyword_bytes: int, rewrite: Rewrite) -> bytes | None:
    """The new content of the text chunk of XMP: after its keyword come two bytes for compression, a language and the keyword in it."""
    fields = content[keyword_bytes + 2 :].split(b"\0", 2)
    if len(fields) != 3:
        return None
    packet = _inflated(fields[2]) if content[keyword_bytes] else fields[2]
    new = None if packet is None else rewrite("xmp", packet)
    if new is None or new == packet:
        return content if new is not None else None
    return content[:keyword_bytes] + bytes(4) + new


def raw_profile(text: bytes, *, is_compressed: bool) -> bytes | None:
    """The bytes that a raw profile's text stands for: name, number of bytes, hexadecimal digits. None if it is damaged."""
    plain = _inflated(text[1:]) if is_compressed else text
    words = plain.split(maxsplit=2) if plain else []
    try:
        return bytes.fromhex(words[2].decode("ascii"))
    except (IndexError, ValueError):
        return None


def _inflated(data: bytes) -> bytes | None:
    """The decompressed data; None if it is damaged, or longer than MAX_PROFILE_BYTES."""
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(data, MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return plain if decompressor.eof else None


def chunk_places(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, and start and end of the content, of each chunk up to the end of the picture."""
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        name = png[at + 4 : at + 8]
        yield name, at + 8, at + 8 + size
        if name == b"IEND":
            return
        at += 12 + size


def end_of(png: bytes) -> int:
    """The byte after the picture's last chunk."""
    return max((stop + 4 for _, _, stop in chunk_places(png)), default=0)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk of a PNG."""
    return ((name, png[start:stop]) for name, start, stop in chunk_places(png))


def _encode_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
