"""What is known of a mark, as a value, and its separate parts. Pure."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.view import crop_padded

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAX_PARTS = 3  # that may come and go on their own
PART_GAPS_PIXELS = (5, 9, 13, 19, 27)  # tried from the smallest: the letters of a word are closer together than the word is to its logo
SPECK_SHARE = 0.02  # of a mark's pixels; anything smaller does not count as a part
LEVEL_PERCENTILE = 80  # of the opacity over a mark's pixels: its opacity level
HIGH_LEVEL_PERCENTILE = 90  # the same where the level decides whether a mark is opaque


@dataclass(frozen=True)
class MarkModel:
    """A mark or a part of it: mask (h, w), 1 where the mark is; opacity and its error's standard deviation (h, w); colour (3, h, w).

    All float32 in [0, 1]; colour is RGB.
    """

    mask: Floats = field(repr=False)
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)

    @property
    def pixels(self) -> Mask:
        """(h, w): the pixels that belong to the mark."""
        return self.mask > 0.5

    def level(self, percentile: float) -> float:
        """The opacity of the mark's interior: a high percentile over its pixels, of which there must be some."""
        return opacity_level(self.opacity, self.pixels, percentile)


def opacity_level(opacity: Floats, pixels: Mask, percentile: float) -> float:
    """A high percentile of the opacity (h, w) over some pixels (h, w): the edge is fainter than the interior, noise rarely as dense."""
    return float(np.percentile(opacity[pixels], percentile))


def crop_model(model: MarkModel, top: int, left: int, height: int, width: int) -> MarkModel:
    """The model in another window of its plane, which begins at (top, left) and may reach beyond it; there everything is 0."""
    planes = (model.mask, model.opacity, model.colour, model.opacity_sigma)
    return MarkModel(*(crop_padded(plane, top, left, height, width, repeat_edge=False) for plane in planes))


def split_parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """A mark's separate parts, such as its logo and its word: letters and strokes near each other are one. Specks go with the nearest.

    The gap that separates is the smallest that leaves no more than MAX_PARTS; one part where none does, as in a pattern.
    """
    for gap in PART_GAPS_PIXELS:
        joined = cv2.dilate(mask.astype(np.uint8), np.ones((gap, gap), np.uint8))
        count, labels, _, centres = cv2.connectedComponentsWithStats(joined)
        sizes = np.bincount(labels[mask], minlength=count)
        large = [label for label in range(1, count) if sizes[label] >= SPECK_SHARE * mask.sum()]
        if len(large) > MAX_PARTS:
            continue
        if len(large) < 2:
            break
        found = {label: mask & (labels == label) for label in large}
        for label in set(range(1, count)) - set(large):
            nearest = min(large, key=lambda other: float(np.hypot(*(centres[label] - centres[other]))))
            found[nearest] |= mask & (labels == label)
        return list(found.values())
    return [mask]
