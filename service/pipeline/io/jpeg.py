"""JPEG features that Pillow lacks: opening a picture without reading its metadata, and copying all of it as it is."""

from collections.abc import Iterator
from io import BytesIO
from typing import Final, NamedTuple

from service.errors import Truncated, UnsupportedFormat

START: Final = b"\xff\xd8"
START_OF_SCAN: Final = 0xDA  # the compressed picture follows
ALONE: Final = (0x01, *range(0xD0, 0xD9))  # markers without a length
EXIF: Final = b"Exif\0\0"
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
ICC: Final = b"ICC_PROFILE\0"
APP1, APP2, APP13, COMMENT = 0xE1, 0xE2, 0xED, 0xFE  # Exif and XMP; colour profile; Photoshop and IPTC
MAX_SEGMENT_BYTES: Final = 2**16 - 64  # what a segment holds, less its length and name
MAX_SEGMENTS: Final = 100_000  # read one by one; a photograph has some dozens


class Segment(NamedTuple):
    """A part of the header with its marker: `data[start:stop]`."""

    marker: int
    content: bytes
    start: int
    stop: int

    @property
    def is_metadata(self) -> bool:
        """Whether it says nothing about how the picture is stored. The list of further pictures is left out: its offsets would be false."""
        return self.marker in (APP1, APP13, COMMENT) or self.is_profile

    @property
    def is_profile(self) -> bool:
        return self.marker == APP2 and self.content.startswith(ICC)


def bare(jpeg: bytes) -> BytesIO:
    """The picture without metadata, for a decoder. Raises like `metadata_of`."""
    file = BytesIO()
    done = 0
    for segment in _segments(jpeg):
        if segment.is_metadata or segment.marker == APP2:
            file.write(memoryview(jpeg)[done : segment.start])
            done = segment.stop
    file.write(memoryview(jpeg)[done:])
    file.seek(0)
    return file


def metadata_of(jpeg: bytes) -> dict[str, bytes]:
    """`exif`, `xmp`, `icc_profile` and `comment`, as far as there are, as Pillow's encoders take them.

    Raises Truncated for a segment that reaches beyond the end, UnsupportedFormat for too many of them.
    """
    segments = [segment for segment in _segments(jpeg) if segment.is_metadata]
    exif = [segment.content[len(EXIF) :] for segment in segments if segment.content.startswith(EXIF)]
    xmp = [segment.content[len(XMP) :] for segment in segments if segment.content.startswith(XMP)]
    profile = sorted(segment.content[len(ICC) :] for segment in segments if segment.is_profile)  # each begins with its number
    comments = [segment.content for segment in segments if segment.marker == COMMENT]
    found = {
        "exif": EXIF + b"".join(exif) if exif else b"",
        "xmp": xmp[0] if xmp else b"",
        "icc_profile": b"".join(part[2:] for part in profile),
        "comment": comments[-1] if comments else b"",
    }
    return {name: content for name, content in found.items() if content}


def with_metadata_of(jpeg: bytes, source: bytes) -> bytes:
    """The JPEG, which has none, with all metadata of `source`, unread."""
    kept = b"".join(source[segment.start : segment.stop] for segment in _segments(source) if segment.is_metadata)
    first = next(_segments(jpeg))  # JFIF's, which must stay the first
    return jpeg[: first.stop] + kept + jpeg[first.stop :]


def _segments(jpeg: bytes) -> Iterator[Segment]:
    """The segments of the header, up to the compressed picture."""
    at = len(START)
    for _ in range(MAX_SEGMENTS):
        start = at
        while jpeg[at : at + 2] == b"\xff\xff":  # padding
            at += 1
        if jpeg[at : at + 1] != b"\xff" or at + 2 > len(jpeg) or (marker := jpeg[at + 1]) == START_OF_SCAN:
            return
        at += 2
        if marker in ALONE:
            continue
        size = int.from_bytes(jpeg[at : at + 2], "big")
        if size < 2 or at + size > len(jpeg):
            raise Truncated("the image ends early, or a part of it is damaged")
        yield Segment(marker, jpeg[at + 2 : at + size], start, at + size)
        at += size
    raise UnsupportedFormat(f"images of more than {MAX_SEGMENTS} segments are not supported")
