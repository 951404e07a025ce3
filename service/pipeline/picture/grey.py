"""Masks and opacities as grey pictures."""

import numpy as np

from models.arrays import Bytes, Floats
from service.pipeline.placement import Placement


def to_grey_levels(values: Floats) -> Bytes:
    """Values in [0, 1] as grey levels, 0 to 255."""
    stored: Bytes = np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)
    return stored


def matte_picture(placement: Placement) -> Bytes:
    """The matte, (h, w): how much of each pixel the mark hides, 255 = all of it, 0 outside the mask."""
    return to_grey_levels(placement.opacity * (placement.mask > 0.5))
