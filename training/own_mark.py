"""A user's own mark: a picture, drawn on clips in the sizes, places and opacities in which it occurs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from training.samples import Source
from training.watermarks import Mark, Patch

Rng = np.random.Generator
Floats = NDArray[np.float32]
Range = tuple[float, float]
Place = Literal["any", "corner", "centre"]
PLACES: tuple[Place, ...] = get_args(Place)

MIN_PIXELS = 8  # of the longer side; a smaller mark is only a dot
VISIBLE = 1 / 255  # a lower alpha is invisible
CORNER_MARGINS: Range = (0.01, 0.08)  # of the short side
CENTRE_SPREAD = 0.03  # standard deviation, of the short side: marks are rarely centred exactly


class InputError(Exception):
    """The user's input cannot be used for training; the message says why, in one line."""


@dataclass(frozen=True)
class OwnMark:
    """The picture, alpha (h, w) and colour (h, w, 3) float32 in [0, 1], and how it occurs.

    `opacity`: range of the factor for alpha; `size`: range of the longer side, as a share of the video's short side.
    """

    alpha: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity: Range = (0.3, 1.0)
    size: Range = (0.05, 0.3)
    place: Place = "any"

    def patch(self, rng: Rng, width: int, height: int) -> Patch:
        """Draw the mark at a random place on a frame of width x height pixels."""
        short_side = min(width, height)
        share = float(np.exp(rng.uniform(*np.log(self.size))))
        alpha, colour = _resized(self.alpha, self.colour, max(MIN_PIXELS, share * short_side), width, height)
        left, top = self._random_corner(rng, width - alpha.shape[1], height - alpha.shape[0], short_side)
        return Patch(left, top, alpha * np.float32(rng.uniform(*self.opacity)), colour)

    def _random_corner(self, rng: Rng, room_x: int, room_y: int, short_side: int) -> tuple[int, int]:
        """A random (left, top) within the room that the mark leaves."""
        if self.place == "any":
            return int(rng.integers(room_x + 1)), int(rng.integers(room_y + 1))
        if self.place == "corner":
            margins = rng.uniform(*CORNER_MARGINS, 2) * short_side
            x, y = (margin if rng.random() < 0.5 else room - margin for margin, room in zip(margins, (room_x, room_y), strict=True))
        else:
            x, y = np.array([room_x, room_y]) / 2 + rng.normal(0, CENTRE_SPREAD, 2) * short_side
        return int(np.clip(x, 0, room_x)), int(np.clip(y, 0, room_y))


@dataclass(frozen=True)
class OwnSource(Source):
    """Clips with the user's mark on them, and a share of ordinary marks, so that the networks do not forget those."""

    own: OwnMark = field(kw_only=True)
    ordinary_share: float = field(kw_only=True)

    def mark(self, rng: Rng, kinds: Mapping[str, float], width: int, height: int, frames: int) -> Mark:
        if rng.random() < self.ordinary_share:
            return super().mark(rng, kinds, width, height, frames)
        return Mark("own", (self.own.patch(rng, width, height),) * frames)


def read(path: Path) -> tuple[Floats, Floats]:
    """Read alpha (h, w) and colour (h, w, 3), float32 in [0, 1], cropped to the visible part; without alpha, it is opaque everywhere.

    Raises InputError if the picture cannot be read or is transparent everywhere.
    """
    try:
        with Image.open(path) as image:
            rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path.name} cannot be read as a picture") from error
    rows, columns = (np.nonzero(rgba[..., 3].max(axis) > VISIBLE)[0] for axis in (1, 0))
    if not len(rows):
        raise InputError(f"{path.name} is transparent everywhere")
    visible = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(visible[..., 3]), np.ascontiguousarray(visible[..., :3])


def _resized(alpha: Floats, colour: Floats, longer_side: float, width: int, height: int) -> tuple[Floats, Floats]:
    """Scale to the longer side, or to fit into the frame. Colour is weighted by alpha: transparent pixels have no colour."""
    h, w = alpha.shape
    scale = min(longer_side / max(h, w), width / w, height / h)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(alpha, size, interpolation=method)
    weighted = cv2.resize(colour * alpha[..., None], size, interpolation=method)
    return small, np.clip(weighted / np.maximum(small, 1e-4)[..., None], 0, 1)
