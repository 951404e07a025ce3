"""Things of the world, photographed and cut out: what lies about in scenes or is carried through them, and is no mark.

The pictures have an alpha channel, and come from a Debian package (training/README.md); without it other things take their place.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

STAMPS = Path("/usr/share/tuxpaint/stamps")
DRAWINGS = ("symbols", "cartoon", "flags", "roadsigns", "seasonal")  # folders of flat drawings: those look as logos do
LARGEST_PIXELS = 360
LEAST_COVERED, MOST_COVERED = 0.08, 0.92  # of its picture: a full one is no cut-out
KEPT = 64

Cutout = NDArray[np.uint8]  # (h, w, 4) RGB and alpha


def cutouts_under(folder: Path = STAMPS) -> tuple[Path, ...]:
    """Every picture of a thing, sorted; none where the package is not installed."""
    return tuple(sorted(p for p in folder.rglob("*.png") if not set(DRAWINGS) & set(p.relative_to(folder).parts)))


@lru_cache(KEPT)
def load(path: Path) -> Cutout | None:
    """The picture, its empty margins cut off, at most 360 pixels large; None where it has no use of its alpha."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    rows, columns = (np.nonzero((image[..., 3] > 8).any(axis))[0] for axis in (1, 0))
    if not len(rows):
        return None
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if not LEAST_COVERED < float(image[..., 3].mean()) / 255 < MOST_COVERED:
        return None
    scale = min(1.0, LARGEST_PIXELS / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]])
