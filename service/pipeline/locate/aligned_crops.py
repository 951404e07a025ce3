"""What a moving shape's surroundings look like along its path, cut out so that the shape stands still. Pure."""

import numpy as np

from models.arrays import Bytes
from models.preprocess import SEGMENTER_FRAMES
from service.pipeline.locate.closer_look import SURROUNDINGS_PIXELS
from service.pipeline.locate.pooled_shape import MARGIN_PIXELS, Place
from service.pipeline.picture.view import View, crop_padded


class AlignedCrops:
    """Crops along the path of a shape, evenly spread over where it was seen: in its own frame of reference it stands still."""

    def __init__(self, margin: int = SURROUNDINGS_PIXELS + MARGIN_PIXELS) -> None:
        """margin: pixels around the shape that are kept, some for its growth."""
        self._margin = margin
        self._kept: list[tuple[View, Bytes]] = []  # each with its view in the frame of reference
        self._stride, self._added = 1, 0

    def add(self, picture: Bytes, view: View, place: Place) -> None:
        """Take in a picture (H, W, 3) that shows the shape in a view, while its frame of reference lies at a place."""
        if self._added % self._stride == 0:
            wide = view.grown(self._margin)
            inner = wide.inner(picture.shape[1], picture.shape[0])
            assert inner is not None, "the shape was seen in it"
            crop = picture[inner.slices].transpose(2, 0, 1).copy()
            self._kept.append((View.of(inner).moved(-place[0], -place[1]), crop))
        self._added += 1
        if len(self._kept) > 2 * SEGMENTER_FRAMES:
            self._kept, self._stride = self._kept[::2], 2 * self._stride

    def crops(self, view: View) -> Bytes:
        """(T, 3, h, w): what SEGMENTER_FRAMES of the pictures show in a view of the frame of reference, and around it."""
        wide = view.grown(SURROUNDINGS_PIXELS)
        chosen = [self._kept[round(at)] for at in np.linspace(0, len(self._kept) - 1, min(SEGMENTER_FRAMES, len(self._kept)))]
        corners = [(wide.top - seen.top, wide.left - seen.left) for seen, _ in chosen]
        pairs = zip(chosen, corners, strict=True)
        return np.stack([crop_padded(crop, *corner, wide.height, wide.width, repeat_edge=True) for (_, crop), corner in pairs])
