"""Arranges pictures in rows on one sheet, for inspection."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (3, H, W) RGB or (1, H, W) grey, in [0, 1]
Sheet = NDArray[np.uint8]  # (H, W, 3) RGB

GAP_PIXELS = 4
MIN_PICTURE_PIXELS = 160  # smaller pictures are enlarged by whole factors, up to about this


def page(rows: list[list[Picture]]) -> Sheet:
    """One sheet of all rows; pictures have one size, rows have equal length."""
    return np.concatenate([np.concatenate([_cell(picture) for picture in row], axis=1) for row in rows])


def _cell(picture: Picture) -> Sheet:
    rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
    factor = max(1, round(MIN_PICTURE_PIXELS / max(picture.shape[1:])))
    grey_levels = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
    return np.pad(grey_levels, ((0, GAP_PIXELS), (0, GAP_PIXELS), (0, 0)))
