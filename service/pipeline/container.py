"""Which container a file is, by its bytes; and how to open it with the one demuxer that this allows.

FFmpeg's own guessing is not used: among its demuxers are playlists, which open other files and addresses.
"""

from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from service.errors import CleanplateError, DecodeFailed, NotMedia, NoVideoStream, Truncated, UnsupportedFormat

ContainerName = Literal["mp4", "mov", "mkv", "webm", "avi", "image"]

SUPPORTED = "mp4, mov, webm, mkv, avi, png, jpg, webp"
DEMUXERS = {"mp4": "mov", "mov": "mov", "mkv": "matroska", "webm": "matroska", "avi": "avi"}
MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}  # by the target's suffix
HEAD_BYTES = 256

EBML = b"\x1a\x45\xdf\xa3"
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
MOVIE_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
IMAGE_BRANDS = (b"heic", b"heix", b"mif1", b"avif", b"avis")
UNSUPPORTED = {  # what a file may also start with, for the message
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
    """The container that the file's first bytes announce; raises NotMedia or UnsupportedFormat."""
    head = _head(path)
    if head.startswith((PNG, JPEG)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(EBML):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[4:8] in MOVIE_BOXES and head[8:12] not in IMAGE_BRANDS:
        return "mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else "mov"
    raise _refusal(head)


def open_source(path: Path, container: str) -> InputContainer:
    """Open a video for reading; the caller closes it."""
    try:
        return av.open(str(path.absolute()), "r", format=DEMUXERS[container], metadata_errors="replace")
    except av.FFmpegError as error:
        raise read_error(error, "the file ends early, or its index is broken") from error


def read_error(error: av.FFmpegError, damage: str) -> CleanplateError:
    """Ours for FFmpeg's while reading a file: nearly all of them, whatever their names, are ways for a file to be damaged."""
    if isinstance(error, MemoryError):
        return DecodeFailed("the decoder needs more memory than it may have")
    if isinstance(error, (av.DecoderNotFoundError, av.PatchWelcomeError)):
        return UnsupportedFormat("the video's codec, or a feature of it, is not supported")
    return Truncated(damage)


def main_video_stream(source: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture."""
    moving = [stream for stream in source.streams.video if not stream.disposition & stream.disposition.attached_pic]
    if not moving:
        raise NoVideoStream("the file has no video stream")
    if moving[0].codec_context is None:
        raise UnsupportedFormat("the video's codec is not supported")
    return moving[0]


def _head(path: Path) -> bytes:
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
    if head[:1] == b"\x47" == head[188:189]:
        name = "MPEG transport stream"
    if name is None:
        return NotMedia("the file is empty" if not head else f"not a video or an image of a supported format ({SUPPORTED})")
    return UnsupportedFormat(f"{name} files are not supported ({SUPPORTED} are)")
