"""The gain map of a JPEG: a second picture behind the first that says how much brighter each place is on an HDR screen.

It is kept, and cleaned where the picture was: without it, a photo that shines on its owner's phone comes back flat.
"""

import struct
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from models.arrays import Mask
from service.errors import CleanplateError
from service.pipeline.io import jpeg

NAMES: Final = (b"http://ns.adobe.com/hdr-gain-map/1.0/", b"urn:iso:std:iso:ts:21496:-1", b"http://ns.apple.com/HDRGainMap/1.0/")
ISO: Final = b"urn:iso:std:iso:ts:21496:-1\0"  # names the segment in which the first picture says that there is a gain map
PICTURE_LIST: Final = b"MPF\0"
LIST_BYTES: Final = 86  # of a list of two pictures, with its name
PRIMARY: Final = 0x030000  # the kind of the first picture in the list
UNDEFINED, LONG = 7, 4  # types of the list's entries
RADIUS_PIXELS: Final = 3  # of the filling, and by how much the changed places are grown


def find(data: bytes) -> bytes | None:
    """The gain map that directly follows the picture of a JPEG; None if there is none."""
    start = jpeg.end_of(data)
    if start is None or not data.startswith(jpeg.PICTURE_START, start):
        return None
    stop = jpeg.end_of(data, start)
    return data[start:stop] if stop is not None and is_gain_map(data, start, stop) else None


def is_gain_map(data: bytes, start: int, stop: int) -> bool:
    """Whether the picture between two bytes says that it is a gain map."""
    return any(data.find(name, start, stop) >= 0 for name in NAMES)


def cleaned(gain_map: bytes, changed: Mask) -> bytes | None:
    """The gain map with its places of changed pixels filled from their surroundings; None if it cannot be read.

    changed: (h, w), in the picture as it is stored; the map may have another size.
    """
    if not changed.any():
        return gain_map
    try:
        with Image.open(jpeg.bare(gain_map), formats=["JPEG"]) as image:
            if image.mode not in ("L", "RGB") or image.width * image.height > changed.size:
                return None
            samples = np.asarray(image)
            places = cv2.resize(changed.astype(np.float32), image.size, interpolation=cv2.INTER_AREA) > 0
            grown = cv2.dilate(places.astype(np.uint8), np.ones((2 * RADIUS_PIXELS + 1,) * 2, np.uint8))
            filled = cv2.inpaint(samples, grown, RADIUS_PIXELS, cv2.INPAINT_TELEA)
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            tables = {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else -1}
            Image.fromarray(filled).save(encoded := BytesIO(), "JPEG", optimize=True, **tables)
        return _with_segments_of(encoded.getvalue(), gain_map)
    except (OSError, SyntaxError, ValueError, struct.error, CleanplateError):
        return None


def appended(picture: bytes, gain_map: bytes, source: bytes) -> bytes:
    """A JPEG with a gain map behind it, and in its header the list of both and what `source` says of gain maps."""
    note = b"".join(jpeg.encode_segment(jpeg.APP2, part.content) for part in jpeg.segments(source) if part.content.startswith(ISO))
    last = [part.stop for part in jpeg.segments(picture) if part.is_metadata or part.is_density]
    at = max(last, default=len(jpeg.START))
    list_at = at + len(note) + 4 + len(PICTURE_LIST)  # offsets count from here
    size = len(picture) + len(note) + 4 + LIST_BYTES
    entries = struct.pack(">IIIHH", PRIMARY, size, 0, 0, 0) + struct.pack(">IIIHH", 0, len(gain_map), size - list_at, 0, 0)
    fields = (
        struct.pack(">HHI4s", 0xB000, UNDEFINED, 4, b"0100"),
        struct.pack(">HHII", 0xB001, LONG, 1, 2),
        struct.pack(">HHII", 0xB002, UNDEFINED, len(entries), 50),
    )
    listed = PICTURE_LIST + struct.pack(">4sIH", b"MM\0*", 8, len(fields)) + b"".join(fields) + bytes(4) + entries
    return picture[:at] + note + jpeg.encode_segment(jpeg.APP2, listed) + picture[at:] + gain_map


def _with_segments_of(picture: bytes, source: bytes) -> bytes:
    """A JPEG with the application data of another one: what its gains mean."""
    kept = b"".join(source[part.start : part.stop] for part in jpeg.segments(source) if jpeg.APP0 < part.marker <= jpeg.APP15)
    first = next(jpeg.segments(picture))
    return picture[: first.stop] + kept + picture[first.stop :]
