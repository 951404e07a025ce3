"""The edge alpha of opaque marks: where the scene is mixed in, their pixels are un-blended. Pure.

No mark is opaque to its very edge. Where its outline crosses a pixel, or was scaled or compressed, the scene is mixed in. In thin letters
that is a third of the pixels.
"""

from dataclasses import replace

import numpy as np

from models.arrays import Mask
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import MarkModel, PredictedMark, opacity_level, split_parts
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.opacity import OpacityFit
from service.pipeline.picture.morphology import dilate


def with_edge_alpha(fit: OpacityFit, predicted: PredictedMark, missed: Mask, notes: Notes = UNNOTED) -> MarkModel:
    """The model with an opacity below 1 at the edges of its opaque parts, as the matte network predicts it.

    A pixel of the edge is opaque with the probability that nothing shows through, else it has the predicted share of the part's level.
    The edge reaches as far as the widest dilation, on both sides of the outline. missed: (h, w), pixels of opaque parts that the head does
    not know of; towards them a part has no edge.
    """
    opacity, mask = fit.model.opacity.copy(), fit.model.pixels
    for number, part in enumerate(split_parts(mask)):
        if not part.any() or not fit.opaque[part].all():
            continue
        edge = dilate(part, WIDE_PIXELS) & dilate(~(part | missed), WIDE_PIXELS) & ~(mask & ~part) & ~missed
        share = np.clip(predicted.opacity / max(opacity_level(predicted.opacity, part), 1e-3), 0, 1)
        opacity[edge] = (1 - (1 - share) * (1 - predicted.hides))[edge]
        notes.of_part(number)("mean opacity of an opaque part", float(opacity[part].mean()), None, "un-blended where it is below 1")
    return replace(fit.model, opacity=opacity)
