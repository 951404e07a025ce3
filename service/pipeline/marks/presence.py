"""How much of a mark a crop shows, against a fill of the mark's place. Pure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.preprocess import pull_push
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.picture.morphology import dilate

Floats = NDArray[np.float32]


def fill_hole(crop: Floats, mask: NDArray[np.bool_], around_pixels: int = 2) -> Floats:
    """A crop (3, h, w) with the mask (h, w) and a few pixels around it filled in from beyond."""
    known = (~dilate(mask, around_pixels)).astype(np.float32)
    return pull_push(crop.transpose(1, 2, 0), known).transpose(2, 0, 1)


def mark_effect(fill: Floats, model: MarkModel) -> Floats:
    """What the mark does to its filled surroundings (3, h, w)."""
    return model.opacity * model.mask * (model.colour - fill)


def presence_score(crop: Floats, fill: Floats, model: MarkModel) -> float:
    """How much of the mark a crop (3, h, w) shows: about 1 when it is there, about 0 when it is not.

    The least-squares factor by which the mark's own effect on the filled surroundings, `opacity * (colour - fill)`, explains the crop.
    """
    own = mark_effect(fill, model)
    return float((own * (crop - fill)).sum() / max(float((own * own).sum()), 1e-6))


def presence_scores(crops: Iterable[Floats], model: MarkModel) -> list[float]:
    """The score of each crop (3, h, w) against a fill of its own."""
    return [presence_score(crop, fill_hole(crop, model.mask > 0.5), model) for crop in crops]
