"""The level and the colours of a mark, from its predicted shape and its crops."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.pipeline.measure.level import colour_shares, fit_level
from tests.footage import texture

Floats = NDArray[np.float32]

HEIGHT, WIDTH, FRAMES = 72, 160, 6
WHITE, DARK = np.array([0.95, 0.95, 0.9], np.float32), np.array([0.1, 0.1, 0.15], np.float32)


def word(outline_pixels: int = 0) -> Floats:
    """The coverage (HEIGHT, WIDTH) in [0, 1] of a word with soft edges, grown by an outline."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(drawn, "mark", (18, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4, cv2.LINE_AA)
    side = 2 * outline_pixels + 1
    return (cv2.dilate(drawn, np.ones((side, side), np.uint8)) / 255).astype(np.float32)


def painted(*layers: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Coverage (HEIGHT, WIDTH) and colour (3, HEIGHT, WIDTH) of layers of one colour each, the later over the earlier."""
    coverage, colour = np.zeros((HEIGHT, WIDTH), np.float32), np.zeros((3, HEIGHT, WIDTH), np.float32)
    for shape, shade in layers:
        colour = (1 - shape) * colour + shape * shade[:, None, None]
        coverage = np.maximum(coverage, shape)
    return coverage, np.where(coverage > 0, colour / np.maximum(coverage, 1e-3), colour).clip(0, 1).astype(np.float32)


def scene(detail: float, moves: bool) -> Floats:
    """Clean crops (FRAMES, 3, HEIGHT, WIDTH): grey with that much texture, which moves or only has a camera's noise."""
    whole = 0.45 + detail * (texture(5, WIDTH + 8 * FRAMES, HEIGHT, 6) - 0.5)
    crops = np.stack([whole[:, (8 * i if moves else 0) :][:, :WIDTH] for i in range(FRAMES)])
    noise = np.random.default_rng(1).normal(0, 0.004, crops.shape)
    return (crops + noise).transpose(0, 3, 1, 2).clip(0, 1).astype(np.float32)


def marked(clean: Floats, opacity: Floats, colour: Floats) -> Floats:
    """The crops with the mark, rounded to 8 bits."""
    return (np.rint(255 * ((1 - opacity) * clean + opacity * colour)) / 255).astype(np.float32)


def error(clean: Floats, crops: Floats, opacity: Floats, colour: Floats) -> float:
    """Root mean square error of the crops un-blended with this opacity and colour, in the mark."""
    unblended = (crops - opacity * colour) / (1 - opacity)
    return float(np.sqrt(np.square(unblended - clean)[:, :, opacity > 0.05].mean()))


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_the_level_is_found_over_a_textured_scene(moves: bool, factor: float) -> None:
    clean, (shape, colour) = scene(0.8, moves), painted((word(), WHITE))
    crops = marked(clean, 0.4 * shape, colour)
    fit = fit_level(crops, 0.4 / factor * shape, (colour - 0.1).clip(0, 1))
    assert fit.factor == pytest.approx(factor, rel=0.12)
    assert 0 < fit.error < 0.3


@pytest.mark.parametrize("detail", [0.0, 0.02])
def test_over_a_scene_of_one_shade_the_prediction_decides_and_the_mark_still_vanishes(detail: float) -> None:
    """There, half of the opacity with twice the contrast explains the crops as well, but no colour is that bright."""
    clean, (shape, colour) = scene(detail, moves=False), painted((word(), WHITE))
    opacity = 0.55 * shape
    crops = marked(clean, opacity, colour)
    fit = fit_level(crops, 0.9 * opacity, (colour - 0.05).clip(0, 1))
    assert 0.8 < fit.factor < 1.35
    shifted = (colour - 0.05).clip(0, 1) + fit.shift
    assert float((shifted * shape).sum() / (3 * shape.sum())) <= 1.001
    fitted = np.minimum(0.9 * fit.factor * opacity, 0.95).astype(np.float32)
    assert error(clean, crops, fitted, shifted.clip(0, 1).astype(np.float32)) < 0.02


def test_letters_and_their_outline_are_shifted_on_their_own() -> None:
    """The letters were predicted too dark and the outline too bright, which no common shift can mend."""
    clean, (shape, colour) = scene(0.5, moves=True), painted((word(3), DARK), (word(), WHITE))
    opacity, letters = 0.45 * shape, word()
    crops = marked(clean, opacity, colour)
    wrong = (colour + 0.15 * (1 - 2 * letters)).clip(0, 1).astype(np.float32)
    fit = fit_level(crops, opacity, wrong)
    before, after = error(clean, crops, opacity, wrong), error(clean, crops, fit.factor * opacity, (wrong + fit.shift).clip(0, 1))
    assert after < 0.5 * before
    assert fit.shift[:, letters > 0.9].mean() > 0.05
    assert fit.shift[:, (shape > 0.9) & (letters < 0.05)].mean() < -0.05


def test_more_frames_of_a_still_scene_say_no_more() -> None:
    shape, colour = painted((word(), WHITE))
    for moves in (True, False):
        crops = marked(scene(0.8, moves), 0.4 * shape, colour)
        if not moves:
            crops = np.repeat(crops[:1], FRAMES, 0)
        one, all_frames = (fit_level(some, 0.4 * shape, colour).error for some in (crops[:1], crops))
        assert (all_frames < 0.8 * one) == moves


def test_a_single_pixel_has_one_colour() -> None:
    opacity = np.zeros((HEIGHT, WIDTH), np.float32)
    opacity[5, 7] = 0.4
    colour = np.full((3, HEIGHT, WIDTH), 0.9, np.float32)
    np.testing.assert_array_equal(colour_shares(opacity, colour), np.ones((1, HEIGHT, WIDTH)))
    assert np.isfinite(fit_level(marked(scene(0.5, moves=True), opacity, colour), opacity, colour).shift).all()


@settings(max_examples=25, deadline=None)
@given(first=st.tuples(*[st.floats(0, 1)] * 3), second=st.tuples(*[st.floats(0, 1)] * 3), level=st.floats(0.05, 0.95), flat=st.booleans())
def test_shares_sum_to_one_and_every_result_is_finite(
    first: tuple[float, ...], second: tuple[float, ...], level: float, flat: bool
) -> None:
    shape, colour = painted((word(3), np.array(first, np.float32)), (word(), np.array(second, np.float32)))
    shares = colour_shares(shape, colour)
    assert len(shares) <= 2
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    if np.abs(np.subtract(first, second)).mean() < 0.2:
        assert len(shares) == 1
    clean = np.full((2, 3, HEIGHT, WIDTH), 0.5, np.float32) if flat else scene(0.5, moves=True)[:2]
    fit = fit_level(marked(clean, level * shape, colour), level * shape, colour)
    assert np.isfinite(fit.shift).all()
    assert 0 <= fit.error <= 1


def test_without_a_mark_nothing_changes() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    fit = fit_level(scene(0.5, moves=True), nothing, np.zeros((3, HEIGHT, WIDTH), np.float32))
    assert (fit.factor, fit.error, fit.shift.any()) == (1.0, 1.0, False)
