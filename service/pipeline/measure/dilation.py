"""How many pixels around a mark are replaced with it. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.arrays import Bytes
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import to_float
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.picture.morphology import dilate

DENSE_LEVEL: Final = 0.6  # of the opacity: below it a mark is un-blended to its edge
OPAQUE_LEVEL: Final = 0.9  # of the opacity: above it nothing is un-blended
WIDE_PIXELS: Final = 2  # H.264 carries a mark a little beyond its edge
NARROW_PIXELS: Final = 1
MAX_FILL_ERROR: Final = 0.033  # in [0, 1]: above it, filling the second pixel does more harm than the mark's residue there
FILL_ERROR_PERCENTILE: Final = 75  # of the pixels tried: a few may be edges of the scene, or of a letter that was missed
MAX_CROPS: Final = 8  # that are looked at where all crops of a mark would cost too much


def dilation_pixels(crops: Sequence[Bytes], model: MarkModel, notes: Notes = UNNOTED) -> int:
    """The dilation of a mark that the crops (3, h, w) uint8 show: NARROW_PIXELS for an opaque one, or where the scene is hard to fill.

    In the second pixel beyond a mark a codec leaves an error of about 0.02. A fill is tried in the two pixels beyond that one. A
    translucent mark is un-blended up to its edge, so a wide dilation costs it nothing.
    """
    mask = model.pixels
    level = model.level if mask.any() else 0.0
    if level < DENSE_LEVEL:
        notes("opacity level, for the dilation", level, DENSE_LEVEL, "wide dilation")
        return WIDE_PIXELS
    if level > OPAQUE_LEVEL:
        notes("opacity level, for the dilation", level, OPAQUE_LEVEL, "narrow dilation")
        return NARROW_PIXELS
    hole, tried = (dilate(mask, pixels) for pixels in (WIDE_PIXELS, 2 * WIDE_PIXELS))
    ring = tried & ~hole
    if not ring.any():
        return WIDE_PIXELS
    chosen = (to_float(crops[i]) for i in np.unique(np.linspace(0, len(crops) - 1, MAX_CROPS).astype(int)))
    errors = np.concatenate([np.square(crop - fill_hole(crop, tried)).mean(0)[ring] for crop in chosen])
    power = np.percentile(errors, FILL_ERROR_PERCENTILE)
    easy = bool(power < MAX_FILL_ERROR**2)
    notes("error of a fill beside the mark", float(np.sqrt(power)), MAX_FILL_ERROR, "wide dilation" if easy else "narrow dilation")
    return WIDE_PIXELS if easy else NARROW_PIXELS
