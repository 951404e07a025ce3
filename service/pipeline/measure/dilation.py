"""Step 5, last: how much beside a mark is made anew with it. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from service.pipeline.marks.gather import Bytes, to_float
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.opacity import DENSE_LEVEL
from service.pipeline.picture.morphology import dilate

WIDE_PIXELS: Final = 2  # H.264 carries a mark a little beyond its edge
NARROW_PIXELS: Final = 1
OPAQUE_LEVEL: Final = 0.95  # opacity
MAX_FILL_ERROR: Final = 0.033  # error of a fill, in [0, 1]: with a larger one more is lost in the second pixel than the mark has left there
FILL_ERROR_PERCENTILE: Final = 75  # per cent of the pixels: some may be edges of the scene, or of a letter that was not seen
MAX_CROPS: Final = 8


def dilation_pixels(crops: Sequence[Bytes], model: MarkModel) -> int:
    """Of a mark, by crops (3, h, w) uint8 that show it: a narrow margin where it hides the scene, or one that is not easily made anew.

    In the second pixel beyond a mark a codec leaves an error of about 0.02. How far a fill errs is tried in the two pixels beyond that.
    A mark that the scene shines through is un-blended, to its very edge: a wide margin costs it nothing.
    """
    mask = model.mask > 0.5
    level = float(np.percentile(model.opacity[mask], 80)) if mask.any() else 0.0
    if level < DENSE_LEVEL:
        return WIDE_PIXELS
    if level > OPAQUE_LEVEL:
        return NARROW_PIXELS
    edge, tried = (dilate(mask, pixels) for pixels in (WIDE_PIXELS, 2 * WIDE_PIXELS))
    ring = tried & ~edge
    if not ring.any():
        return WIDE_PIXELS
    some = (to_float(crops[i]) for i in np.unique(np.linspace(0, len(crops) - 1, MAX_CROPS).astype(int)))
    errors = np.concatenate([np.square(crop - fill_hole(crop, tried)).mean(0)[ring] for crop in some])
    return WIDE_PIXELS if np.percentile(errors, FILL_ERROR_PERCENTILE) < MAX_FILL_ERROR**2 else NARROW_PIXELS
