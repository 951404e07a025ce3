"""What passes before a part of a mark shows that it lies in the scene."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole
from service.pipeline.measure.occlusion import is_occluded
from tests.footage import pan

Floats = NDArray[np.float32]

HEIGHT, WIDTH, FRAMES = 160, 256, 12
LINES = ((np.mgrid[:HEIGHT, :WIDTH] % 16) < 2).any(0)
SOME = LINES & (np.mgrid[:HEIGHT, :WIDTH][1] < 96)


def seen(mask: NDArray[np.bool_], hands: bool, opacity: float = 0.9) -> list[tuple[Floats, Floats]]:
    """Crops and their fills: white lines over a scene, before which, or over which, a dark thing goes from side to side."""
    pairs = []
    for i, picture in enumerate(pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)):
        crop = 0.5 * picture.transpose(2, 0, 1).astype(np.float32) / 255
        thing = slice(20 * i, 20 * i + 70)
        if not hands:
            crop[:, 30:150, thing] = 0.1
        crop = crop + opacity * mask * (1 - crop)
        if hands:
            crop[:, 30:150, thing] = 0.1
        pairs.append((crop.astype(np.float32), fill_hole(crop.astype(np.float32), mask)))
    return pairs


def model(mask: NDArray[np.bool_], opacity: float = 0.9) -> MarkModel:
    plane = mask.astype(np.float32)
    return MarkModel(plane, opacity * plane, np.ones((3, HEIGHT, WIDTH), np.float32), 0.02 * plane)


@pytest.mark.parametrize("mask", [LINES, SOME])
def test_lines_before_which_something_passes_lie_in_the_scene(mask: NDArray[np.bool_]) -> None:
    assert is_occluded(seen(mask, hands=True), model(mask))


@pytest.mark.parametrize("opacity", [0.9, 0.4])
@pytest.mark.parametrize("mask", [LINES, SOME])
def test_a_mark_behind_which_something_passes_does_not(mask: NDArray[np.bool_], opacity: float) -> None:
    assert not is_occluded(seen(mask, hands=False, opacity=opacity), model(mask, opacity))


def test_a_few_pixels_tell_nothing() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:6, 3:6] = True
    assert not is_occluded(seen(mask, hands=True), model(mask))
