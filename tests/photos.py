"""Small photos as phones, cameras and editors write them, with a white square as their mark, and all that lies beside the picture."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from service.pipeline.io import jpeg
from service.pipeline.placement import Box
from tests.footage import marked, scene

WIDTH, HEIGHT = 128, 96
SQUARE = Box(40, 32, 88, 64)
TRANSPARENT = 32_768  # the shade that the fake networks paint: it must not become transparent
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
CAMERA = "http://ns.google.com/photos/1.0/camera/"
GAIN_MAP = "http://ns.adobe.com/hdr-gain-map/1.0/"


def photo() -> Image.Image:
    """A picture with the mark, which is white."""
    return Image.fromarray(marked(scene(0, WIDTH, HEIGHT), SQUARE))


def encoded(picture: Image.Image, name: str = "JPEG", **options: object) -> bytes:
    """A picture as a file."""
    picture.save(data := BytesIO(), name, **options)
    return data.getvalue()


def small() -> bytes:
    """The thumbnail: a JPEG of half the size, which shows the mark."""
    return encoded(photo().resize((WIDTH // 2, HEIGHT // 2)), quality=90)


def shows_mark(picture: Image.Image) -> bool:
    """Whether any pixel is as white as the mark."""
    grey = np.asarray(picture.convert("L"))
    return bool((grey > 230).any())


def exif(thumbnail: bytes, *, compression: int = 6, maker_note: bytes = b"", order: str = "<") -> bytes:
    """EXIF with a thumbnail in its second directory, orientation 1, and a maker note."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = [(0x0112, 3, 1, 1), (0x927C, 7, len(maker_note), 200)]
    at = 200 + len(maker_note)
    places = ((0x0201, at), (0x0202, len(thumbnail))) if compression == 6 else ((0x0111, at), (0x0117, len(thumbnail)))
    second = [(0x0103, 3, 1, compression), *((tag, 4, 1, value) for tag, value in places)]
    second_at = 8 + 2 + 12 * len(first) + 4
    directories = _directory(first, second_at, order) + _directory(second, 0, order)
    return (head + directories).ljust(200, b"\0") + maker_note + thumbnail


def _directory(entries: list[tuple[int, int, int, int]], following: int, order: str) -> bytes:
    packed = (
        struct.pack(order + "HHI", tag, kind, count)
        + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value))
        for tag, kind, count, value in entries
    )
    return struct.pack(order + "H", len(entries)) + b"".join(packed) + struct.pack(order + "I", following)


def thumbnail_of(path: Path) -> Image.Image | None:
    """The thumbnail in a file's EXIF, read by Pillow; None if there is none."""
    with Image.open(path) as image:
        found = image.getexif()
    directory = found.get_ifd(ExifTags.IFD.IFD1)
    if 0x0201 not in directory:
        return None
    start, size = directory[0x0201], directory[0x0202]  # from the start of the block
    return Image.open(BytesIO(exif_of(path)[start : start + size]))


def exif_of(path: Path) -> bytes:
    """A file's EXIF block."""
    with Image.open(path) as image:
        block: bytes = image.info["exif"]
    return block.removeprefix(jpeg.EXIF)


def with_segments(data: bytes, *pieces: tuple[int, bytes]) -> bytes:
    """A JPEG with these further segments, marker and content, after its first."""
    first = next(jpeg.segments(data))
    return data[: first.stop] + b"".join(jpeg.encode_segment(*piece) for piece in pieces) + data[first.stop :]


def xmp(*items: tuple[str, str, int], attributes: str = "") -> bytes:
    """A packet that announces items beside the picture: meaning, media type and length in bytes."""
    listed = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{meaning}" Item:Mime="{kind}" Item:Length="{size}"/></rdf:li>'
        for meaning, kind, size in (("Primary", "image/jpeg", 0), *items)
    )
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:Container="{CONTAINER}" xmlns:Item="{CONTAINER}item/" xmlns:GCamera="{CAMERA}" '
        f'xmlns:hdrgm="{GAIN_MAP}" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg" {attributes}>'
        f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    ).encode()


def further_pictures(data: bytes, *pictures: bytes) -> bytes:
    """A JPEG followed by further pictures, with the list of them (MPF) in its header."""
    size = len(data) + 6 + 82 + 16 * len(pictures)
    entries, at = struct.pack(">IIIHH", 0x030000, size, 0, 0, 0), size
    base = len(data[: next(jpeg.segments(data)).stop]) + 4 + 4  # offsets count from the list's own start
    for picture in pictures:
        entries += struct.pack(">IIIHH", 0, len(picture), at - base, 0, 0)
        at += len(picture)
    table = [
        (0xB000, 7, 4, b"0100"),
        (0xB001, 4, 1, struct.pack(">I", 1 + len(pictures))),
        (0xB002, 7, len(entries), struct.pack(">I", 50)),
    ]
    listed = b"MM\0*" + struct.pack(">IH", 8, 3) + b"".join(struct.pack(">HHI", *row[:3]) + row[3] for row in table) + bytes(4) + entries
    return with_segments(data, (jpeg.APP2, b"MPF\0" + listed)) + b"".join(pictures)


def grey_16_bit() -> NDArray[np.uint16]:
    """(h, w): a ramp with a white square, and pixels of the transparent shade at its left."""
    ramp = np.linspace(1_000, 40_000, WIDTH, dtype=np.uint16)[None].repeat(HEIGHT, 0)
    ramp[SQUARE.slices] = 65_535
    ramp[:, :10] = TRANSPARENT
    return ramp
