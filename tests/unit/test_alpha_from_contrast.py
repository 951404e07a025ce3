"""Alpha from contrast: the level of a uniform mark, from the contrast on both sides of its outline."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import Floats
from service.pipeline.measure.alpha_from_contrast import level_from_contrast, level_from_thin_strokes, neighbour_slices
from tests.footage import texture

HEIGHT, WIDTH, FRAMES = 160, 320, 8
STROKES = np.zeros((HEIGHT, WIDTH), bool)
for left in range(24, WIDTH - 24, 24):
    STROKES[24:136, left : left + 9] = True
COLOUR = np.array([0.95, 0.9, 0.5], np.float32)


def scenes(blur_pixels: float = 6) -> Floats:
    """(N, 3, h, w), each unlike the others."""
    return np.stack([texture(k, WIDTH, HEIGHT, blur_pixels) for k in range(FRAMES)]).transpose(0, 3, 1, 2)


def marked(opacity: float, blur_pixels: float = 6, noise: float = 0) -> Floats:
    a = opacity * STROKES.astype(np.float32)
    shown = scenes(blur_pixels) * (1 - a) + a * COLOUR[:, None, None]
    noisy: Floats = (shown + noise * np.random.default_rng(1).standard_normal(shown.shape)).astype(np.float32)
    return noisy


@pytest.mark.parametrize("opacity", [0.2, 0.35, 0.5])
@pytest.mark.parametrize("blur_pixels", [2.5, 6, 12])
def test_opacity_and_colour_are_found_over_rough_and_smooth_scenes(opacity: float, blur_pixels: float) -> None:
    level = level_from_contrast(marked(opacity, blur_pixels), STROKES)
    assert level is not None
    assert abs(level.opacity - opacity) < 0.04
    assert np.abs(level.colour - COLOUR).max() < 0.08


@pytest.mark.parametrize("opacity", [0.2, 0.35, 0.5])
def test_thin_strokes_give_the_level_by_their_shape(opacity: float) -> None:
    """Two pixels wide and blurred, so that most of the mark has only a part of the level."""
    thin = np.zeros((HEIGHT, WIDTH), np.float32)
    for left in range(24, WIDTH - 24, 16):
        thin[24:136, left : left + 2] = 1
    shape = cv2.GaussianBlur(thin, (0, 0), 0.6)
    a = opacity * shape
    crops = (scenes() * (1 - a) + a * COLOUR[:, None, None]).astype(np.float32)
    assert level_from_contrast(crops, thin > 0) is None
    level = level_from_thin_strokes(crops, shape, shape > 0.02)
    assert level is not None
    assert abs(level.opacity - opacity) < 0.04
    assert np.abs(level.colour - COLOUR).max() < 0.08


def test_both_regressions_over_the_same_pairs_are_less_exact() -> None:
    """Each of the two regressions attributes all error to one side; the ratio of the standard deviations does not."""
    crops, opacity = marked(0.35, 3), 0.35
    level = level_from_contrast(crops, STROKES)
    rows = np.arange(40, 120)
    inside, beside = (crops[:, :, rows][..., [left + 4 + off for left in range(48, WIDTH - 48, 24)]].ravel() for off in (0, -9))
    covariance = np.cov(inside, beside)
    one_way, other_way = 1 - covariance[0, 1] / covariance[1, 1], 1 - covariance[0, 0] / covariance[0, 1]
    assert level is not None
    assert abs(level.opacity - opacity) < 0.5 * min(abs(one_way - opacity), abs(other_way - opacity))


def test_codec_noise_is_subtracted() -> None:
    level = level_from_contrast(marked(0.4, noise=0.006), STROKES)
    assert level is not None
    assert abs(level.opacity - 0.4) < 0.04


def test_a_small_mark_has_no_solution() -> None:
    speck = np.zeros_like(STROKES)
    speck[40:48, 40:48] = True
    assert level_from_contrast(marked(0.4), speck) is None


def test_a_mark_that_removes_no_contrast_has_no_solution() -> None:
    assert level_from_contrast(np.full((4, 3, HEIGHT, WIDTH), 0.3, np.float32), STROKES) is None
    bolder = scenes() * (1 + STROKES)
    assert level_from_contrast(np.clip(bolder, 0, 1).astype(np.float32), STROKES) is None


@given(st.integers(5, 9), st.integers(5, 9), st.integers(-5, 5), st.integers(-5, 5))
def test_neighbours_are_at_the_offset(height: int, width: int, dy: int, dx: int) -> None:
    rows, columns = np.indices((height, width))
    here, there = neighbour_slices((height, width), (dy, dx))
    assert rows[here].shape == rows[there].shape
    assert rows[here].size == max(0, height - abs(dy)) * max(0, width - abs(dx))
    assert np.array_equal(rows[here] + dy, rows[there])
    assert np.array_equal(columns[here] + dx, columns[there])
