"""The images of the matrix: each format, colour mode and orientation, and what phones, cameras and editors put beside the pixels."""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from tests import photos
from tests.formats.films import NotWritten
from tests.formats.seen_picture import see_picture
from tests.formats.walk import Cell
from tests.video.clips import picture_rgb

WIDTH, HEIGHT = 64, 48
FORMATS: Final = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
FURTHER: Final = {"tiff": "TIFF", "avif": "AVIF", "gif": "GIF", "bmp": "BMP", "jp2": "JPEG2000"}
MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F")
TARGETS: Final = {"png": ("", "jpg", "webp"), "jpg": ("", "png", "webp"), "webp": ("", "png", "jpg")}
IPTC: Final = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 13) + b"\x1c\x02\x05\0\x08A title!" + b"\0"
XMP: Final = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="' + photos.RDF.encode() + b'"></rdf:RDF></x:xmpmeta>'


def cells() -> Iterator[Cell]:
    """All of them."""
    for group in (_modes, _turned, _metadata, _parts, _further):
        yield from group()


def _picture(mode: str = "RGB") -> Image.Image:
    rgb = Image.fromarray(picture_rgb(WIDTH, HEIGHT, 2))
    if mode == "I;16":
        return Image.fromarray(np.asarray(rgb.convert("L"), np.uint16) * 257)
    if mode == "PA":
        return rgb.convert("P").convert("PA")
    if mode in ("RGBA", "LA"):
        rgb = rgb.convert(mode)
        rgb.putalpha(Image.linear_gradient("L").resize(rgb.size))
        return rgb
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        converted = ImageCms.applyTransform(rgb, to_lab)
        assert converted is not None
        return converted
    return rgb.convert(mode)


def _saved(path: Path, name: str, mode: str = "RGB", **options: Any) -> None:
    try:
        _picture(mode).save(path, name, **options)
    except (OSError, ValueError, KeyError) as error:
        raise NotWritten(f"{name}, {mode}: {error}") from error


def _cell(group: str, row: str, suffix: str, make: Callable[[Path], object], target: str = "") -> Cell:
    column = f"{suffix} to {target}" if target else suffix
    return Cell((group, row, column), f".{suffix}", f".{target or suffix}", make, see_picture)


def _everywhere(group: str, row: str, suffix: str, make: Callable[[Path], object]) -> Iterator[Cell]:
    """A picture in its own format, and cleaned into each of the others."""
    for target in TARGETS[suffix]:
        yield _cell(group, row, suffix, make, target)


def _modes() -> Iterator[Cell]:
    group = "Colour modes"
    for suffix, name in FORMATS.items():
        for mode in MODES:
            yield from _everywhere(group, mode, suffix, partial(_saved, name=name, mode=mode))
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield _cell(group, f"RGB, {sampling}", "jpg", partial(_saved, name="JPEG", subsampling=sampling, quality=80))
    yield _cell(group, "RGB, progressive", "jpg", partial(_saved, name="JPEG", progressive=True))
    yield _cell(group, "RGB, lossless", "webp", partial(_saved, name="WEBP", lossless=True))
    yield _cell(group, "RGBA, lossless", "webp", partial(_saved, name="WEBP", mode="RGBA", lossless=True, exact=True))
    for suffix in ("jpg", "webp", "png"):
        for channels, row in ((1, "grey, 16 bit"), (3, "RGB, 16 bit"), (4, "RGBA, 16 bit")):
            yield _cell(group, row, "png", partial(_deep, channels=channels), "" if suffix == "png" else suffix)
    yield from _everywhere(
        group, "P, one colour transparent", "png", partial(_saved, name="PNG", mode="P", transparency=_picture("P").getpixel((0, 0)))
    )
    yield from _everywhere(group, "RGB, one colour transparent", "png", partial(_saved, name="PNG", transparency=(220, 40, 60)))
    yield from _everywhere(group, "L, one shade transparent", "png", partial(_saved, name="PNG", mode="L", transparency=100))


def _deep(path: Path, channels: int) -> None:
    """A PNG of 16 bits per sample."""
    rgb = picture_rgb(WIDTH, HEIGHT, 2).astype(np.uint16) * 257
    alpha = np.full((HEIGHT, WIDTH, 1), 40_000, np.uint16)
    path.write_bytes(cv2.imencode(".png", {1: rgb[..., :1], 3: rgb, 4: np.concatenate([rgb, alpha], -1)}[channels])[1].tobytes())


def _turned() -> Iterator[Cell]:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix, name in FORMATS.items():
            yield from _everywhere("Orientation in EXIF", str(orientation), suffix, partial(_saved, name=name, exif=exif))


def _metadata() -> Iterator[Cell]:
    group = "Metadata of images"
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x8298] = "Maker", "Model", "Me"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Me")
    texts.add_itxt("Title", "фильм 電影", "ru", "Название")
    rows: Mapping[str, Mapping[str, Any]] = {
        "EXIF: camera, owner, time, place": {"exif": exif},
        "ICC profile": {"icc_profile": profile},
        "XMP": {"xmp": XMP},
        "density": {"dpi": (300, 300)},
        "comment": {"comment": b"A comment"},
        "all of these": {"exif": exif, "icc_profile": profile, "xmp": XMP, "dpi": (72, 72), "comment": b"A comment"},
    }
    for row, options in rows.items():
        for suffix, name in FORMATS.items():
            own = dict(options)
            if suffix == "png" and "xmp" in own:
                own["pnginfo"] = packet = PngImagePlugin.PngInfo()
                packet.add_itxt("XML:com.adobe.xmp", own.pop("xmp").decode())
            yield from _everywhere(group, row, suffix, partial(_saved, name=name, **own))
    for mode in ("L", "CMYK"):
        yield from _everywhere(group, f"ICC profile, {mode}", "jpg", partial(_saved, name="JPEG", mode=mode, icc_profile=profile))
    yield from _everywhere(group, "text", "png", partial(_saved, name="PNG", pnginfo=texts))
    chunks = {
        "gamma": (b"gAMA", struct.pack(">I", 45_455)),
        "chromaticities": (b"cHRM", struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)),
        "sRGB": (b"sRGB", b"\0"),
        "HDR tags": (b"cICP", bytes([9, 16, 0, 1])),
        "time of change": (b"tIME", struct.pack(">HBBBBB", 2026, 1, 2, 3, 4, 5)),
        "a chunk of one's own": (b"prVt", b"private"),
    }
    for row, chunk in chunks.items():
        yield from _everywhere(group, row, "png", partial(_with_chunk, chunk=chunk))
    yield from _everywhere(group, "IPTC", "jpg", partial(_with_segments, pieces=((0xED, IPTC),)))
    yield from _everywhere(group, "application data", "jpg", partial(_with_segments, pieces=((0xEA, b"MINE\0data"),)))


def _with_chunk(path: Path, chunk: tuple[bytes, bytes]) -> None:
    data = photos.encoded(_picture(), "PNG")
    name, content = chunk
    path.write_bytes(
        data[:33] + struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)) + data[33:]
    )


def _with_segments(path: Path, pieces: tuple[tuple[int, bytes], ...]) -> None:
    path.write_bytes(photos.with_segments(photos.encoded(_picture()), *pieces))


def _parts() -> Iterator[Cell]:
    """What lies in or behind a photo and shows the picture again."""
    group = "Pictures and films in an image"
    small = photos.encoded(_picture().resize((32, 24)))
    exif = b"Exif\0\0" + photos.exif(small)
    for suffix, name in FORMATS.items():
        yield from _everywhere(group, "thumbnail in EXIF", suffix, partial(_saved, name=name, exif=exif))
    film = struct.pack(">I", 20) + b"ftypisom\0\0\0\0isom" + bytes(50)
    behind: Mapping[str, Callable[[bytes], bytes]] = {
        "gain map": lambda data: photos.further_pictures(
            data, photos.with_segments(small, (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"))
        ),
        "second picture": lambda data: photos.further_pictures(data, small),
        "film behind the picture": lambda data: data + film,
    }
    for row, change in behind.items():
        yield from _everywhere(group, row, "jpg", partial(_changed, change=change))


def _changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(photos.encoded(_picture())))


def _further() -> Iterator[Cell]:
    """What else people send as a picture."""
    group = "Further formats"
    for suffix, name in FURTHER.items():
        for mode in ("RGB", "RGBA", "L", "P", "CMYK"):
            yield _cell(group, f"{name}, {mode}", suffix, partial(_saved, name=name, mode=mode))
    for suffix, name in (("gif", "GIF"), ("png", "PNG"), ("webp", "WEBP"), ("avif", "AVIF"), ("tiff", "TIFF")):
        yield _cell(group, f"{name}, several pictures", suffix, partial(_animated, name=name))
    heic = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(99)
    yield _cell(group, "HEIC", "heic", lambda path: path.write_bytes(heic))
    yield _cell(group, "JPEG XL", "jxl", lambda path: path.write_bytes(b"\xff\x0a" + bytes(99)))


def _animated(path: Path, name: str) -> None:
    others = [Image.fromarray(picture_rgb(WIDTH, HEIGHT, index)) for index in (5, 9)]
    _saved(path, name, save_all=True, append_images=others)
