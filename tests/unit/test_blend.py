"""The opacity level and the colour of a mark, fitted from its shape and its crops."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.blend import (
    COLOUR_RIDGE,
    DETAIL_NOISE,
    ITERATIONS,
    SCALE_RANGE,
    Blend,
    detail_pixels,
    fit_blend,
    local_mean,
    local_scene,
    neighbourhood,
)
from tests.footage import texture

Floats = NDArray[np.float32]

WIDTH, HEIGHT, FRAMES = 160, 72, 8
COLOUR = np.array([0.95, 0.8, 0.3], np.float32)


def shape() -> Floats:
    """(HEIGHT, WIDTH) in [0, 1]: a word with soft edges."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(drawn, "mark", (18, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4, cv2.LINE_AA)
    return (drawn / 255).astype(np.float32)


def scenes(kind: str, seed: int) -> Floats:
    """(N, 3, HEIGHT, WIDTH) clean crops: a pan, different scenes, or a static scene with camera noise."""
    width, height = WIDTH + 5 * FRAMES, HEIGHT + FRAMES
    whole = [
        0.9 * texture(1000 * seed + i, width, height, 12) + 0.1 * texture(1000 * seed + 500 + i, width, height, 1.5) for i in range(FRAMES)
    ]
    if kind == "moving":
        crops = np.stack([whole[0][i : i + HEIGHT, 5 * i : 5 * i + WIDTH] for i in range(FRAMES)])
    elif kind == "cuts":
        crops = np.stack(whole)[:, :HEIGHT, :WIDTH]
    else:
        noise = np.random.default_rng(seed).normal(0, 0.01, (FRAMES, HEIGHT, WIDTH, 3))
        crops = whole[0][:HEIGHT, :WIDTH] + noise
    return crops.transpose(0, 3, 1, 2).astype(np.float32)


def flat(colour: Floats) -> Floats:
    """The colour everywhere, (3, HEIGHT, WIDTH)."""
    return np.broadcast_to(colour[:, None, None], (3, HEIGHT, WIDTH)).astype(np.float32)


def marked(scene: Floats, level: float) -> Floats:
    """The scenes with the mark, rounded to 8 bits."""
    opacity = level * shape()
    return (np.rint(255 * ((1 - opacity) * scene + opacity * flat(COLOUR))) / 255).astype(np.float32)


@pytest.mark.parametrize("kind", ["moving", "cuts", "still"])
@pytest.mark.parametrize(("level", "assumed"), [(0.2, 0.4), (0.35, 0.6), (0.5, 0.3)])
def test_level_and_colour_are_corrected(kind: str, level: float, assumed: float) -> None:
    for seed in range(3):
        blend = fit_blend(marked(scenes(kind, seed), level), assumed * shape(), flat(COLOUR - np.float32(0.15)))
        assert assumed * blend.scale == pytest.approx(level, abs=0.025)
        np.testing.assert_allclose(blend.shift, 0.15, atol=0.05)


def test_the_error_bounds_the_level_and_shrinks_with_more_crops() -> None:
    """The level is within three standard deviations."""
    for seed in range(6):
        crops = marked(scenes("moving", seed), 0.5)
        many, few = (fit_blend(crops[:count], 0.5 * shape(), flat(COLOUR)) for count in (FRAMES, 2))
        assert abs(many.scale - 1) < 3 * many.error < 0.3
        assert many.error < few.error


@pytest.mark.parametrize("level", [0.3, 0.6, 0.75])
def test_a_correct_model_is_kept_and_its_scene_is_restored(level: float) -> None:
    clean, opacity = scenes("moving", 1), (level * shape()).astype(np.float32)
    crops = marked(clean, level)
    blend = fit_blend(crops, opacity, flat(COLOUR))
    assert blend.scale == pytest.approx(1, abs=0.03)
    assert np.abs(blend.shift).max() < 0.03
    unblended, around = local_scene(crops, opacity, flat(COLOUR), detail_pixels(opacity))
    np.testing.assert_allclose(unblended, clean, atol=0.01)
    np.testing.assert_allclose(around, np.stack([[cv2.blur(c, (detail_pixels(opacity),) * 2) for c in crop] for crop in clean]), atol=0.01)


def test_half_the_shape_is_twice_the_scale() -> None:
    crops = marked(scenes("moving", 2), 0.4)
    whole, half = (fit_blend(crops, share * shape(), flat(COLOUR), start=1 / share) for share in (np.float32(1), np.float32(0.5)))
    assert half.scale == pytest.approx(2 * whole.scale, rel=1e-3)
    np.testing.assert_allclose(half.shift, whole.shift, atol=1e-3)


@pytest.mark.parametrize("kind", ["moving", "cuts", "still"])
def test_without_a_mark_the_level_is_near_zero(kind: str) -> None:
    for seed in range(3):
        blend = fit_blend(scenes(kind, seed), 0.5 * shape(), flat(COLOUR))
        assert SCALE_RANGE[0] <= blend.scale < 0.2
        assert np.abs(blend.shift).max() <= 1
        assert 0 <= blend.error <= 1


@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_results_stay_finite_where_a_flat_scene_leaves_them_undetermined(shade: float) -> None:
    """A flat scene, also of the mark's own colour, and no mark at all."""
    crops = np.full((3, 3, HEIGHT, WIDTH), shade, np.float32)
    opacity = (0.5 * shape()).astype(np.float32)
    for seen in (crops, (1 - opacity) * crops + opacity):
        blend = fit_blend(seen, opacity, flat(np.ones(3, np.float32)))
        assert SCALE_RANGE[0] <= blend.scale <= SCALE_RANGE[1]
        assert np.isfinite(blend.shift).all()
        assert 0 <= blend.error <= 1
    nothing = fit_blend(crops, np.zeros_like(opacity), flat(COLOUR))
    assert (nothing.scale, nothing.error, nothing.shift.any()) == (1.0, 1.0, False)
    assert COLOUR_RIDGE < 0.05  # it decides here, and must be small against the evidence of textured scenes


def test_detail_is_wider_than_the_strokes() -> None:
    widths = []
    for stroke in (3, 6, 12, 30):
        bar = np.zeros((80, 80), np.float32)
        bar[10:70, 20 : 20 + stroke] = 0.4
        widths.append(detail_pixels(bar))
    assert widths == sorted(widths)
    assert all(width % 2 == 1 and 7 <= width <= 25 for width in widths)


@pytest.mark.parametrize("kind", ["moving", "still"])
def test_it_is_the_weighted_regression_of_detail_on_the_effects_detail(kind: str) -> None:
    crops, opacity, colour = marked(scenes(kind, 7), 0.35), 0.5 * shape(), flat(COLOUR - np.float32(0.1))
    by_definition = Blend(1.0, np.zeros(3, np.float32), 1.0)
    for _ in range(ITERATIONS):
        by_definition = regressed(crops, opacity, colour, by_definition)
    fit = fit_blend(crops, opacity, colour)
    assert fit.scale == pytest.approx(by_definition.scale, abs=1e-4)
    np.testing.assert_allclose(fit.shift, by_definition.shift, atol=1e-4)


def regressed(crops: Floats, opacity: Floats, colour: Floats, previous: Blend) -> Blend:
    """One regression, by least squares over all pixels of all crops at once."""
    width = detail_pixels(opacity)
    shade, area = np.clip(colour + previous.shift[:, None, None], 0, 1), neighbourhood(opacity, width)
    assert area is not None
    unblended, scene = local_scene(crops, np.minimum(previous.scale * opacity, 1), shade, width)
    weight = np.sqrt(area / (local_mean(np.square(unblended - scene).mean(1), width) + DETAIL_NOISE))[:, None]
    effect = opacity * (shade - scene)
    wanted, of_factor, of_shift = (values - local_mean(values, width) for values in (crops, effect, opacity))
    columns = [of_factor, *(of_shift * np.eye(3, dtype=np.float32)[channel][None, :, None, None] for channel in range(3))]
    design = np.stack([np.ravel(weight * np.broadcast_to(column, crops.shape)).astype(np.float64) for column in columns], 1)
    normal = design.T @ design + 1e-9 * np.eye(4)
    normal[[1, 2, 3], [1, 2, 3]] += COLOUR_RIDGE * (np.diag(normal)[1:] - 1e-9)
    solution = np.linalg.solve(normal, design.T @ np.ravel(weight * wanted))
    scale = float(np.clip(solution[0], *SCALE_RANGE))
    return Blend(scale, np.clip(previous.shift + solution[1:] / scale, -1, 1).astype(np.float32), 1.0)
