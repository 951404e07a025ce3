"""Occlusion: whether something of the scene passes in front of a candidate. Then it lies in the scene and is not a mark. Pure."""

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np

from models.arrays import Floats
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import mark_effect, presence_score

Cell = tuple[slice, slice]  # rows and columns of a square

CELL_PIXELS: Final = 32  # side of a cell
MIN_CELL_PIXELS: Final = 20  # mark pixels that a cell needs
MIN_CELL_SCORE = 0.5  # usual presence score that a cell needs
MIN_CELL_EFFECT = 0.08  # of RGB in [0, 1]: change by the mark that a cell needs
OCCLUDED_SCORE_SHARE: Final = 0.2  # of its usual score: with less, a cell is occluded
MIN_OCCLUDED_CELLS = 3  # in one frame
MIN_OCCLUDED_SHARE = 0.03  # of the usable cells, in one frame
MIN_OCCLUDED_FRAMES: Final = 4  # of twelve: one frame for one of 18 static marks, eight and nine for the lines of a cutting mat


def is_occluded(pairs: Sequence[tuple[Floats, Floats]], model: MarkModel, notes: Notes = UNNOTED) -> bool:
    """Whether some cells of the candidate vanish for a while and the others stay, as the lines of a table do under a hand.

    pairs: crops (3, h, w) in [0, 1] from all over the video, each with the same crop whose mark is filled.
    """
    measured = np.array([[_cell_score(crop, fill, model, cell) for crop, fill in pairs] for cell in _cells(model)], np.float32)
    scores, effects = np.moveaxis(measured.reshape(-1, len(pairs), 2), 2, 0)  # each (cells, frames)
    usual = np.median(scores, axis=1, keepdims=True)
    usable = (usual > MIN_CELL_SCORE) & (effects > MIN_CELL_EFFECT)
    occluded_cells = (usable & (scores < OCCLUDED_SCORE_SHARE * usual)).sum(0)
    frames = int((occluded_cells >= np.maximum(MIN_OCCLUDED_CELLS, MIN_OCCLUDED_SHARE * usable.sum(0))).sum())
    occluded = frames >= MIN_OCCLUDED_FRAMES
    notes("frames in which the scene occludes it", frames, MIN_OCCLUDED_FRAMES, "dropped: it lies in the scene" if occluded else "kept")
    return occluded


def _cells(model: MarkModel) -> list[Cell]:
    """The cells of a grid that hold some of the mark."""
    corners = (range(0, side, CELL_PIXELS) for side in model.mask.shape)
    grid = [(slice(y, y + CELL_PIXELS), slice(x, x + CELL_PIXELS)) for y, x in product(*corners)]
    return [cell for cell in grid if model.pixels[cell].sum() >= MIN_CELL_PIXELS]


def _cell_score(crop: Floats, fill: Floats, model: MarkModel, cell: Cell) -> tuple[float, float]:
    """The presence score of the mark in a cell, and the root mean square of its effect there, in [0, 1]."""
    part = MarkModel(*(values[(..., *cell)] for values in (model.mask, model.opacity, model.colour, model.opacity_sigma)))
    cell_fill = fill[(slice(None), *cell)]
    power = np.square(mark_effect(cell_fill, part)).mean(0).sum() / part.mask.sum()
    return presence_score(crop[(slice(None), *cell)], cell_fill, part), float(np.sqrt(power))
