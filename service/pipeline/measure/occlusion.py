"""Step 5 in between: whether a standing mark is hidden in places. Nothing of the scene passes before a mark. Pure."""

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import mark_effect, presence_score

Floats = NDArray[np.float32]
Cell = tuple[slice, slice]

CELL_PIXELS: Final = 32  # side of the squares that are looked at
MIN_CELL_PIXELS: Final = 20  # of the mark in each
MIN_CELL_SCORE, MIN_CELL_EFFECT = (
    0.5,
    0.08,
)  # of its usual score, and of what it changes in [0, 1], that such a square must have to tell anything
OCCLUDED_SCORE_SHARE: Final = 0.2  # of the usual score: hidden there
MIN_OCCLUDED_CELLS, MIN_OCCLUDED_SHARE = 3, 0.03  # at once, of those that tell
MIN_OCCLUDED_FRAMES: Final = 4  # in which it is so: in one of twelve for one of 18 standing marks, in eight and nine for a cutting mat


def is_occluded(pairs: Sequence[tuple[Floats, Floats]], model: MarkModel) -> bool:
    """Whether the scene hides places of it for a time while the rest is there: then it lies in the scene, as the lines of a table do.

    pairs: crops (3, h, w) from all over the video, each with the look's place filled in.
    """
    found = np.array([[_cell_score(crop, fill, model, cell) for crop, fill in pairs] for cell in _cells(model)], np.float32)
    shares, effects = np.moveaxis(found.reshape(-1, len(pairs), 2), 2, 0)
    usual = np.median(shares, axis=1, keepdims=True)
    told = (usual > MIN_CELL_SCORE) & (effects > MIN_CELL_EFFECT)
    hidden = (told & (shares < OCCLUDED_SCORE_SHARE * usual)).sum(0)
    return int((hidden >= np.maximum(MIN_OCCLUDED_CELLS, MIN_OCCLUDED_SHARE * told.sum(0))).sum()) >= MIN_OCCLUDED_FRAMES


def _cells(model: MarkModel) -> list[Cell]:
    """The squares that hold some of the mark."""
    corners = (range(0, side, CELL_PIXELS) for side in model.mask.shape)
    squares = [(slice(y, y + CELL_PIXELS), slice(x, x + CELL_PIXELS)) for y, x in product(*corners)]
    return [square for square in squares if (model.mask[square] > 0.5).sum() >= MIN_CELL_PIXELS]


def _cell_score(crop: Floats, fill: Floats, model: MarkModel, cell: Cell) -> tuple[float, float]:
    """The score of the mark in a cell, and how much it changes there, in [0, 1]."""
    own = MarkModel(*(values[(..., *cell)] for values in (model.mask, model.opacity, model.colour, model.opacity_sigma)))
    before = fill[(slice(None), *cell)]
    power = np.square(mark_effect(before, own)).mean(0).sum() / own.mask.sum()
    return presence_score(crop[(slice(None), *cell)], before, own), float(np.sqrt(power))
