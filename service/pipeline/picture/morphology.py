"""Growing masks by whole pixels. Pure."""

import cv2
import numpy as np

from models.arrays import Mask


def dilate(mask: Mask, pixels: int) -> Mask:
    """The mask (h, w) and every pixel within `pixels` of it, in a square."""
    return dilate_by(mask, pixels, pixels)


def dilate_by(mask: Mask, rows: int, columns: int) -> Mask:
    """The mask (h, w) and every pixel within so many rows and columns of it."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * rows + 1, 2 * columns + 1), np.uint8)) > 0


def ring(mask: Mask, inner_pixels: int, outer_pixels: int) -> Mask:
    """The pixels (h, w) farther than `inner_pixels` from the mask and within `outer_pixels` of it, in squares."""
    return dilate(mask, outer_pixels) & ~dilate(mask, inner_pixels)
