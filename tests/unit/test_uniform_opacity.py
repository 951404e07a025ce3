"""A translucent mark drawn at one opacity is measured as uniform; a textured one is not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Bytes, Floats
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.opaque import DENSE_LEVEL
from service.pipeline.measure.uniform_opacity import fit_level_by_contrast, fit_uniform_opacity
from tests.footage import pan, scene

HEIGHT, WIDTH, FRAMES, LEVEL = 96, 160, 12, 0.35
COLOUR = np.float32([0.95, 0.9, 0.8])[:, None, None]
STROKES = np.zeros((HEIGHT, WIDTH), np.float32)
for left in range(24, WIDTH - 24, 24):
    STROKES[24:72, left : left + 8] = 1
SHAPE = cv2.GaussianBlur(STROKES, (3, 3), 0)
PROBABILITY = (0.05 + 0.9 * (SHAPE > 0.1)).astype(np.float32)  # as the segmenter sees it


ROUGH = pan(5, FRAMES, (3, 5), WIDTH, HEIGHT)
SMOOTH = [scene(i, WIDTH, HEIGHT) for i in range(FRAMES)]


def crops_of(opacity: Floats, pictures: list[Bytes] = ROUGH) -> Floats:
    """(N, 3, h, w): the mark over a scene that moves."""
    scenes = np.stack(pictures).transpose(0, 3, 1, 2) / np.float32(255)
    return scenes * (1 - opacity) + opacity * COLOUR


def noise(seed: int, strength: float) -> Floats:
    grain = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5)
    return grain / grain.std() * np.float32(strength)


def predicted(opacity: Floats, sigma: float = 0.03) -> MarkModel:
    """A prediction with an error in each pixel's colour."""
    colour = np.clip(COLOUR + np.stack([noise(k, 0.02) for k in range(3)]), 0, 1).astype(np.float32)
    return MarkModel((SHAPE > 0.1).astype(np.float32), opacity, colour, np.full_like(opacity, sigma))


def error(model: MarkModel, truth: Floats) -> float:
    """Root mean square error of the opacity in the middle of the strokes."""
    return float(np.sqrt(np.square(model.opacity - truth)[SHAPE > 0.95].mean()))


def test_errors_of_single_pixels_are_averaged_out() -> None:
    truth = SHAPE * np.float32(LEVEL)
    model = predicted(truth * (1 + noise(7, 0.05)))
    uniform = fit_uniform_opacity(crops_of(truth), model, PROBABILITY)
    assert error(uniform, truth) < 0.5 * error(model, truth)
    assert np.abs(uniform.colour - COLOUR)[:, model.mask > 0].max() < 0.03
    assert np.array_equal(uniform.mask, model.mask)
    assert np.array_equal(uniform.opacity_sigma, model.opacity_sigma)


def test_a_part_keeps_its_own_level() -> None:
    """A logo of one opacity, and far from it a word of another."""
    right = (np.arange(WIDTH) >= WIDTH // 2).astype(np.float32)
    shape = SHAPE.copy()
    shape[:, WIDTH // 2 - 16 : WIDTH // 2 + 16] = 0
    truth = (shape * (0.2 + 0.25 * right)).astype(np.float32)
    model = replace(predicted(truth * (1 + noise(7, 0.04))), mask=(shape > 0.1).astype(np.float32))
    uniform = fit_uniform_opacity(crops_of(truth), model, PROBABILITY)
    for half in (right == 0, right == 1):
        core = (shape > 0.95) & half
        assert np.ptp(uniform.opacity[core]) < 0.3 * np.ptp(model.opacity[core])
        assert abs(uniform.opacity[core].mean() - truth[core].mean()) < 0.01


def textured(grain: Floats) -> Floats:
    return (SHAPE * np.clip(LEVEL * grain, 0.05, DENSE_LEVEL)).astype(np.float32)


def test_a_mark_with_a_coarse_texture_stays_as_it_is() -> None:
    opacity = textured(1 + noise(3, 0.35))
    model = predicted(opacity)
    assert fit_uniform_opacity(crops_of(opacity), model, PROBABILITY) is model


def test_a_mark_whose_texture_would_show_in_the_scene_stays_with_a_larger_sigma() -> None:
    opacity = textured(np.where(np.indices((HEIGHT, WIDTH)).sum(0) % 6 < 3, np.float32(1.15), np.float32(0.85)))
    model = predicted(opacity)
    found = fit_uniform_opacity(crops_of(opacity, SMOOTH), model, PROBABILITY)
    assert np.array_equal(found.opacity, model.opacity)
    assert np.array_equal(found.colour, model.colour)
    assert (found.opacity_sigma[model.mask > 0] > model.opacity_sigma[model.mask > 0]).all()
    assert np.array_equal(found.opacity_sigma[model.mask == 0], model.opacity_sigma[model.mask == 0])


def test_a_dense_mark_stays_as_it_is() -> None:
    opacity = SHAPE * np.float32(DENSE_LEVEL + 0.1)
    model = predicted(opacity)
    assert fit_uniform_opacity(crops_of(opacity), model, PROBABILITY) is model


@pytest.mark.parametrize(("factor", "corrected"), [(1.6, True), (1.05, False), (0.55, False)])
def test_a_level_that_is_far_too_high_is_corrected_by_contrast(factor: float, corrected: bool) -> None:
    """A level off by a twentieth stays, as the contrast errs by as much; so does one too low, which leaves no extra detail."""
    truth = SHAPE * np.float32(LEVEL)
    model = predicted(truth * np.float32(factor))
    found = fit_level_by_contrast(crops_of(truth), model)
    if corrected:
        assert error(found, truth) < 0.3 * error(model, truth)
        assert np.abs(found.colour - COLOUR)[:, model.mask > 0].max() < 0.1
    else:
        assert found is model
