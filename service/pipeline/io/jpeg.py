"""JPEG features that Pillow lacks: opening a picture without reading its metadata, copying all of it, and where a picture ends."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final, NamedTuple

from service.errors import Truncated, UnsupportedFormat

START: Final = b"\xff\xd8"
PICTURE_START: Final = b"\xff\xd8\xff"
START_OF_SCAN, END_OF_PICTURE, START_OF_NEXT = 0xDA, 0xD9, 0xD8  # the first of them: the compressed picture follows
FRAME_STARTS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of the segment with width and height
ALONE: Final = (0x01, *range(0xD0, 0xD9))  # markers without a length
MARKER: Final = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])")  # that has a length, or ends the picture
JFIF: Final = b"JFIF\0"
EXIF: Final = b"Exif\0\0"
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP: Final = b"http://ns.adobe.com/xmp/extension/\0"
ICC: Final = b"ICC_PROFILE\0"
PHOTOSHOP: Final = b"Photoshop 3.0\0"  # its resources, among them IPTC's captions and a thumbnail
NAMES: Final = {"exif": EXIF, "xmp": XMP, "extended_xmp": EXTENDED_XMP, "photoshop": PHOTOSHOP, "icc_profile": ICC}
APP0, APP1, APP2, APP13, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xEF, 0xFE
MAX_SEGMENT_BYTES: Final = 2**16 - 64  # what a segment holds, less its length and name
MAX_SEGMENTS: Final = 100_000  # read one by one; a photograph has some dozens
MAX_MARKERS: Final = 1000  # of a picture whose end is sought, metadata of 64 MB
JFIF_BYTES: Final = 12  # up to its thumbnail, which begins with width and height

# Takes a kind of metadata, a key of NAMES or empty, and the content that all segments of this kind have, one after the other. Returns what
# to write in its place, as long as before or fit for one segment; None: nothing.
Rewrite = Callable[[str, bytes], bytes | None]


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

    @property
    def is_density(self) -> bool:
        return self.marker == APP0 and self.content.startswith(JFIF) and len(self.content) >= JFIF_BYTES

    @property
    def kind(self) -> str:
        """A key of NAMES, which the segments of one piece of metadata share; empty where it is none of them."""
        return next((kind for kind, name in NAMES.items() if self.content.startswith(name)), "")


def bare(jpeg: bytes) -> BytesIO:
    """The picture without metadata, for a decoder. Raises like `metadata_of`."""
    file = BytesIO()
    done = 0
    for segment in segments(jpeg):
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
    found = [segment for segment in segments(jpeg) if segment.is_metadata]
    exif = [segment.content[len(EXIF) :] for segment in found if segment.content.startswith(EXIF)]
    xmp = [segment.content[len(XMP) :] for segment in found if segment.content.startswith(XMP)]
    profile = sorted(segment.content[len(ICC) :] for segment in found if segment.is_profile)  # each begins with its number
    comments = [segment.content for segment in found if segment.marker == COMMENT]
    joined = {
        "exif": EXIF + b"".join(exif) if exif else b"",
        "xmp": xmp[0] if xmp else b"",
        "icc_profile": b"".join(part[2:] for part in profile),
        "comment": comments[-1] if comments else b"",
    }
    return {name: content for name, content in joined.items() if content}


def with_metadata_of(jpeg: bytes, source: bytes, rewrite: Rewrite) -> bytes:
    """The JPEG, which has none, with the density and all metadata of `source`, as far as `rewrite` keeps it."""
    groups: dict[str, list[Segment]] = {}
    for segment in segments(source):
        if segment.is_metadata:
            groups.setdefault(segment.kind, []).append(segment)
    written = [item for kind, group in groups.items() for item in _rewritten(kind, group, rewrite)]
    kept = b"".join(encode_segment(segment.marker, content) for segment, content in sorted(written, key=lambda item: item[0].start))
    first = next(segments(jpeg))  # JFIF's, which must stay the first
    density = next((segment.content for segment in segments(source) if segment.is_density), first.content)
    head = encode_segment(first.marker, density[:JFIF_BYTES] + b"\0\0")  # without its thumbnail
    return START + head + kept + jpeg[first.stop :]


def has_thumbnail(density: Segment) -> bool:
    """Whether the segment of the density has a small picture too, of uncompressed pixels."""
    return bool(density.content[JFIF_BYTES : JFIF_BYTES + 2].strip(b"\0"))


def density_of(jpeg: bytes) -> tuple[int, int] | None:
    """Pixels per inch, across and down; None if the JPEG does not say."""
    for segment in segments(jpeg):
        if segment.is_density and segment.content[7] in (1, 2):
            per_unit = (int.from_bytes(segment.content[at : at + 2], "big") for at in (8, 10))
            across, down = (round(value * (2.54 if segment.content[7] == 2 else 1)) for value in per_unit)
            return across, down
    return None


def end_of(jpeg: bytes, start: int = 0) -> int | None:
    """The byte after the picture that begins at `start`; None if it has no end, or no compressed picture in it."""
    at, has_picture = start + len(START), False
    for _ in range(MAX_MARKERS):
        found = MARKER.search(jpeg, at)
        if found is None or (marker := found[1][0]) == START_OF_NEXT:
            return None
        if marker == END_OF_PICTURE:
            return found.end() if has_picture else None
        has_picture = has_picture or marker == START_OF_SCAN
        at = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2], "big"))
    return None


def size_of(jpeg: bytes, start: int = 0) -> tuple[int, int] | None:
    """Width and height in pixels of the picture that begins at `start`; None if they are not stated. Raises like `metadata_of`."""
    frame = next((segment for segment in segments(jpeg, start) if segment.marker in FRAME_STARTS and len(segment.content) >= 5), None)
    if frame is None:
        return None
    return int.from_bytes(frame.content[3:5], "big"), int.from_bytes(frame.content[1:3], "big")


def encode_segment(marker: int, content: bytes) -> bytes:
    """A segment of at most 65,533 bytes of content."""
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def segments(jpeg: bytes, start: int = 0) -> Iterator[Segment]:
    """The segments of the header of the picture that begins at `start`, up to the compressed picture. Raises like `metadata_of`."""
    at = start + len(START)
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


def _rewritten(kind: str, group: list[Segment], rewrite: Rewrite) -> Iterator[tuple[Segment, bytes]]:
    """The segments of one kind, each with its new content."""
    name = NAMES.get(kind, b"")
    content = b"".join(segment.content[len(name) :] for segment in group)
    new = rewrite(kind, content)
    if new is None:
        return
    if len(new) != len(content):
        yield group[0], name + new
        return
    at = 0
    for segment in group:
        size = len(segment.content) - len(name)
        yield segment, name + new[at : at + size]
        at += size
