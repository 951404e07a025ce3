"""Images sent as base64 text within a request."""

import base64
import re
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image

from service.errors import NotMedia, ParameterError, TooManyPixels, Truncated
from service.media import HEAD_BYTES, suffix_of_head

FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}  # Pillow's names
HEADER: Final = re.compile(r"data:[^,]{0,200},")
PADDED: Final = re.compile(r"\s+|=+\s*$")


@dataclass(frozen=True)
class Picture:
    """The bytes of an image file, the suffix of its type, and width and height in pixels."""

    data: bytes
    suffix: str
    size: tuple[int, int]


def picture_of(text: str, name: str) -> Picture:
    """Decode an image from base64 in either alphabet, with or without padding, line breaks or a `data:` header.

    `name` is the parameter's, for errors. Raises ParameterError, NotMedia, UnsupportedFormat, TooManyPixels, Truncated.
    """
    digits = PADDED.sub("", HEADER.sub("", text, count=1) if text.startswith("data:") else text).replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        raise ParameterError(f"{name} is not base64") from None
    suffix = suffix_of_head(data[:HEAD_BYTES])
    if suffix not in FORMATS:
        raise NotMedia(f"{name} is not an image")
    return Picture(data, suffix, _size_of(data, FORMATS[suffix]))


def _size_of(data: bytes, file_format: str) -> tuple[int, int]:
    """Width and height from the file's header; pixels are decoded only by the job."""
    try:
        with Image.open(BytesIO(data), formats=[file_format]) as image:
            return image.size
    except Image.DecompressionBombError:
        raise TooManyPixels("the picture is far too large") from None
    except (OSError, SyntaxError, ValueError, struct.error):
        raise Truncated("the image ends early or is damaged") from None
