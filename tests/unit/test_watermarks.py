"""Synthetic marks: each kind keeps its promises, on any canvas."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.footage import scene
from tests.material import small_vocabulary
from training.watermarks import KINDS, Mark, Patch, apply, draw, placed

WIDTH, HEIGHT, FRAMES = 320, 180, 170
VOCABULARY = small_vocabulary()


def drawn(kind: str, seed: int = 1, frames: int = FRAMES) -> Mark:
    return draw(kind, np.random.default_rng(seed), WIDTH, HEIGHT, frames, VOCABULARY)


def patches(mark: Mark) -> list[Patch]:
    """The different ones."""
    return list({id(patch): patch for patch in mark.patches if patch is not None}.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (96, 64), (641, 361)])
def test_alpha_and_colour_are_in_range_and_the_mark_is_seen(kind: str, size: tuple[int, int]) -> None:
    for seed in range(3):
        mark = draw(kind, np.random.default_rng(seed), *size, 40, VOCABULARY)
        assert (mark.kind, len(mark.patches)) == (kind, 40)
        shown = 0.0
        for patch in patches(mark):
            assert patch.colour.shape == (*patch.alpha.shape, 3)
            assert patch.alpha.dtype == patch.colour.dtype == np.float32
            assert 0 <= patch.alpha.min() <= patch.alpha.max() <= 1.0001
            assert 0 <= patch.colour.min() <= patch.colour.max() <= 1.0001
            shown = max(shown, float(placed(patch, size[1], size[0], 0, 0)[0].max()))
        assert shown > 0.01 or kind in ("fading", "scene_text")  # these may be elsewhere or not yet there


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_mark(kind: str) -> None:
    for one, other in zip(drawn(kind, 5).patches, drawn(kind, 5).patches, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.left, one.top) == (other.left, other.top)
            np.testing.assert_array_equal(one.alpha, other.alpha)
            np.testing.assert_array_equal(one.colour, other.colour)


def test_a_moving_mark_jumps_between_three_spots_and_is_away_for_a_frame() -> None:
    mark = drawn("moving", frames=260)
    spots = {(p.left < WIDTH / 2, round(p.top / HEIGHT * 5)) for p in mark.patches if p is not None}
    assert len(spots) == 3
    gone = [i for i, p in enumerate(mark.patches) if p is None]
    assert 2 <= len(gone) <= 5
    assert all(b - a >= 60 for a, b in pairwise(gone))


@pytest.mark.parametrize("kind", ["corner", "faint", "tiled", "badge"])
def test_a_static_mark_is_one_patch(kind: str) -> None:
    assert len(patches(drawn(kind))) == 1


def test_a_faint_mark_is_faint_and_a_corner_logo_is_opaque_at_the_top_right() -> None:
    (faint,), (corner,) = patches(drawn("faint")), patches(drawn("corner"))
    assert 0.25 < faint.alpha.max() < 0.45
    assert corner.alpha.max() > 0.95
    assert corner.left > WIDTH / 2
    assert corner.top < HEIGHT / 3


def test_a_tiling_covers_every_quarter() -> None:
    (tiled,) = patches(drawn("tiled"))
    alpha, _ = placed(tiled, HEIGHT, WIDTH, 0, 0)
    half_y, half_x = HEIGHT // 2, WIDTH // 2
    assert all(
        part.max() > 0.3 for part in (alpha[:half_y, :half_x], alpha[:half_y, half_x:], alpha[half_y:, :half_x], alpha[half_y:, half_x:])
    )


@pytest.mark.parametrize("kind", ["subtitle", "subtitle_chinese"])
def test_subtitles_lie_at_the_bottom_and_change(kind: str) -> None:
    lines = patches(drawn(kind))
    assert len(lines) >= 2
    assert all(line.top > HEIGHT / 2 and line.alpha.max() > 0.95 for line in lines)


def test_scene_text_drifts() -> None:
    places = {(p.left, p.top) for p in drawn("scene_text").patches if p is not None}
    assert len(places) > 10


@settings(max_examples=30, deadline=None)
@given(st.integers(-60, 130), st.integers(-40, 100), st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60))
def test_a_window_shows_what_the_whole_picture_shows_there(left: int, top: int, window_top: int, window_left: int, h: int, w: int) -> None:
    rng = np.random.default_rng(1)
    patch = Patch(left, top, rng.random((20, 30)).astype(np.float32), rng.random((20, 30, 3)).astype(np.float32))
    whole_alpha, whole_colour = placed(patch, 100, 100, 0, 0)
    alpha, colour = placed(patch, h, w, window_top, window_left)
    window = slice(window_top, window_top + h), slice(window_left, window_left + w)
    np.testing.assert_array_equal(alpha, whole_alpha[window])
    np.testing.assert_array_equal(colour, whole_colour[window])


def test_applying_a_patch_blends_inside_and_touches_nothing_else() -> None:
    picture = scene(0, 80, 60)
    patch = Patch(70, 50, np.full((20, 20), 0.5, np.float32), np.ones((20, 20, 3), np.float32))
    before = picture.copy()
    marked = apply(picture, patch)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(marked[50:, 70:], np.rint(0.5 * picture[50:, 70:] + 127.5).astype(np.uint8))
    marked[50:, 70:] = picture[50:, 70:]
    np.testing.assert_array_equal(marked, picture)
    assert apply(picture, None) is picture
    np.testing.assert_array_equal(apply(picture, Patch(200, 0, patch.alpha, patch.colour)), picture)
