"""Identifies a file by its first bytes: not by its name, and not by FFmpeg's probing, whose demuxers include playlists."""

from pathlib import Path
from typing import Final, Literal

from service.errors import NotMedia, UnsupportedFormat

ContainerName = Literal["mp4", "mov", "mkv", "webm", "avi", "image"]

SUPPORTED: Final = "mp4, mov, webm, mkv, avi, png, jpg, webp, avif"
HEAD_BYTES: Final = 256
SYNC_BYTE: Final = b"\x47"  # at the start of each packet of a transport stream, which m2ts puts 4 bytes of its own before

EBML: Final = b"\x1a\x45\xdf\xa3"
PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
MOVIE_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
PHONE_SUFFIXES: Final = {b"3gp": ".3gp", b"3g2": ".3g2"}  # by the start of the brand: MP4 with the sound of telephones, which others lack
AVIF_SEQUENCE: Final = b"avis"
AVIF_BRANDS: Final = (b"avif", AVIF_SEQUENCE)
HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
ANIMATED: Final = 0x02  # in the flags of a WebP
AS_PNG: Final = "save it as png"
AS_JPEG: Final = "save it as jpg or png"
AS_VIDEO: Final = "save it as mp4 or mkv"
AS_MP4: Final = "save it as mp4, or a single picture of it as png"
UNSUPPORTED: Final = {  # known formats that are refused by name, and what to do
    b"GIF8": ("GIF", AS_MP4),
    b"FLV\x01": ("FLV", AS_VIDEO),
    b"OggS": ("Ogg", AS_VIDEO),
    b"\x30\x26\xb2\x75": ("WMV", AS_VIDEO),
    b"\x00\x00\x01\xba": ("MPEG program stream", AS_VIDEO),
    b"II*\x00": ("TIFF", AS_PNG),
    b"MM\x00*": ("TIFF", AS_PNG),
    b"II+\x00": ("TIFF", AS_PNG),
    b"MM\x00+": ("TIFF", AS_PNG),
    b"BM": ("BMP", AS_PNG),
    b"\x00\x00\x00\x0cJXL ": ("JPEG XL", AS_JPEG),
    b"\xff\x0a": ("JPEG XL", AS_JPEG),
    b"\x00\x00\x00\x0cjP  ": ("JPEG 2000", AS_JPEG),
    b"#EXTM3U": ("playlist", ""),
}


def container_of(path: Path) -> ContainerName:
    """The container that the file's first bytes show. Raises NotMedia or UnsupportedFormat."""
    return container_of_head(head_of(path))


def container_of_head(head: bytes) -> ContainerName:
    """Like `container_of`, for a file's first HEAD_BYTES."""
    if animation := _animation(head):
        raise animation_refused(f"an animated {animation} picture")
    if head.startswith((PNG, JPEG)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(EBML):
        return "webm" if b"webm" in head[:64] else "mkv"
    if _heif_name(head) == "AVIF" and head[8:12] != AVIF_SEQUENCE:
        return "image"
    if head[4:8] in MOVIE_BOXES and _heif_name(head) is None:
        return "mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else "mov"
    raise _refusal(head)


def suffix_of_head(head: bytes) -> str:
    """The suffix for a file with these first bytes, such as `.mp4` or `.png`. Raises like `container_of`."""
    container = container_of_head(head)
    if container != "image":
        return PHONE_SUFFIXES.get(head[8:11], f".{container}") if head[4:8] == b"ftyp" else f".{container}"
    if head.startswith(PNG):
        return ".png"
    if head[4:8] == b"ftyp":
        return ".avif"
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


def animation_refused(what: str) -> UnsupportedFormat:
    """The error for a picture that moves. what: for people, with its format."""
    return UnsupportedFormat(f"{what} is not supported; {AS_MP4}")


def _animation(head: bytes) -> str | None:
    """The format of a PNG or WebP that is animated, as far as its first bytes show it."""
    if head.startswith(PNG) and b"\0\0\0\x08acTL" in head.split(b"IDAT", 1)[0]:
        return "PNG"
    return "WebP" if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & ANIMATED else None


def _heif_name(head: bytes) -> str | None:
    """AVIF or HEIC, by the brands of the file's first box."""
    if head[4:8] != b"ftyp":
        return None
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), int.from_bytes(head[:4], "big")), 4))]
    if brands[0] in AVIF_BRANDS or (brands[0] in HEIC_BRANDS and any(brand in AVIF_BRANDS for brand in brands)):
        return "AVIF"
    return "HEIC" if brands[0] in HEIC_BRANDS else None


def _refusal(head: bytes) -> NotMedia | UnsupportedFormat:
    name, hint = next((known for start, known in UNSUPPORTED.items() if head.startswith(start)), (None, ""))
    if heif := _heif_name(head):
        name, hint = ("AVIF sequence", AS_MP4) if heif == "AVIF" else (heif, AS_JPEG)
    if head[:1] == SYNC_BYTE == head[188:189] or head[4:5] == SYNC_BYTE == head[196:197]:
        name, hint = "MPEG transport stream", AS_VIDEO
    if name is None:
        return NotMedia("the file is empty" if not head else f"not a video or an image of a supported format ({SUPPORTED})")
    return UnsupportedFormat(f"{name} files are not supported ({SUPPORTED} are){f'; {hint}' if hint else ''}")
