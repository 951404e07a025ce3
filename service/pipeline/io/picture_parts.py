"""What an image file carries besides its pixels: metadata, small pictures in it, and what lies behind the picture in its file."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from PIL import Image

from service.pipeline.io import announcements, avif, embedded, gain_map, jpeg, png
from service.pipeline.video import Carried

MAX_PARTS: Final = 50  # of one file that are listed
MAX_DETAIL: Final = 60  # characters
DEPTH_MAPS: Final = (b"http://ns.apple.com/depthData/1.0/", b"http://ns.google.com/photos/1.0/depthmap/")
MOVIE: Final = b"ftyp"  # of the first box of an MP4, after its four bytes of length
IPTC_RESOURCE: Final = b"8BIM\x04\x04"
CREDENTIALS: Final = b"c2pa"
ADOBE_MARKER, CREDENTIALS_MARKER = 0xEE, 0xEB  # APP14, how colours are stored; APP11
SEGMENT_KINDS: Final = {"exif": "EXIF", "xmp": "XMP", "extended_xmp": "extended XMP", "icc_profile": "ICC profile"}
CHUNK_KINDS: Final = {
    b"iCCP": "ICC profile",
    b"pHYs": "density",
    b"cICP": "HDR tags",
    b"mDCV": "HDR tags",
    b"cLLI": "HDR tags",
    b"tIME": "time of change",
    b"gAMA": "gamma",
    b"cHRM": "chromaticities",
    b"caBX": "Content Credentials",
}
PIXEL_CHUNKS: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sRGB", b"iTXt", b"eXIf")
WEBP_KINDS: Final = {b"ICCP": "ICC profile", b"C2PA": "Content Credentials"}
WEBP_PIXELS: Final = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"EXIF", b"XMP ")


def parts_of(path: Path, image: Image.Image, file_format: str) -> tuple[Carried, ...]:
    """What an open image carries, in the order of its file, at most MAX_PARTS. file_format: Pillow's name.

    Raises Truncated or UnsupportedFormat for a damaged JPEG.
    """
    data = path.read_bytes()
    finders = {"JPEG": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp, "AVIF": _of_avif}
    found = [*_of_pixels(image), *islice(finders[file_format](data, image), MAX_PARTS)]
    return tuple(dict.fromkeys(found))


def exif_parts(block: bytes) -> Iterator[Carried]:
    """A block of EXIF and the small pictures in it. Those that are no JPEG have no codec."""
    yield Carried("EXIF", detail=f"{len(block)} bytes")
    yield from small_pictures(block, "EXIF")
    if embedded.has_strips(block):
        yield Carried("small picture", "", "in EXIF")


def small_pictures(block: bytes, where: str) -> Iterator[Carried]:
    """The JPEGs in a block of metadata."""
    for place in islice(embedded.places_of(block), embedded.MAX_RENEWED):
        yield Carried("small picture", "jpeg", f"in {where}, {place.size[0]}x{place.size[1]}")


def xmp_part(packet: bytes) -> Carried:
    """A packet of XMP. codec: whether it announces further parts, and whether it can be edited."""
    rewritten = announcements.without_announcements(packet)
    state = "" if rewritten == packet else "unreadable" if rewritten is None else "announces"
    return Carried("XMP", state, f"{len(packet)} bytes")


def behind(data: bytes, at: int) -> Iterator[Carried]:
    """What lies behind the picture, from this byte to the end of the file. Only a gain map that directly follows it has a codec."""
    first = at
    while at < len(data):
        stop = jpeg.end_of(data, at) if data.startswith(jpeg.PICTURE_START, at) else None
        if stop is not None:
            kind = _kind_of_picture(data, at, stop)
            yield Carried(kind, "" if kind == "gain map" and at > first else "jpeg", f"{stop - at} bytes")
            at = stop
        elif data[at + 4 : at + 8] == MOVIE:
            yield Carried("film", "mp4", f"{len(data) - at} bytes")
            return
        else:
            starts = (data.find(jpeg.PICTURE_START, at + 1), data.find(MOVIE, at + 5) - 4)
            following = min((start for start in starts if start > at), default=len(data))
            if data[at:following].strip(b"\0"):
                yield Carried("data behind the picture", "", f"{following - at} bytes")
            at = following


def _kind_of_picture(data: bytes, start: int, stop: int) -> str:
    if gain_map.is_gain_map(data, start, stop):
        return "gain map"
    return "depth map" if any(data.find(name, start, stop) >= 0 for name in DEPTH_MAPS) else "further picture"


def _of_pixels(image: Image.Image) -> Iterator[Carried]:
    if image.has_transparency_data:
        yield Carried("transparency")
    if image.mode in ("P", "PA"):
        yield Carried("palette")
    if image.mode == "1":
        yield Carried("black and white", detail="1 bit")


def _of_jpeg(data: bytes, _image: Image.Image) -> Iterator[Carried]:
    joined: dict[str, bytes] = {}
    for segment in jpeg.segments(data):
        if segment.kind:
            joined[segment.kind] = joined.get(segment.kind, b"") + segment.content[len(jpeg.NAMES[segment.kind]) :]
    if density := jpeg.density_of(data):
        yield Carried("density", detail=f"{density[0]}x{density[1]} per inch")
    if any(segment.is_density and jpeg.has_thumbnail(segment) for segment in jpeg.segments(data)):
        yield Carried("small picture", "", "in JFIF")
    for kind, content in joined.items():
        yield from _of_metadata(kind, content)
    for segment in jpeg.segments(data):
        yield from _of_segment(segment)
    if (end := jpeg.end_of(data)) is not None:
        yield from behind(data, end)


def _of_metadata(kind: str, content: bytes) -> Iterator[Carried]:
    """All segments of one kind."""
    if kind == "exif":
        yield from exif_parts(content)
    elif kind == "xmp":
        yield xmp_part(content)
    elif kind == "photoshop":
        yield Carried("IPTC" if IPTC_RESOURCE in content else "Photoshop data", "", f"{len(content)} bytes")
        yield from small_pictures(content, "Photoshop data")
    else:
        state = "pictures" if kind == "extended_xmp" and announcements.holds_pictures(content) else ""
        yield Carried(SEGMENT_KINDS[kind], state, f"{len(content)} bytes")


def _of_segment(segment: jpeg.Segment) -> Iterator[Carried]:
    """A segment that is no metadata of a known kind."""
    if segment.kind or segment.is_density or segment.marker == ADOBE_MARKER:
        return
    if segment.marker == jpeg.COMMENT:
        yield Carried("comment")
    elif segment.marker == CREDENTIALS_MARKER and CREDENTIALS in segment.content:
        yield Carried("Content Credentials")
    elif segment.marker == jpeg.APP1:
        yield Carried("application metadata", "", _printable(segment.content))
    elif jpeg.APP0 <= segment.marker <= jpeg.APP15 and not segment.content.startswith((gain_map.PICTURE_LIST, gain_map.ISO)):
        yield Carried("application data", f"APP{segment.marker - jpeg.APP0}", _printable(segment.content))


def _of_png(data: bytes, image: Image.Image) -> Iterator[Carried]:
    yield from _of_info(image)
    for name, start, stop in png.chunk_places(data):
        if name in (b"tEXt", b"zTXt"):
            yield _of_text(name, data[start:stop])
        elif name not in PIXEL_CHUNKS:
            kind = CHUNK_KINDS.get(name, "chunk")
            yield Carried(kind, _printable(name) if kind == "chunk" else "")
    if png.end_of(data) < len(data):
        yield Carried("data behind the picture", "", f"{len(data) - png.end_of(data)} bytes")


def _of_text(name: bytes, content: bytes) -> Carried:
    """A text of a PNG by its keyword. A raw profile with small pictures says so."""
    keyword, _, text = content.partition(b"\0")
    if not png.RAW_PROFILE.match(content):
        return Carried("text", detail=_printable(keyword))
    profile = png.raw_profile(text, is_compressed=name == b"zTXt")
    holds_pictures = profile is None or embedded.holds_pictures(profile)
    return Carried("raw profile", "pictures" if holds_pictures else "", _printable(keyword))


def _of_webp(data: bytes, image: Image.Image) -> Iterator[Carried]:
    yield from _of_info(image)
    at, end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= end:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name not in WEBP_PIXELS:
            kind = WEBP_KINDS.get(name, "chunk")
            yield Carried(kind, _printable(name) if kind == "chunk" else "")
        at += 8 + size + size % 2
    if end < len(data):
        yield Carried("data behind the picture", "", f"{len(data) - end} bytes")


def _of_avif(data: bytes, image: Image.Image) -> Iterator[Carried]:
    if "icc_profile" in image.info:
        yield Carried("ICC profile")
    yield from _of_info(image)
    samples = avif.samples_of(data)
    if samples.has_gain_map:
        yield Carried("gain map")
    if samples.has_small:
        yield Carried("small picture")


def _of_info(image: Image.Image) -> Iterator[Carried]:
    """EXIF and XMP as Pillow reads them from a PNG, WebP or AVIF."""
    if block := image.info.get("exif"):
        yield from exif_parts(block)
    if packet := image.info.get("xmp"):
        yield xmp_part(packet.encode() if isinstance(packet, str) else packet)


def _printable(data: bytes) -> str:
    """The beginning of untrusted bytes, safe to print."""
    text = data[:MAX_DETAIL].decode("latin-1")
    return "".join(letter for letter in text.partition("\0")[0] if letter.isprintable())
