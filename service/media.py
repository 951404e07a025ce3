"""Identifies a file by its first bytes: not by its name, and not by FFmpeg's probing, whose demuxers include playlists."""

from pathlib import Path
from typing import Final, Literal

from service.errors import NotMedia, UnsupportedFormat

ContainerName = Literal["mp4", "mov", "mkv", "webm", "avi", "image"]

SUPPORTED: Final = "mp4, mov, webm, mkv, avi, png, jpg, webp"
HEAD_BYTES: Final = 256
SYNC_BYTE: Final = b"\x47"  # at the start of each packet of a transport stream, which m2ts puts 4 bytes of its own before

EBML: Final = b"\x1a\x45\xdf\xa3"
PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
MOVIE_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
IMAGE_BRANDS: Final = (b"heic", b"heix", b"mif1", b"avif", b"avis")
UNSUPPORTED: Final = {  # known formats that are refused by name
    b"GIF8": "GIF",
    b"FLV\x01": "FLV",
    b"OggS": "Ogg",
    b"\x30\x26\xb2\x75": "WMV",
    b"\x00\x00\x01\xba": "MPEG program stream",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"BM": "BMP",
    b"#EXTM3U": "playlist",
}


def container_of(path: Path) -> ContainerName:
    """The container that the file's first bytes show. Raises NotMedia or UnsupportedFormat."""
    return container_of_head(head_of(path))


def container_of_head(head: bytes) -> ContainerName:
    """Like `container_of`, for a file's first HEAD_BYTES."""
    if head.startswith((PNG, JPEG)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(EBML):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[4:8] in MOVIE_BOXES and head[8:12] not in IMAGE_BRANDS:
        return "mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else "mov"
    raise _refusal(head)


def suffix_of_head(head: bytes) -> str:
    """The suffix for a file with these first bytes, such as `.mp4` or `.png`. Raises like `container_of`."""
    container = container_of_head(head)
    if container != "image":
        return f".{container}"
    if head.startswith(PNG):
        return ".png"
    return ".jpg" if head.startswith(JPEG) else ".webp"


def head_of(path: Path) -> bytes:
    """A file's first HEAD_BYTES. Raises NotMedia if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise NotMedia("there is no such file") from None
    except OSError as error:
        raise NotMedia(f"the file cannot be read: {error.strerror}") from None


def _refusal(head: bytes) -> NotMedia | UnsupportedFormat:
    name = next((name for start, name in UNSUPPORTED.items() if head.startswith(start)), None)
    if head[8:12] in IMAGE_BRANDS:
        name = "HEIF"
    if head[:1] == SYNC_BYTE == head[188:189] or head[4:5] == SYNC_BYTE == head[196:197]:
        name = "MPEG transport stream"
    if name is None:
        return NotMedia("the file is empty" if not head else f"not a video or an image of a supported format ({SUPPORTED})")
    return UnsupportedFormat(f"{name} files are not supported ({SUPPORTED} are)")
