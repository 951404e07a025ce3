"""Reads which edges of a video's pictures the container hides: PixelCrop of Matroska, `clap` of MP4 and MOV. FFmpeg decodes all of them."""

import struct
from pathlib import Path
from typing import BinaryIO, Final

from service.pipeline.io.boxes import boxes, read_at
from service.pipeline.io.tags import SEGMENT, elements
from service.pipeline.video import Crop

TRACKS, TRACK, TRACK_TYPE, VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0  # Matroska's elements
PIXEL_CROP: Final = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
VIDEO_TRACK: Final = 1
MAX_NUMBER_BYTES: Final = 8
SAMPLE_ENTRY_BYTES: Final = 78  # of a picture's sample entry, before its boxes
SIZE_OFFSET: Final = 24  # of its width and height


def hidden_edges(path: Path, container: str) -> Crop | None:
    """What is hidden of the pictures of the first video track; None if nothing is, or if that cannot be read."""
    with path.open("rb") as file:
        size_bytes = path.stat().st_size
        if container in ("mkv", "webm"):
            return _in_matroska(file, size_bytes)
        return _in_movie(file, size_bytes) if container in ("mp4", "mov") else None


def _in_matroska(file: BinaryIO, size_bytes: int) -> Crop | None:
    for track in _content(file, 0, size_bytes, SEGMENT, TRACKS, TRACK):
        kinds = [_number(file, *place) for place in _content(file, *track, TRACK_TYPE)]
        if VIDEO_TRACK not in kinds:
            continue
        for video in _content(file, *track, VIDEO):
            named = ((PIXEL_CROP.get(name), first, last) for name, _, first, last in elements(file, *video))
            edges = {edge: _number(file, first, last) for edge, first, last in named if edge}
            return _crop(**edges)
    return None


def _content(file: BinaryIO, start: int, stop: int, *names: int) -> list[tuple[int, int]]:
    """Start and end of the content of all elements on a path of names."""
    places = [(start, stop)]
    for name in names:
        places = [(first, last) for place in places for found, _, first, last in elements(file, *place) if found == name]
    return places


def _number(file: BinaryIO, first: int, last: int) -> int:
    return int.from_bytes(read_at(file, first, min(MAX_NUMBER_BYTES, last - first)), "big")


def _in_movie(file: BinaryIO, size_bytes: int) -> Crop | None:
    for track in _boxes_on(file, 0, size_bytes, b"moov", b"trak", b"mdia"):
        handlers = [read_at(file, first + 8, 4) for first, _ in _boxes_on(file, *track, b"hdlr")]
        if b"vide" not in handlers:
            continue
        for first, last in _boxes_on(file, *track, b"minf", b"stbl", b"stsd"):
            for _, entry, end in boxes(file, first + 8, last):
                for aperture, _ in _boxes_on(file, entry + SAMPLE_ENTRY_BYTES, end, b"clap"):
                    return _crop_to_aperture(read_at(file, entry + SIZE_OFFSET, 4), read_at(file, aperture, 32))
        return None
    return None


def _boxes_on(file: BinaryIO, start: int, stop: int, *names: bytes) -> list[tuple[int, int]]:
    places = [(start, stop)]
    for name in names:
        places = [(first, last) for place in places for found, first, last in boxes(file, *place) if found == name]
    return places


def _crop_to_aperture(size: bytes, aperture: bytes) -> Crop | None:
    """size: width and height, 16 bits each. aperture: width, height, and the offset of its centre across and down, as fractions."""
    if len(size) < 4 or len(aperture) < 32:
        return None
    numbers = struct.unpack(">IIIIiIiI", aperture)
    if 0 in numbers[1::2]:
        return None
    clean_width, clean_height, across, down = (number / divisor for number, divisor in zip(numbers[::2], numbers[1::2], strict=True))
    width, height = struct.unpack(">HH", size)
    left, top = (width - clean_width) / 2 + across, (height - clean_height) / 2 + down
    edges = (left, top, width - clean_width - left, height - clean_height - top)
    left, top, right, bottom = (round(edge) for edge in edges)
    return _crop(left, top, right, bottom) if min(edges) >= 0 else None


def _crop(left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> Crop | None:
    return Crop(left, top, right, bottom) if left or top or right or bottom else None
