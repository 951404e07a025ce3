"""A sum of maps that are zero but for one place of the picture: only that place is held. Pure."""

import numpy as np

from models.arrays import Floats
from service.pipeline.placement import Box, bounding_box, hull


class LocalSum:
    """Grows with the maps (h, w) that are added. A video may have a thousand captions, each with such a sum."""

    def __init__(self, first: Floats) -> None:
        self.shape = first.shape
        self._box: Box | None = None
        self._values = np.zeros((0, 0), np.float32)
        self.add(first)

    def add(self, values: Floats) -> None:
        """Add a map (h, w)."""
        nonzero = values != 0
        if not nonzero.any():
            return
        place = bounding_box(nonzero)
        box = place if self._box is None else hull(self._box, place)
        if box != self._box:
            self._values, self._box = self.whole()[box.slices].copy(), box
        self._values += values[box.slices]

    def whole(self) -> Floats:
        """The sum (h, w)."""
        whole = np.zeros(self.shape, np.float32)
        if self._box is not None:
            whole[self._box.slices] = self._values
        return whole
