"""Images: read as one frame of G, B, R planes, written with the source's format, colour mode and quality.

`describe` turns the picture upright by its EXIF orientation; `read` and `write` take it as it is stored, and the tag stays.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin

from service.errors import RequestError, TooManyPixels, Truncated, UnsupportedFormat
from service.media import JPEG, PNG, animation_refused
from service.pipeline.io import announcements, avif, embedded, gain_map, jpeg, picture_parts, png
from service.pipeline.picture.colour import Planes
from service.pipeline.video import Colour, Limits, PixelFormat, VideoInfo

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP", ".avif": "AVIF"}  # by the target's suffix
CODECS = {"PNG": "png", "JPEG": "mjpeg", "WEBP": "webp", "AVIF": "av1"}  # FFmpeg's names
GREY_MODES = ("1", "L", "LA", "I;16")
SUPPORTED_MODES = (*GREY_MODES, "P", "PA", "RGB", "RGBA")
METADATA_COPIERS = {"PNG": png.with_metadata_of, "JPEG": jpeg.with_metadata_of}
JPEG_CHROMA_SHIFTS = {1: (0, 1), 2: (1, 1)}  # down and across, by Pillow's number; others are 4:4:4 or rare
AVIF_CHROMA_SHIFTS = {"4:4:4": (0, 0), "4:2:2": (0, 1), "4:2:0": (1, 1)}
RGB_FULL_RANGE = Colour(full_range=True, matrix=0, primaries=1, transfer=13)  # sRGB


def describe(path: Path, limits: Limits) -> VideoInfo:
    """Describe an image as a video of one frame, and decode it to find damage.

    Raises Truncated, UnsupportedFormat or TooManyPixels.
    """
    if format_of(path) == "PNG":
        png.check_lengths(path)
    elif format_of(path) == "AVIF":
        avif.check(path)
    with open_image(path) as image:
        if getattr(image, "is_animated", False):
            raise animation_refused(f"an animated {format_of(path)} picture")
        if image.mode not in SUPPORTED_MODES:
            raise UnsupportedFormat(f"images of colour mode {image.mode} are not supported; save it in RGB")
        if image.width * image.height > limits.still_pixels:
            size = f"{image.width}x{image.height} = {image.width * image.height / 1e6:.1f} million"
            raise TooManyPixels(f"the picture has {size} pixels; the limit is {limits.still_pixels / 1e6:g} million")
        image.load()
        is_16_bit = png.is_16_bit(path)
        stored = VideoInfo(
            width=image.width,
            height=image.height,
            orientation=1,
            pixel_format=PixelFormat("gbrp16le", 16, 0, 0) if is_16_bit else PixelFormat("gbrp", 8, 0, 0),
            colour=RGB_FULL_RANGE,
            time_base=Fraction(1, 25),
            fps=Fraction(25),
            duration_seconds=1 / 25,
            frames_estimate=1,
            codec=CODECS[format_of(path)],
            container="image",
            file_bytes=path.stat().st_size,
            video_bit_rate=8 * 25 * path.stat().st_size,
            carries=picture_parts.parts_of(path, image, format_of(path)),
            decoded_chroma_shifts=_chroma_shifts(image, path),
        )
    return stored.turned_upright(orientation_of(path))


def _chroma_shifts(image: Image.Image, path: Path) -> tuple[int, int]:
    """log2 of the pixels per chroma sample in the file, down and across."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return JPEG_CHROMA_SHIFTS.get(JpegImagePlugin.get_sampling(image), (0, 0))
    if format_of(path) == "AVIF":
        return AVIF_CHROMA_SHIFTS[avif.samples_of(path.read_bytes()).subsampling]
    return (1, 1) if format_of(path) == "WEBP" and not _is_lossless_webp(path) else (0, 0)


def read(path: Path) -> Planes:
    """The stored picture's G, B and R planes, (h, w) uint8, or uint16 from a 16-bit PNG. Raises Truncated."""
    if png.is_16_bit(path):
        rgb: NDArray[Any] = np.broadcast_to(stored := png.read_16_bit(path)[..., :3], (*stored.shape[:2], 3))
    else:
        with open_image(path) as image:
            rgb = np.asarray(image.convert("RGBA").convert("RGB") if image.mode in ("P", "PA") else image.convert("RGB"))
    return rgb[..., 1], rgb[..., 2], rgb[..., 0]


def check_target(info: VideoInfo, suffix: str) -> None:
    """Raise RequestError if a file with this suffix cannot hold the image."""
    target_format = format_of_suffix(suffix)
    if info.pixel_format.bit_depth > 8 and target_format != "PNG":
        raise RequestError("a 16-bit image can only be written as .png")
    if target_format == "JPEG" and any(part.kind == "transparency" for part in info.carries):
        raise RequestError("a .jpg file cannot hold the source's transparency; choose .png or .webp")


def format_of_suffix(suffix: str) -> str:
    """Pillow's name for the format of a target. Raises RequestError for one that is not written."""
    try:
        return FORMATS[suffix.lower()]
    except KeyError:
        raise RequestError(
            f"an image cannot be written as {suffix or 'a file without a suffix'}; choose from {', '.join(FORMATS)}"
        ) from None


def write(path: Path, planes: Planes, source_path: Path, target_name: str) -> None:
    """Write G, B, R planes (h, w), turned as the source stores them, to `path` with the source's colour mode, alpha, quality and metadata.

    target_name: its suffix decides the format, which `check_target` has accepted. Raises RequestError for too much metadata.
    """
    rgb: NDArray[Any] = np.stack([planes[2], planes[0], planes[1]], axis=-1)
    target_format = format_of_suffix(Path(target_name).suffix)
    if png.is_16_bit(source_path):
        encoded_16_bit = png.encode_16_bit(rgb, png.read_16_bit(source_path), png.transparent_grey(source_path))
        rewrite = _rewrite(Image.fromarray((rgb >> 8).astype(np.uint8)), source_path)
        path.write_bytes(png.with_metadata_of(encoded_16_bit, source_path.read_bytes(), rewrite))
        return
    source_format, source_bytes, bright = format_of(source_path), source_path.read_bytes(), None
    with open_image(source_path) as source:
        picture = _in_mode_of(source, rgb)
        if source_format == target_format == "JPEG" and (found := gain_map.find(source_bytes)):
            bright = gain_map.cleaned(found, (np.asarray(source.convert("RGB")) != rgb).any(axis=-1))
        encoded, rewrite = BytesIO(), _rewrite(picture, source_path, None if bright is None else len(bright))
        picture.save(encoded, target_format, **_encoder_options(source, source_path, target_format, rewrite))
    data = encoded.getvalue()
    if source_format == target_format and source_format in METADATA_COPIERS:
        data = METADATA_COPIERS[source_format](data, source_bytes, rewrite)
    path.write_bytes(data if bright is None else gain_map.appended(data, bright, source_bytes))


def xmp_of(path: Path) -> bytes | None:
    """The image's XMP packet; None if it has none."""
    if format_of(path) == "JPEG":
        return jpeg.metadata_of(path.read_bytes()).get("xmp")
    with open_image(path) as image:
        packet = image.info.get("xmp")
    return packet.encode() if isinstance(packet, str) else packet


def orientation_of(path: Path) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none, or if the metadata is damaged."""
    try:
        if format_of(path) == "JPEG":
            exif = Image.Exif()
            exif.load(jpeg.metadata_of(path.read_bytes()).get("exif", b""))
        else:
            with open_image(path) as image:
                exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, struct.error, Truncated):
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def format_of(path: Path) -> str:
    """Pillow's name for the format of an image that `container_of` recognised."""
    with path.open("rb") as file:
        head = file.read(len(PNG))
    if head == PNG:
        return "PNG"
    if head[4:] == b"ftyp":
        return "AVIF"
    return "JPEG" if head.startswith(JPEG) else "WEBP"


def suffixes_of(path: Path) -> tuple[str, ...]:
    """The suffixes of this image's format."""
    return tuple(suffix for suffix, name in FORMATS.items() if name == format_of(path))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The open image, a JPEG without its metadata, which Pillow would read and join piece by piece.

    Every error in its bytes is raised as Truncated, absurd dimensions as TooManyPixels.
    """
    file_format = format_of(path)
    try:
        with Image.open(jpeg.bare(path.read_bytes()) if file_format == "JPEG" else path, formats=[file_format]) as image:
            yield image
    except Image.DecompressionBombError:
        raise TooManyPixels("the picture has absurd dimensions") from None
    except (OSError, RuntimeError, SyntaxError, ValueError, struct.error) as error:
        raise Truncated("the image ends early, or a part of it is damaged") from error


def _in_mode_of(source: Image.Image, rgb: NDArray[Any]) -> Image.Image:
    """(h, w, 3) RGB as a picture in the source's colour mode, with its alpha. A palette becomes RGB: it may lack the new colours."""
    picture = Image.fromarray(rgb)
    if source.mode in GREY_MODES:
        picture = picture.convert("L")
    if source.has_transparency_data:
        picture.putalpha(source.convert("RGBA").getchannel("A"))
    return picture


def _rewrite(picture: Image.Image, source_path: Path, gain_map_bytes: int | None = None) -> jpeg.Rewrite:
    """How metadata goes along with new pixels: its small pictures are made anew, and it announces no parts that are not kept.

    gain_map_bytes: the size of the gain map that is; None: there is none.
    """
    is_jpeg = format_of(source_path) == "JPEG"
    extension = (
        b"".join(part.content for part in jpeg.segments(source_path.read_bytes()) if part.kind == "extended_xmp") if is_jpeg else b""
    )
    drops_extension = announcements.holds_pictures(extension)

    def rewrite(kind: str, content: bytes) -> bytes | None:
        if kind in ("exif", "photoshop"):
            return embedded.renewed(content, picture)
        if kind == "xmp":
            packet = announcements.without_announcements(content, has_extension=not drops_extension, gain_map_bytes=gain_map_bytes)
            return packet if packet == content or not is_jpeg or len(packet or b"") <= jpeg.MAX_SEGMENT_BYTES else None
        return None if kind == "extended_xmp" and drops_extension else content

    return rewrite


def _encoder_options(source: Image.Image, source_path: Path, target_format: str, rewrite: jpeg.Rewrite) -> dict[str, Any]:
    """Options for Pillow's encoder that keep the source's quality and metadata."""
    source_format = format_of(source_path)
    same_format = source_format == target_format
    if same_format and source_format == "JPEG":
        assert isinstance(source, JpegImagePlugin.JpegImageFile)
        progressive = bool(source.info.get("progressive"))
        sampling = max(0, JpegImagePlugin.get_sampling(source))  # Pillow writes no rarer ones: then chroma keeps all of its samples
        return {"qtables": source.quantization, "subsampling": sampling, "progressive": progressive, "optimize": True}
    stated = jpeg.metadata_of(source_path.read_bytes()) if source_format == "JPEG" else source.info
    found = {key: _bytes_of(stated[key]) for key in ("exif", "icc_profile", "xmp", "comment") if key in stated}
    kept: dict[str, Any] = {key: new for key, content in found.items() if (new := rewrite(key, content)) is not None}
    if target_format == "PNG":
        dpi = {"dpi": density} if (density := _density_of(source, source_path)) else {}
        named = {key: kept[key] for key in ("exif", "icc_profile") if key in kept}
        return {} if same_format else named | dpi | _png_text_options(kept.get("xmp"))
    if target_format == "WEBP":
        lossless = _is_lossless_webp(source_path) if same_format else source_format == "PNG"
        return kept | {"lossless": lossless, "quality": 80 if lossless else 92, "exact": True}
    if target_format == "AVIF":
        dense = avif.samples_of(source_path.read_bytes()).subsampling if same_format else "4:4:4"
        if "exif" in kept:
            kept["exif"] = avif.exif_without_pictures(kept["exif"])
        colour = {} if source.mode in GREY_MODES else {"subsampling": dense}
        return kept | {"quality": avif.QUALITY} | colour | (avif.EXACT_ALPHA if source.has_transparency_data else {})
    if "exif" in kept:  # which WebP and PNG store without this name
        kept["exif"] = jpeg.EXIF + kept["exif"].removeprefix(jpeg.EXIF)
    if any(len(kept.get(key, b"")) > jpeg.MAX_SEGMENT_BYTES for key in ("exif", "xmp")):
        raise RequestError("a .jpg file cannot hold so much metadata; choose .png or .webp")
    dpi = {"dpi": density} if (density := _density_of(source, source_path)) else {}
    return kept | dpi | {"quality": 95, "subsampling": 0}


def _bytes_of(stated: str | bytes) -> bytes:
    return stated.encode() if isinstance(stated, str) else stated


def _density_of(source: Image.Image, source_path: Path) -> tuple[int, int] | None:
    """Pixels per inch, across and down; None if the file does not say."""
    if format_of(source_path) == "JPEG":
        return jpeg.density_of(source_path.read_bytes())
    across, down = source.info.get("dpi", (0, 0))
    return (round(across), round(down)) if across and down else None


def _png_text_options(xmp: bytes | None) -> dict[str, Any]:
    """Options for Pillow's PNG encoder that write the XMP packet into a text chunk."""
    texts = PngImagePlugin.PngInfo()
    if xmp is not None:
        texts.add_itxt(png.XMP_KEYWORD, xmp.decode(errors="replace"))
    return {"pnginfo": texts}


def _is_lossless_webp(path: Path) -> bool:
    """Whether the picture is in a VP8L chunk, in a simple or an extended WebP file."""
    data = path.read_bytes()
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        at += 8 + size + size % 2
    return False
