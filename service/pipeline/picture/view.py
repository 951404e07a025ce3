"""A window on the picture that may lie partly beyond its edges, as it does when it follows the scene."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.pipeline.placement import Box


@dataclass(frozen=True)
class View:
    """Rows [top, top + height) and columns [left, left + width) of the picture; any of them may be outside."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, box: Box, margin: int = 0) -> "View":
        """The box and `margin` pixels around it."""
        return cls(box.top - margin, box.left - margin, box.height + 2 * margin, box.width + 2 * margin)

    def moved(self, dy: int, dx: int) -> "View":
        return View(self.top + dy, self.left + dx, self.height, self.width)

    def within(self, box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """The pixels that the view and the box share, as an index into each; None if there are none."""
        top, bottom = max(self.top, box.top), min(self.top + self.height, box.bottom)
        left, right = max(self.left, box.left), min(self.left + self.width, box.right)
        if top >= bottom or left >= right:
            return None
        here = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        return here, (slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left))

    def inner(self, width: int, height: int) -> Box | None:
        """The part of the view that lies in a picture of this size."""
        shared = self.within(Box(0, 0, width, height))
        if shared is None:
            return None
        rows, columns = shared[1]
        return Box(columns.start, rows.start, columns.stop, rows.stop)

    def padded(self, values: NDArray[Any], inner: Box) -> NDArray[Any]:
        """Values (..., h, w) of the part of the view that lies in the picture, its edges repeated to the size of the view."""
        top, left = inner.top - self.top, inner.left - self.left
        rows, columns = (top, self.height - top - inner.height), (left, self.width - left - inner.width)
        if not any((*rows, *columns)):
            return values
        return np.pad(values, [(0, 0)] * (values.ndim - 2) + [rows, columns], mode="edge")


def crop_padded(values: NDArray[Any], top: int, left: int, height: int, width: int, repeat_edge: bool) -> NDArray[Any]:
    """(..., h, w) -> (..., height, width) from (top, left) on, which may lie outside: there the edge is repeated, or 0."""
    rows, columns = np.arange(top, top + height), np.arange(left, left + width)
    inner_rows, inner_columns = rows.clip(0, values.shape[-2] - 1), columns.clip(0, values.shape[-1] - 1)
    cut = values[..., inner_rows[:, None], inner_columns]
    if repeat_edge:
        return cut
    known = (rows == inner_rows)[:, None] & (columns == inner_columns)
    return np.where(known, cut, np.zeros((), values.dtype))
