"""The presence score: how much of a mark a crop shows, compared with a fill of the mark's place. Pure."""

from collections.abc import Iterable

import numpy as np

from models.arrays import Floats, Mask
from models.preprocess import filled_from_around
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.picture.morphology import dilate


def fill_hole(crop: Floats, mask: Mask, around_pixels: int = 2) -> Floats:
    """The crop (3, h, w) with the mask (h, w), dilated by `around_pixels`, filled from its surroundings by pull-push."""
    return filled_from_around(crop, (~dilate(mask, around_pixels)).astype(np.float32))


def mark_effect(fill: Floats, model: MarkModel) -> Floats:
    """What the mark adds to a scene that looks like `fill` (3, h, w): `opacity * (colour - fill)` inside the mask, (3, h, w)."""
    return model.opacity * model.mask * (model.colour - fill)


def presence_score(crop: Floats, fill: Floats, model: MarkModel) -> float:
    """About 1 if the crop (3, h, w) shows the mark, about 0 if it does not. fill: (3, h, w), the crop with the mark's place filled.

    The score is the least-squares factor of the mark's effect on the fill that best explains the difference of crop and fill.
    """
    effect = mark_effect(fill, model)
    return float((effect * (crop - fill)).sum() / max(float((effect * effect).sum()), 1e-6))


def presence_scores(crops: Iterable[Floats], model: MarkModel) -> list[float]:
    """The score of each crop (3, h, w) against its own fill."""
    return [presence_score(crop, fill_hole(crop, model.mask > 0.5), model) for crop in crops]
