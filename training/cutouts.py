"""Cut-out photos of objects, which are placed in scenes or moved through them and must not be detected as marks.

The pictures have an alpha channel and come from a Debian package (training/README.md); without it, other objects are drawn instead.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

STAMPS = Path("/usr/share/tuxpaint/stamps")
DRAWINGS = ("symbols", "cartoon", "flags", "roadsigns", "seasonal")  # folders of flat drawings, which look like logos
MAX_PIXELS = 360
MIN_OPAQUE_SHARE, MAX_OPAQUE_SHARE = 0.08, 0.92  # mean alpha of a usable picture: a full one has no outline
CACHED_PICTURES = 64

Cutout = NDArray[np.uint8]  # (h, w, 4) RGB and alpha


def cutouts_under(folder: Path = STAMPS) -> tuple[Path, ...]:
    """Every picture of an object, sorted; empty if the package is not installed."""
    return tuple(sorted(p for p in folder.rglob("*.png") if not set(DRAWINGS) & set(p.relative_to(folder).parts)))


def at_size(picture: Cutout, longer_side_pixels: int) -> Cutout:
    """The picture with its longer side so many pixels long, and no side without any."""
    scale = longer_side_pixels / max(picture.shape[:2])
    shape = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)


@lru_cache(CACHED_PICTURES)
def load(path: Path) -> Cutout | None:
    """The picture, cropped to its content and at most 360 pixels large; None if it has no usable alpha channel."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    rows, columns = (np.nonzero((image[..., 3] > 8).any(axis))[0] for axis in (1, 0))
    if not len(rows):
        return None
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if not MIN_OPAQUE_SHARE < float(image[..., 3].mean()) / 255 < MAX_OPAQUE_SHARE:
        return None
    scale = min(1.0, MAX_PIXELS / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]])
