"""The active picture: what lies inside the black bars of a letterboxed or pillarboxed video.

Nothing of the scene lies in a bar, so a mark in a bar is replaced with black, and neither fills nor references reach across its edge.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box, hull
from service.pipeline.video import Frame, VideoInfo

LIMITED_BLACK = 16 / 255  # luma of black where the range is limited
MAX_ABOVE_BLACK = 4 / 255  # of luma, by which a codec lets a bar exceed black
MIN_LIT_SHARE = 0.1  # of what is seen of a row of the picture; a codec lights up to 0.04 of the first rows of a bar
SPREAD_PIXELS = 8  # beside a mark, over which a codec's transform block spreads it
STRIP_PIXELS = 32  # rows looked at together, from an edge inwards


class ActivePicture:
    """Grows with the frames that are seen: a row or column that was lit once is picture for the rest of the video."""

    def __init__(self, info: VideoInfo) -> None:
        self._whole = Box(0, 0, info.width, info.height)
        black = 0.0 if info.colour.full_range else LIMITED_BLACK
        self._limit = (black + MAX_ABOVE_BLACK) * (2**info.pixel_format.bit_depth - 1)
        self._lit: Box | None = None

    @property
    def box(self) -> Box:
        """The active picture; all of the picture while nothing but black was seen."""
        return self._lit or self._whole

    def see(self, frame: Frame, hidden: Mask) -> None:
        """Take in a frame. What its `hidden` pixels (H, W) show, marks, and those beside them, says nothing."""
        lit = self._lit_in(frame.planes[0], dilate(hidden, SPREAD_PIXELS) if hidden.any() else hidden)
        if lit is not None:
            self._lit = lit if self._lit is None else hull(self._lit, lit)

    def _lit_in(self, luma: NDArray[Any], hidden: Mask) -> Box | None:
        """The smallest box around the rows and columns that are neither black nor hidden; None where there are no such rows or columns.

        A line of a title on black lights its rows, but not enough of any column.
        """
        height, width = hidden.shape
        top, left = self._dark_rows(luma, hidden), self._dark_rows(luma.T, hidden.T)
        if top == height or left == width:
            return None
        bottom, right = (self._dark_rows(*seen) for seen in ((luma[::-1], hidden[::-1]), (luma.T[::-1], hidden.T[::-1])))
        return Box(left, top, width - right, height - bottom)

    def _dark_rows(self, luma: NDArray[Any], hidden: Mask) -> int:
        """How many of the first rows are black apart from hidden pixels. Rows of which nothing else is seen belong to what follows."""
        dark = 0
        for start in range(0, len(luma), STRIP_PIXELS):
            rows = slice(start, start + STRIP_PIXELS)
            seen = ~hidden[rows]
            lit = ((luma[rows] > self._limit) & seen).sum(1) > MIN_LIT_SHARE * seen.sum(1)
            before = np.flatnonzero(seen[: int(np.argmax(lit)) if lit.any() else None].any(1))
            dark = start + int(before[-1]) + 1 if len(before) else dark
            if lit.any():
                return dark
        return len(luma)
