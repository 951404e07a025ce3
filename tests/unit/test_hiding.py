"""Whether a part of a mark hides the scene: the network's answer, and how the mark follows a scene that changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats
from service.pipeline.marks.mark_model import PredictedMark
from service.pipeline.measure.hiding import Scenes, hiding_probability, is_sure, likelihood_ratio, predicted_hiding
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE
from service.pipeline.measure.opacity import fit_opacity

HEIGHT, WIDTH, FRAMES = 48, 64, 12
MARK = np.zeros((HEIGHT, WIDTH), bool)
MARK[18:30, 20:44] = True
COLOUR = np.array([0.9, 0.2, 0.4], np.float32)[:, None, None]


def marked_crops(opacity: float, change: float = 0.25, seed: int = 0) -> Floats:
    """Crops of an even mark over a smooth scene, whose shade changes by this standard deviation, with a codec's noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-0.1, 0.1, WIDTH)
    shades = 0.5 + change * rng.standard_normal((FRAMES, 3, 1, 1))
    scenes = np.clip(np.broadcast_to(shades + slope, (FRAMES, 3, HEIGHT, WIDTH)), 0, 1)
    share = opacity * MARK
    noise = DIFFERENCE_CODEC_NOISE * rng.standard_normal(scenes.shape)
    return np.clip((1 - share) * scenes + share * COLOUR + noise, 0, 1).astype(np.float32)


def predicted(opacity: float, hides: float) -> PredictedMark:
    mask = MARK.astype(np.float32)
    colour = np.broadcast_to(COLOUR, (3, HEIGHT, WIDTH)).astype(np.float32)
    return PredictedMark(mask, np.float32(opacity) * mask, colour, np.full_like(mask, 0.05), np.float32(hides) * mask)


def ratio(crops: Floats) -> float:
    return likelihood_ratio(Scenes.behind(crops, MARK), MARK)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 0.5, 0.7, 0.8]))
def test_what_follows_a_scene_that_changes_is_translucent_and_what_does_not_is_opaque(seed: int, opacity: float) -> None:
    assert ratio(marked_crops(opacity, seed=seed)) < 1e-3
    assert ratio(marked_crops(1.0, seed=seed)) > 1e3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 0.7, 1.0]))
def test_over_a_scene_that_stands_still_the_network_decides(seed: int, opacity: float) -> None:
    assert ratio(marked_crops(opacity, change=0, seed=seed)) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.4, 0.7]))
def test_a_fill_that_knows_little_of_the_scene_makes_nothing_opaque(seed: int, opacity: float) -> None:
    """Squares of the scene change each by itself, so the fill's changes are as large as its errors, and hardly those behind the mark."""
    rng = np.random.default_rng(seed)
    squares = rng.uniform(0.2, 0.8, (FRAMES, 3, HEIGHT // 4, WIDTH // 4))
    scenes = squares.repeat(4, axis=2).repeat(4, axis=3)
    share = opacity * MARK
    crops = ((1 - share) * scenes + share * COLOUR).astype(np.float32)
    assert ratio(crops) < 2


def test_one_crop_says_nothing() -> None:
    assert ratio(marked_crops(0.5)[:1]) == 1


@pytest.mark.parametrize(("opacity", "hides"), [(0.7, 0.9), (1.0, 0.1)])
def test_the_scenes_correct_a_network_that_is_not_sure(opacity: float, hides: float) -> None:
    crops, seen = marked_crops(opacity), predicted(0.8, hides)
    assert predicted_hiding(seen, MARK) == pytest.approx(hides)
    assert (hiding_probability(hides, Scenes.behind(crops, MARK), seen, MARK) > 0.5) == (opacity == 1)
    fit = fit_opacity(crops, seen)
    assert bool(fit.opaque[MARK].all()) == bool(fit.opaque.any()) == (opacity == 1)


@pytest.mark.parametrize("hides", [0.0, 0.01, 0.99, 1.0])
def test_a_network_that_is_sure_is_believed(hides: float) -> None:
    assert is_sure(hides)
    crops = marked_crops(0.7 if hides > 0.5 else 0.95)  # the scenes say the opposite
    assert bool(fit_opacity(crops, predicted(0.8, hides)).opaque.any()) == (hides > 0.5)
