"""The opacity of each pixel of a mark that is seen over many scenes."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Floats
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.pixel_opacity import fit_pixel_opacity
from tests.footage import texture

SIZE, FRAMES, OPACITY = (48, 96), 24, 0.5


def word() -> Floats:
    """(h, w) in [0, 1]: thin letters."""
    letters = np.zeros(SIZE, np.uint8)
    cv2.putText(letters, "Word", (14, 32), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 1, cv2.LINE_AA)
    return letters.astype(np.float32) / 255


def crops(opacity: Floats) -> Floats:
    """(N, 3, h, w): a white word over another scene in each."""
    scenes = np.stack([texture(seed, SIZE[1], SIZE[0], blur_pixels=4).transpose(2, 0, 1) for seed in range(FRAMES)])
    return scenes * (1 - opacity) + opacity


def predicted(factor: float, sigma: float = 0.1, colour: float = 1.0) -> MarkModel:
    """The word at this factor of its opacity, in this grey."""
    opacity = factor * OPACITY * word()
    return MarkModel((word() > 0.05).astype(np.float32), opacity, np.full((3, *SIZE), colour, np.float32), np.full(SIZE, sigma, np.float32))


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.3])
def test_over_many_scenes_each_pixel_gets_its_own_opacity(factor: float) -> None:
    fit = fit_pixel_opacity(crops(OPACITY * word()), predicted(factor), FRAMES)
    letters = word() > 0.3
    before, after = (np.abs(model.opacity - OPACITY * word())[letters].mean() for model in (predicted(factor), fit))
    assert after < max(0.45 * before, 0.04)
    assert fit.opacity_sigma[letters].max() < 0.1


def test_the_colour_comes_nearer_as_a_whole() -> None:
    fit = fit_pixel_opacity(crops(OPACITY * word()), predicted(1.0, colour=0.9), FRAMES)
    assert 0.91 < fit.colour.mean() < 1.02
    assert np.ptp(fit.colour, (1, 2)).max() < 1e-6


def test_over_one_scene_what_was_fitted_counts_for_more() -> None:
    marked, model = crops(OPACITY * word()), predicted(0.8, sigma=0.02)
    few, many = (np.abs(fit_pixel_opacity(marked, model, scenes).opacity - model.opacity).mean() for scenes in (1, FRAMES))
    assert few < 0.6 * many


def test_opaque_pixels_stay_opaque() -> None:
    model = replace(predicted(1.0), opacity=np.where(np.arange(SIZE[1]) < 40, 1, 0.3).astype(np.float32) * (word() > 0.3))
    fit = fit_pixel_opacity(crops(OPACITY * word()), model, FRAMES)
    assert (fit.opacity[model.opacity == 1] == 1).all()
    assert (fit.opacity[model.opacity == np.float32(0.3)] < 1).all()


def test_a_mark_of_no_pixel_stays_as_it_is() -> None:
    nothing = replace(predicted(1.0), mask=np.zeros(SIZE, np.float32))
    assert fit_pixel_opacity(crops(OPACITY * word()), nothing, FRAMES) is nothing
