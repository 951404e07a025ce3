"""AVIF features that Pillow lacks: what a file says of its samples and colours, and which pictures it holds besides its main one.

Pillow decodes to 8 bits and drops what the file says of its colours, so files that need more are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from service.errors import UnsupportedFormat
from service.pipeline.io.boxes import boxes

FULL_BOX_BYTES: Final = 4  # version and flags at the start of some boxes
SRGB: Final = (frozenset({1, 2}), frozenset({1, 2, 13}))  # colour primaries and transfers, as numbered by H.273, that are shown as sRGB
GAIN_MAP: Final = b"tmap"  # the type of an item
SMALL: Final = b"thmb"  # a reference from a thumbnail to its picture
SUBSAMPLINGS: Final = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0"}
QUALITY: Final = 90  # of Pillow's 100: the file does not say how it was encoded
EXACT_ALPHA: Final = {"codec": "aom", "advanced": {"alpha:lossless": "1"}}  # for Pillow: transparency stays as it is


@dataclass(frozen=True)
class Samples:
    """What a file says of its samples. subsampling: as Pillow's encoder has it. colours: H.273's primaries and transfer, if it has them."""

    is_deep: bool = False
    subsampling: str = "4:2:0"
    colours: tuple[int, int] | None = None
    has_profile: bool = False
    has_gain_map: bool = False
    has_small: bool = False
    is_cropped: bool = False


def check(path: Path) -> None:
    """Raise UnsupportedFormat for a picture whose depth or colours would be lost, or whose hidden edges would be shown."""
    samples = samples_of(path.read_bytes())
    if samples.is_deep:
        raise UnsupportedFormat("AVIF pictures of more than 8 bits are not supported; save it as a 16-bit png")
    if samples.is_cropped:
        raise UnsupportedFormat("AVIF pictures of which a part is hidden are not supported; save it as png")
    if samples.colours and not samples.has_profile and any(value not in known for value, known in zip(samples.colours, SRGB, strict=True)):
        raise UnsupportedFormat("AVIF pictures in other colours than sRGB are not supported without an ICC profile; save it as png")


def samples_of(data: bytes) -> Samples:
    """What the boxes of a file say. What is damaged is left out: the decoder will tell."""
    found: dict[str, object] = {}
    for name, content in _inside(data, b"meta", FULL_BOX_BYTES):
        if name == b"iprp":
            for kind, value in _properties(content):
                found |= _of_property(kind, value)
        elif name == b"iinf" and GAIN_MAP in content:
            found["has_gain_map"] = True
        elif name == b"iref" and SMALL in content:
            found["has_small"] = True
    return Samples(**found)  # type: ignore[arg-type]  # by name, as above and below


def exif_without_pictures(block: bytes) -> bytes:
    """EXIF as Pillow writes it into an AVIF, without a thumbnail: it would drop one along with the orientation, and only then."""
    exif = Image.Exif()
    exif.load(block)
    return exif.tobytes()


def _of_property(kind: bytes, value: bytes) -> dict[str, object]:
    """How a picture is coded: the second byte of `av1C` says whether it has more than 8 bits, and its subsampling."""
    if kind == b"av1C" and len(value) >= 3:
        bits = value[2]
        is_grey = bits & 0x10
        return {"is_deep": bool(bits & 0x40)} | (
            {} if is_grey else {"subsampling": SUBSAMPLINGS.get((bits >> 3 & 1, bits >> 2 & 1), "4:2:0")}
        )
    if kind == b"clap":
        return {"is_cropped": True}
    if kind == b"colr" and value[:4] == b"nclx" and len(value) >= 8:
        return {"colours": (int.from_bytes(value[4:6], "big"), int.from_bytes(value[6:8], "big"))}
    return {"has_profile": True} if kind == b"colr" and value[:4] in (b"prof", b"rICC") else {}


def _properties(container: bytes) -> Iterator[tuple[bytes, bytes]]:
    return _inside(container, b"ipco", 0)


def _inside(data: bytes, outer: bytes, skipped_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box in the first box with this name."""
    file = BytesIO(data)
    for name, start, stop in boxes(file, 0, len(data)):
        if name == outer:
            for inner, begin, end in boxes(file, start + skipped_bytes, stop):
                yield inner, data[begin:end]
            return
