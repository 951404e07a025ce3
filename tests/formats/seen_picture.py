"""What an image shows and carries, as Pillow reads it: the oracle for pictures."""

import hashlib
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, IptcImagePlugin, JpegImagePlugin, PngImagePlugin

from tests.formats.seen_film import OF_ONE_FORMAT, Seen

ORIENTATION: Final = ExifTags.Base.Orientation
GAIN_MAP: Final = b"urn:iso:std:iso:ts:21496"
POINTERS: Final = (0x8769, 0x8825, 0xA005)  # offsets of further directories


def see_picture(path: Path) -> Seen:
    """Read a whole image."""
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        traits = {
            "pictures": "JPEG" if image.format == "MPO" else image.format,
            "colour mode": _mode(image),
            "orientation": exif.get(ORIENTATION, 1),
            "EXIF": _exif(exif),
            "ICC profile": _digest(image.info.get("icc_profile")),
            "XMP": _digest(image.info.get("xmp")),
            "density": _density(image),
            "comment": image.info.get("comment"),
            "IPTC": _iptc(image),
            "text": _texts(image),
            "transparency": _transparency(image),
            OF_ONE_FORMAT: _quality(image),
            **_chunks(path),
            **_beside(path.read_bytes(), image),
        }
        upright = ImageOps.exif_transpose(image)
        pictures = _brightness(path, image)
    return Seen(upright.size, {name: value for name, value in traits.items() if value}, pictures[np.newaxis])


def _mode(image: Image.Image) -> str:
    """The colour mode; one colour that is transparent says as much as an alpha of its own."""
    mode = f"{image.mode}A" if image.has_transparency_data and image.mode in ("L", "RGB") else image.mode
    return f"{mode}, 16 bit" if _is_16_bit(image) else mode


def _is_16_bit(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.format == "PNG" and "16" in str(getattr(image, "png", None) and image.png.im_rawmode))


def _exif(exif: Image.Exif) -> tuple[tuple[int, str], ...]:
    tags = {tag: repr(value) for tag, value in exif.items() if tag not in (*POINTERS, ORIENTATION)}
    further = {tag: repr(value) for name in POINTERS for tag, value in exif.get_ifd(name).items()}
    return tuple(sorted((tags | further).items()))


def _digest(data: str | bytes | None) -> str:
    if not data:
        return ""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def _density(image: Image.Image) -> tuple[int, ...]:
    return tuple(round(float(value)) for value in image.info.get("dpi", ())) if image.info.get("jfif_unit") != 0 else ()


def _iptc(image: Image.Image) -> str:
    found = IptcImagePlugin.getiptcinfo(image) if image.format in ("JPEG", "TIFF") else None
    return repr(sorted(found.items())) if found else ""


def _texts(image: Image.Image) -> tuple[tuple[str, str], ...]:
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return ()
    return tuple(sorted((name, str(value)) for name, value in image.text.items() if name != "XML:com.adobe.xmp"))


def _transparency(image: Image.Image) -> str:
    """The alpha of all pixels."""
    if not image.has_transparency_data:
        return ""
    return _digest(np.asarray(image.convert("RGBA").getchannel("A")).tobytes())


def _quality(image: Image.Image) -> tuple[Any, ...]:
    """How a JPEG is stored: its tables, its sampling, and whether it appears step by step."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return ()
    sampling = JpegImagePlugin.get_sampling(image) if image.mode in ("RGB", "YCbCr") else -1
    return sampling, bool(image.info.get("progressive")), tuple(sorted((key, tuple(table)) for key, table in image.quantization.items()))


def _chunks(path: Path) -> dict[str, str]:
    """Further chunks of a PNG, by what the product calls them."""
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG"):
        return {}
    names = {
        b"gAMA": "gamma",
        b"cHRM": "chromaticities",
        b"prVt": "chunk",
        b"cICP": "HDR tags",
        b"mDCV": "HDR tags",
        b"cLLI": "HDR tags",
        b"tIME": "time of change",
    }
    found: dict[str, str] = {}
    at = 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name in names:
            found[names[name]] = found.get(names[name], "") + data[at + 8 : at + 8 + size].hex()
        at += 12 + size
    return found


def _beside(data: bytes, image: Image.Image) -> dict[str, object]:
    """What lies beside the picture in a JPEG, and the small picture in EXIF."""
    directory = image.getexif().get_ifd(ExifTags.IFD.IFD1)
    block = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    small = block[directory[0x0201] :][: directory[0x0202]] if 0x0201 in directory else b""
    found: dict[str, object] = {"small picture": _digest(small)}
    if image.format not in ("JPEG", "MPO"):
        return found
    has_gain_map = GAIN_MAP in data
    return found | {
        "application data": data.count(b"MINE\0"),
        "film": data.count(b"ftyp"),
        "gain map": has_gain_map,
        "further picture": image.format == "MPO" and not has_gain_map,
    }


def _brightness(path: Path, image: Image.Image) -> np.ndarray:
    if _is_16_bit(image) and image.format == "PNG":
        stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        grey = stored[..., :3].mean(axis=-1) if stored.ndim == 3 else stored
        return (grey / 257).astype(np.float32)
    return np.asarray(image.convert("RGBA").convert("L"), np.float32)
