"""How much a mark changes from frame to frame."""

import cv2
import numpy as np

from models.arrays import Bytes, Floats
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.animation import add_animation_sigma, opacity_variation
from service.pipeline.remove.mark_windows import ANIMATION_PIXELS
from tests.footage import pan, scene

HEIGHT, WIDTH, FRAMES, SMALL, LARGE = 64, 80, 24, 11, 15  # pixels, frames, radii of the disc
DISTANCE = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT // 2, WIDTH // 2])[:, None, None]))  # from the disc's centre
OUTLINE = (DISTANCE > SMALL + 1) & (DISTANCE < LARGE - 1)


def disc(radius: float, opacity: float = 0.8) -> Floats:
    return cv2.GaussianBlur((radius > DISTANCE).astype(np.float32) * opacity, (3, 3), 0)


def crops_of(scenes: list[Bytes], opacities: list[Floats]) -> Floats:
    """(N, 3, h, w): a white mark over the scenes."""
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - a) + a for s, a in zip(scenes, opacities, strict=True)])


def white_model(opacity: Floats) -> MarkModel:
    """A white mark of this opacity (h, w), with a small sigma."""
    white = np.ones((3, HEIGHT, WIDTH), np.float32)
    return MarkModel((opacity > 0.3).astype(np.float32), opacity, white, np.full_like(opacity, 0.02))


SMOOTH = [scene(i, WIDTH, HEIGHT) // 12 + np.uint8(70) for i in range(FRAMES)]  # a fill of the place comes near it
PULSING = [disc(SMALL if i % 4 else LARGE) for i in range(FRAMES)]


def test_a_pulsing_mark_gets_a_large_sigma_at_its_outline_only() -> None:
    model = white_model(np.mean(PULSING, 0))
    found = add_animation_sigma(crops_of(SMOOTH, PULSING), model)
    assert np.median(found.opacity_sigma[OUTLINE]) > 0.25  # 0.8 in a quarter of the frames deviates by 0.35
    assert found.opacity_sigma[DISTANCE < SMALL - 3].max() < 0.06
    assert np.array_equal(found.opacity, model.opacity)
    assert np.array_equal(found.mask, model.mask)


def test_pixels_that_only_some_frames_mark_get_a_large_sigma_beyond_the_outline() -> None:
    sigma = add_animation_sigma(crops_of(SMOOTH, PULSING), white_model(disc(SMALL))).opacity_sigma
    assert np.median(sigma[OUTLINE]) > 0.25
    assert sigma[DISTANCE > LARGE + ANIMATION_PIXELS + 2].max() < 0.06


def test_a_mark_that_does_not_change_keeps_its_sigma() -> None:
    """Neither a scene that moves behind it nor an error of its opacity counts as a change."""
    for scenes in (SMOOTH, pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)):
        model = white_model(disc(SMALL) * np.float32(0.95))
        found = add_animation_sigma(crops_of(scenes, [disc(SMALL)] * FRAMES), model)
        assert np.median(found.opacity_sigma[model.mask > 0]) < 0.03


def test_few_frames_show_no_variation() -> None:
    assert opacity_variation(crops_of(SMOOTH[:8], PULSING[:8]), white_model(disc(SMALL))).max() == 0
