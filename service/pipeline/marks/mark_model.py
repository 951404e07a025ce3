"""The mark model, and how a mark splits into separate parts. Pure."""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.picture.view import crop_padded

MAX_PARTS = 3  # parts of one mark that may appear and disappear independently
PART_GAPS_PIXELS = (5, 9, 13, 19, 27)  # widest gap inside one part, tried in order: letters lie closer together than a word and its logo
SPECK_SHARE = 0.02  # share of the mark's pixels; a component smaller than this is a speck, not a part
LEVEL_PERCENTILE = 80  # of the opacity over a mark's pixels: its opacity level


@dataclass(frozen=True)
class MarkModel:
    """What is known of a mark or of one of its parts: float32 planes in [0, 1].

    mask: (h, w), above 0.5 where the mark is. opacity: (h, w). colour: (3, h, w) RGB.
    opacity_sigma: (h, w), the standard deviation of the error of the opacity.
    """

    mask: Floats = field(repr=False)
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)

    @property
    def pixels(self) -> Mask:
        """(h, w): the pixels that belong to the mark."""
        return self.mask > 0.5

    @property
    def level(self) -> float:
        """The opacity level, in [0, 1]. The mask must not be empty."""
        return opacity_level(self.opacity, self.pixels)


@dataclass(frozen=True)
class PredictedMark(MarkModel):
    """A mark as the matte network predicts it. hides: (h, w), the probability that nothing of the scene shows through."""

    hides: Floats = field(repr=False)


class Matte(NamedTuple):
    """What the matte network says of each pixel of a place: float32 planes in [0, 1], as in a model.

    belongs: (h, w), the probability that the pixel is part of the mark, its outline and shadow included. hides: as in `PredictedMark`.
    """

    opacity: Floats
    colour: Floats
    opacity_sigma: Floats
    belongs: Floats
    hides: Floats

    def of(self, pixels: Mask) -> PredictedMark:
        """The model of a mark of these pixels (h, w)."""
        return PredictedMark(pixels.astype(np.float32), self.opacity, self.colour, self.opacity_sigma, self.hides)


def opacity_level(opacity: Floats, pixels: Mask) -> float:
    """A high percentile of the opacity (h, w) over the given pixels (h, w). At least one must be given.

    A high percentile, because the edge of a mark is fainter than its interior, and noise rarely exceeds the interior.
    """
    return float(np.percentile(opacity[pixels], LEVEL_PERCENTILE))


def crop_model(model: MarkModel, top: int, left: int, height: int, width: int) -> MarkModel:
    """The (height, width) crop of the model that starts at (top, left). Where the crop reaches outside the model, all planes are 0."""
    planes = (model.mask, model.opacity, model.colour, model.opacity_sigma)
    return MarkModel(*(crop_padded(plane, top, left, height, width, repeat_edge=False) for plane in planes))


def split_parts(mask: Mask) -> list[Mask]:
    """The separate parts of a mark (h, w), such as its logo and its word. Letters and strokes close to each other are one part.

    Uses the smallest gap that leaves at most MAX_PARTS parts. A mask that no gap splits into so few parts, such as a tiled pattern, is
    one part. Each speck is added to the nearest part.
    """
    for gap in PART_GAPS_PIXELS:
        joined = cv2.dilate(mask.astype(np.uint8), np.ones((gap, gap), np.uint8))
        count, labels, _, centroids = cv2.connectedComponentsWithStats(joined)
        sizes = np.bincount(labels[mask], minlength=count)
        large = [label for label in range(1, count) if sizes[label] >= SPECK_SHARE * mask.sum()]
        if len(large) > MAX_PARTS:
            continue
        if len(large) < 2:
            break
        parts = {label: mask & (labels == label) for label in large}
        for speck in set(range(1, count)) - set(large):
            nearest = min(large, key=lambda label: float(np.hypot(*(centroids[speck] - centroids[label]))))
            parts[nearest] |= mask & (labels == speck)
        return list(parts.values())
    return [mask]
