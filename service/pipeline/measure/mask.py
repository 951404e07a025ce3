"""Which pixels belong to a mark, from the segmenter's probability and the matte network's prediction. Pure."""

import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.marks.mark_model import MarkModel, opacity_level
from service.pipeline.measure.opacity import SURE_PROBABILITY
from service.pipeline.measure.opaque import DENSE_LEVEL

MIN_OPACITY = 0.06  # below it a pixel shows nothing of the mark
MIN_PROBABILITY = 0.3  # at or above it a pixel may belong to the mark, and the matte network decides
CERTAIN_PROBABILITY = 0.85  # above it a pixel always belongs: eyes and counters of letters, which only darken the scene
MIN_MISSED_SHARE = 0.6  # of the mark's level: a missed pixel at least this opaque, with a small sigma, is added to the mark
MAX_MISSED_SIGMA = 0.4  # of the pixel's opacity: the small sigma of such a pixel
MAX_SIGMA_RATIO = 2.0  # times the sigma of the most certain quarter of a faint mark
MIN_EDGE_SHARE = 0.15  # of the mark's level: fainter pixels lie beyond its edge


def mask_of(probability: Floats, model: MarkModel) -> Mask:
    """The mark's pixels (h, w), all of them False where the probability (h, w) is nowhere high.

    A pixel belongs to the mark if the segmenter suspects it and the matte network, whose edges are sharper, sees some opacity there; if the
    matte network is certain of a dense pixel; or if the segmenter is certain.
    """
    sure = probability > SURE_PROBABILITY
    if not sure.any():
        return sure
    level = opacity_level(model.opacity, sure)
    seen = (probability > MIN_PROBABILITY) & (model.opacity > max(MIN_OPACITY, MIN_EDGE_SHARE * level))
    missed = (model.opacity > MIN_MISSED_SHARE * level) & (model.opacity_sigma < MAX_MISSED_SIGMA * model.opacity)
    return _drop_uncertain(seen | missed | (probability > CERTAIN_PROBABILITY), model)


def _drop_uncertain(mask: Mask, model: MarkModel) -> Mask:
    """The mask without the least certain pixels of a faint mark, such as the counters of letters."""
    if not mask.any() or opacity_level(model.opacity, mask) > DENSE_LEVEL:
        return mask
    return mask & (model.opacity_sigma < MAX_SIGMA_RATIO * float(np.percentile(model.opacity_sigma[mask], 25)))
