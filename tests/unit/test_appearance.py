"""Another mark in the same place is told from the same one over another scene."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.pipeline.marks.appearance import Appearance, appearance, is_another
from tests.footage import texture

HEIGHT, WIDTH = 60, 120
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def word(seed: int) -> NDArray[np.bool_]:
    """Strokes of random letters, (60, 120)."""
    strokes = np.kron(np.random.default_rng(seed).random((5, 16)) > 0.5, np.ones((4, 4))) > 0
    mask = NOTHING.copy()
    mask[20:40, 28:92] = strokes
    return mask


def seen(mark: NDArray[np.bool_], scene: int, opacity: float, contrast: float) -> Appearance:
    """A white mark of this opacity over a scene; the outline that is detected is that of any word, a box."""
    grey = 0.4 + contrast * (texture(scene, WIDTH, HEIGHT) - 0.35)
    a = opacity * mark[..., None]
    outline = NOTHING.copy()
    outline[20:40, 28:92] = True
    return appearance(np.rint(255 * ((1 - a) * grey + a)).astype(np.uint8), outline, outline)


@given(st.integers(0, 99), st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_the_same_mark_is_not_another_over_whatever_scene(seed: int, opacity: float, contrast: float) -> None:
    assert not is_another(seen(word(seed), seed, opacity, contrast), seen(word(seed), seed + 100, opacity, contrast))


@given(st.integers(0, 99), st.integers(100, 199))
def test_another_word_is_another_where_its_letters_are_clear(seed: int, other: int) -> None:
    assert is_another(seen(word(seed), seed, 0.9, 0.1), seen(word(other), seed, 0.9, 0.1))


def test_where_the_scene_is_as_busy_as_the_mark_nothing_is_known() -> None:
    assert not is_another(seen(word(1), 1, 0.05, 1.0), seen(word(2), 2, 0.05, 1.0))


@pytest.mark.parametrize("gone", [True, False])
def test_a_place_far_away_is_not_compared(gone: bool) -> None:
    small = NOTHING.copy()
    small[2:6, 2:6] = True
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    elsewhere = appearance(picture, np.roll(small, 110 if gone else 0, 1), small)
    assert not is_another(appearance(picture, small, small), elsewhere)
