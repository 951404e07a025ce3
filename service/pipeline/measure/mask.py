"""Which pixels belong to a mark, from the segmenter's probability and the matte network's prediction. Pure."""

from dataclasses import replace

import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import MarkModel, opacity_level
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.opacity import SURE_PROBABILITY
from service.pipeline.measure.opaque import DENSE_LEVEL
from service.pipeline.picture.morphology import dilate

MIN_OPACITY = 0.06  # below it a pixel shows nothing of the mark
MIN_PROBABILITY = 0.3  # at or above it a pixel may belong to the mark, and the matte network decides
CERTAIN_PROBABILITY = 0.85  # above it a pixel always belongs: eyes and counters of letters, which only darken the scene
MIN_MISSED_SHARE = 0.6  # of the mark's level: a missed pixel at least this opaque, with a small sigma, is added to the mark
MAX_MISSED_SIGMA = 0.4  # of the pixel's opacity: the small sigma of such a pixel
MAX_SIGMA_RATIO = 2.0  # times the sigma of the most certain quarter of a faint mark
MIN_EDGE_SHARE = 0.15  # of the mark's level: fainter pixels lie beyond its edge
MIN_BOX_SHARE = 0.02  # of a person's box: if less of it is found to be mark, all of it is removed


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


def restrict_to_box(candidate: Candidate, model: MarkModel, notes: Notes = UNNOTED) -> MarkModel:
    """The mark found inside a person's box; or the whole box, as opaque, where next to nothing was found."""
    given = candidate.probability > 0.5
    found = dilate(model.pixels, WIDE_PIXELS) & given
    enough = bool(found.sum() >= MIN_BOX_SHARE * given.sum())
    share = float(found.sum() / max(given.sum(), 1))
    notes("share of the box that is mark", share, MIN_BOX_SHARE, "kept" if enough else "filled: the whole box")
    if enough:
        return replace(model, mask=found.astype(np.float32))
    return replace(model, mask=given.astype(np.float32), opacity=np.ones_like(model.opacity))
