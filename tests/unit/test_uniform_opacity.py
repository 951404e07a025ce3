"""A faint mark that was drawn at one opacity is taken for that; one with a texture of its own is not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.opacity import DENSE_LEVEL
from service.pipeline.measure.uniform_opacity import fit_level_by_contrast, fit_uniform_opacity
from tests.footage import pan, scene

Floats = NDArray[np.float32]

HEIGHT, WIDTH, FRAMES, LEVEL = 96, 160, 12, 0.35
COLOUR = np.float32([0.95, 0.9, 0.8])[:, None, None]
STROKES = np.zeros((HEIGHT, WIDTH), np.float32)
for left in range(24, WIDTH - 24, 24):
    STROKES[24:72, left : left + 8] = 1
SHAPE = cv2.GaussianBlur(STROKES, (3, 3), 0)
SEEN = (0.05 + 0.9 * (SHAPE > 0.1)).astype(np.float32)  # by the segmenter


ROUGH = pan(5, FRAMES, (3, 5), WIDTH, HEIGHT)
SMOOTH = [scene(i, WIDTH, HEIGHT) for i in range(FRAMES)]


def shown(opacity: Floats, pictures: list[NDArray[np.uint8]] = ROUGH) -> Floats:
    """(N, 3, h, w): the mark over a scene that moves."""
    scenes = np.stack(pictures).transpose(0, 3, 1, 2) / np.float32(255)
    return scenes * (1 - opacity) + opacity * COLOUR


def noise(seed: int, strength: float) -> Floats:
    grain = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5)
    return grain / grain.std() * np.float32(strength)


def believed(opacity: Floats, doubt: float = 0.03) -> MarkModel:
    """The head's answer; its colour errs where its opacity does, so that the mark is as bright as it is."""
    colour = np.clip(COLOUR + np.stack([noise(k, 0.02) for k in range(3)]), 0, 1).astype(np.float32)
    return MarkModel((SHAPE > 0.1).astype(np.float32), opacity, colour, np.full_like(opacity, doubt))


def error(model: MarkModel, truth: Floats) -> float:
    """In the strokes' middle."""
    return float(np.sqrt(np.square(model.opacity - truth)[SHAPE > 0.95].mean()))


def test_what_the_head_errs_in_each_pixel_is_evened_out() -> None:
    truth = SHAPE * np.float32(LEVEL)
    model = believed(truth * (1 + noise(7, 0.05)))
    even = fit_uniform_opacity(shown(truth), model, SEEN)
    assert error(even, truth) < 0.5 * error(model, truth)
    assert np.abs(even.colour - COLOUR)[:, model.mask > 0].max() < 0.03
    assert np.array_equal(even.mask, model.mask)
    assert np.array_equal(even.opacity_sigma, model.opacity_sigma)


def test_a_part_keeps_its_own_level() -> None:
    """A logo of one opacity, and far from it a word of another."""
    right = (np.arange(WIDTH) >= WIDTH // 2).astype(np.float32)
    shape = SHAPE.copy()
    shape[:, WIDTH // 2 - 16 : WIDTH // 2 + 16] = 0
    truth = (shape * (0.2 + 0.25 * right)).astype(np.float32)
    model = replace(believed(truth * (1 + noise(7, 0.04))), mask=(shape > 0.1).astype(np.float32))
    even = fit_uniform_opacity(shown(truth), model, SEEN)
    for half in (right == 0, right == 1):
        core = (shape > 0.95) & half
        assert np.ptp(even.opacity[core]) < 0.3 * np.ptp(model.opacity[core])
        assert abs(even.opacity[core].mean() - truth[core].mean()) < 0.01


def textured(grain: Floats) -> Floats:
    return (SHAPE * np.clip(LEVEL * grain, 0.05, DENSE_LEVEL)).astype(np.float32)


def test_what_has_a_coarse_texture_is_left_as_it_is() -> None:
    opacity = textured(1 + noise(3, 0.35))
    model = believed(opacity)
    assert fit_uniform_opacity(shown(opacity), model, SEEN) is model


def test_what_would_be_seen_in_the_scene_is_left_and_doubted() -> None:
    opacity = textured(np.where(np.indices((HEIGHT, WIDTH)).sum(0) % 6 < 3, np.float32(1.15), np.float32(0.85)))
    model = believed(opacity)
    found = fit_uniform_opacity(shown(opacity, SMOOTH), model, SEEN)
    assert np.array_equal(found.opacity, model.opacity)
    assert np.array_equal(found.colour, model.colour)
    assert (found.opacity_sigma[model.mask > 0] > model.opacity_sigma[model.mask > 0]).all()
    assert np.array_equal(found.opacity_sigma[model.mask == 0], model.opacity_sigma[model.mask == 0])


def test_a_dense_mark_is_left_as_it_is() -> None:
    opacity = SHAPE * np.float32(DENSE_LEVEL + 0.1)
    model = believed(opacity)
    assert fit_uniform_opacity(shown(opacity), model, SEEN) is model


@pytest.mark.parametrize(("off", "is_told"), [(1.6, True), (1.05, False), (0.55, False)])
def test_a_level_that_is_far_too_high_is_told_by_contrast(off: float, is_told: bool) -> None:
    """One that is right within a twentieth stays: the contrast errs by as much. Of one too low nothing strange is left to be seen."""
    truth = SHAPE * np.float32(LEVEL)
    model = believed(truth * np.float32(off))
    found = fit_level_by_contrast(shown(truth), model)
    if is_told:
        assert error(found, truth) < 0.3 * error(model, truth)
        assert np.abs(found.colour - COLOUR)[:, model.mask > 0].max() < 0.1
    else:
        assert found is model
