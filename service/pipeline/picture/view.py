"""A window on the picture. It may reach beyond the picture's edges, as it does when it follows the scene."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.preprocess import edge_padded
from service.pipeline.placement import Box


@dataclass(frozen=True)
class View:
    """Rows [top, top + height) and columns [left, left + width) in pixels of the picture; any of them may lie outside it."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, box: Box, margin: int = 0) -> "View":
        """The box with `margin` pixels around it."""
        return cls(box.top, box.left, box.height, box.width).grown(margin)

    def grown(self, margin: int) -> "View":
        return View(self.top - margin, self.left - margin, self.height + 2 * margin, self.width + 2 * margin)

    def moved(self, dy: int, dx: int) -> "View":
        return View(self.top + dy, self.left + dx, self.height, self.width)

    def within(self, box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """The pixels that the view and the box share, as an index into the view and one into the box; None if they share none."""
        top, bottom = max(self.top, box.top), min(self.top + self.height, box.bottom)
        left, right = max(self.left, box.left), min(self.left + self.width, box.right)
        if top >= bottom or left >= right:
            return None
        of_view = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        of_box = slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left)
        return of_view, of_box

    def inner(self, width: int, height: int) -> Box | None:
        """The part of the view that lies inside a picture of this size; None if no part does."""
        shared = self.within(Box(0, 0, width, height))
        if shared is None:
            return None
        rows, columns = shared[1]
        return Box(columns.start, rows.start, columns.stop, rows.stop)

    def padded(self, values: NDArray[Any], inner: Box) -> NDArray[Any]:
        """Values (..., h, w) of `inner`, the part inside the picture, padded to the size of the view by repeating its edge."""
        top, left = inner.top - self.top, inner.left - self.left
        return edge_padded(values, (top, self.height - top - inner.height), (left, self.width - left - inner.width))


def crop_padded(values: NDArray[Any], top: int, left: int, height: int, width: int, repeat_edge: bool) -> NDArray[Any]:
    """The (..., height, width) crop of `values` (..., h, w) that starts at (top, left).

    Where the crop reaches outside, the edge is repeated if `repeat_edge`, else it is 0.
    """
    (first_row, last_row), (first_column, last_column) = (
        (min(max(start, 0), side - 1), min(max(start + length - 1, 0), side - 1))
        for start, length, side in ((top, height, values.shape[-2]), (left, width, values.shape[-1]))
    )
    inner = values[..., first_row : last_row + 1, first_column : last_column + 1]
    if not repeat_edge:
        padded = np.zeros((*values.shape[:-2], height, width), values.dtype)
        if top <= last_row and left <= last_column and first_row < top + height and first_column < left + width:
            rows, columns = slice(first_row - top, last_row - top + 1), slice(first_column - left, last_column - left + 1)
            padded[..., rows, columns] = inner
        return padded
    above, before = min(first_row - min(top, first_row), height - 1), min(first_column - min(left, first_column), width - 1)
    below, after = height - above - inner.shape[-2], width - before - inner.shape[-1]
    grown = edge_padded(inner, (above, below), (before, after))
    return grown.copy() if grown is inner else grown
