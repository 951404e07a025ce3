"""Occlusion: a candidate that something passes in front of lies in the scene."""

import numpy as np
import pytest

from models.arrays import Floats, Mask
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.occlusion import is_occluded
from tests.footage import pan

HEIGHT, WIDTH, FRAMES = 160, 256, 12
LINES = ((np.mgrid[:HEIGHT, :WIDTH] % 16) < 2).any(0)
SOME = LINES & (np.mgrid[:HEIGHT, :WIDTH][1] < 96)


def pairs_of(mask: Mask, in_front: bool, opacity: float = 0.9) -> list[tuple[Floats, Floats]]:
    """Crops and their fills: white lines over a scene, and something dark that moves across, in front of the lines or behind them."""
    pairs = []
    for i, picture in enumerate(pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)):
        crop = 0.5 * picture.transpose(2, 0, 1).astype(np.float32) / 255
        thing = slice(20 * i, 20 * i + 70)
        if not in_front:
            crop[:, 30:150, thing] = 0.1
        crop = crop + opacity * mask * (1 - crop)
        if in_front:
            crop[:, 30:150, thing] = 0.1
        pairs.append((crop.astype(np.float32), fill_hole(crop.astype(np.float32), mask)))
    return pairs


def model(mask: Mask, opacity: float = 0.9) -> MarkModel:
    plane = mask.astype(np.float32)
    return MarkModel(plane, opacity * plane, np.ones((3, HEIGHT, WIDTH), np.float32), 0.02 * plane)


@pytest.mark.parametrize("mask", [LINES, SOME])
def test_lines_that_something_passes_in_front_of_are_occluded(mask: Mask) -> None:
    assert is_occluded(pairs_of(mask, in_front=True), model(mask))


@pytest.mark.parametrize("opacity", [0.9, 0.4])
@pytest.mark.parametrize("mask", [LINES, SOME])
def test_a_mark_that_something_passes_behind_is_not(mask: Mask, opacity: float) -> None:
    assert not is_occluded(pairs_of(mask, in_front=False, opacity=opacity), model(mask, opacity))


def test_a_few_pixels_are_not_enough() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:6, 3:6] = True
    assert not is_occluded(pairs_of(mask, in_front=True), model(mask))
