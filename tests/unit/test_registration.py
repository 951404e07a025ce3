"""A mark's detail is found in a crop to a fraction of a pixel, or not at all."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats
from service.pipeline.marks.registration import fine_detail, match_detail, moved
from tests.footage import texture

REACH, WIDTH = 4, 7
SIZE = 40, 72


def word() -> Floats:
    """(h, w) in [0, 1]: letters in the middle."""
    letters = np.zeros(SIZE, np.uint8)
    cv2.putText(letters, "Word", (8, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    return letters.astype(np.float32) / 255


def scene(seed: int) -> Floats:
    """(3, h, w) with room for the word to move."""
    return texture(seed, SIZE[1] + 2 * REACH, SIZE[0] + 2 * REACH).transpose(2, 0, 1)


def marked(seed: int, dy: float, dx: float) -> Floats:
    """The scene under the half-transparent white word, which lies that far from the middle."""
    coverage = 0.5 * moved(np.pad(word(), REACH), -dy, -dx, cv2.INTER_LINEAR)
    return scene(seed) + coverage * (1 - scene(seed))


@settings(max_examples=30, deadline=None)
@given(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5), st.integers(0, 5))
def test_a_word_is_found_to_a_fraction_of_a_pixel(dy: float, dx: float, seed: int) -> None:
    template = fine_detail(0.3 * np.stack([word()] * 3), WIDTH)
    match = match_detail(fine_detail(marked(seed, dy, dx), WIDTH), template)
    assert max(abs(match.dy - dy), abs(match.dx - dx)) < 0.3
    assert 0.5 < match.strength < 2
    assert match.sigma < 0.4


def test_a_scene_without_the_word_is_no_place_for_it() -> None:
    template = fine_detail(0.3 * np.stack([word()] * 3), WIDTH)
    seen, bare = (match_detail(fine_detail(crop, WIDTH), template) for crop in (marked(1, 0, 0), scene(1)))
    assert bare.sigma > 5 * seen.sigma
    assert bare.strength < 0.3 * seen.strength


def test_nothing_matches_a_template_of_nothing() -> None:
    assert match_detail(fine_detail(scene(1), WIDTH), np.zeros((3, *SIZE), np.float32)).sigma == np.inf


@pytest.mark.parametrize(("dy", "dx"), [(1, 0), (0, -2), (0, 0)])
def test_planes_move_by_whole_pixels_exactly(dy: int, dx: int) -> None:
    planes = scene(2)
    np.testing.assert_allclose(moved(planes, dy, dx)[:, 4:-4, 4:-4], np.roll(planes, (-dy, -dx), (1, 2))[:, 4:-4, 4:-4], atol=1e-6)
