"""The shift of a piece of the scene between frames, and the choice of reference frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats, Mask
from models.references import (
    FAR_FRAMES,
    NEAR_FRAMES,
    OFFSETS,
    REACH_FRAMES,
    REFERENCES,
    Reference,
    choose,
    shift_between,
    shrunk,
)
from tests.footage import texture

HEIGHT, WIDTH = 96, 128
TARGET = 40


def grey(seed: int, top: int = 0, left: int = 0) -> Floats:
    """A window on a random texture, at full size; (0, 0) is in its middle."""
    whole = texture(seed, WIDTH + 80, HEIGHT + 80, 3).mean(2)
    return whole[40 + top : 40 + top + HEIGHT, 40 + left : 40 + left + WIDTH]


def everywhere(one: Floats) -> Floats:
    """All of it shows the scene."""
    return np.ones_like(one)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(-28, 28), st.integers(-28, 28))
def test_shifts_are_found_to_a_pixel(seed: int, dy: int, dx: int) -> None:
    """Motion is measured at half the size, where an odd shift is a fraction of a pixel."""
    one, other = shrunk(grey(seed)), shrunk(grey(seed, -dy, -dx))
    shift = shift_between(one, other, everywhere(one))
    assert shift.matched
    assert (shift.dy, shift.dx) == (pytest.approx(dy, abs=0.5), pytest.approx(dx, abs=0.5))


def test_forward_and_backward_shifts_cancel() -> None:
    """Each is accurate to half a pixel and unbiased."""
    off = []
    for seed, (dy, dx) in enumerate((dy, dx) for dy in range(-10, 11, 5) for dx in range(-9, 10, 3)):
        one, other = shrunk(grey(seed)), shrunk(grey(seed, -dy, -dx))
        there, back = shift_between(one, other, everywhere(one)), shift_between(other, one, everywhere(one))
        off.append((there.dy + back.dy, there.dx + back.dx))
    assert np.abs(off).max() <= 1
    assert np.abs(off).mean() < 0.15


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 50), st.integers(-10, 10), st.integers(-10, 10), st.sampled_from([0, 0, 18]))
def test_marked_pixels_are_left_out(seed: int, dy: int, dx: int, jump: int) -> None:
    """A white mark covers a part of both frames; it stays while the scene moves, or has jumped."""
    first, second = np.zeros((2, HEIGHT, WIDTH), np.float32)
    first[34:58, 40:84] = 1
    second[34 + jump : 58 + jump, 40:84] = 1
    one, other = np.maximum(grey(seed), first), np.maximum(grey(seed, -dy, -dx), second)
    known, shown = ((shrunk(1 - mark) > 0.99).astype(np.float32) for mark in (first, second))
    shift = shift_between(shrunk(one), shrunk(other), known, shown)
    assert shift.matched
    assert (shift.dy, shift.dx) == (pytest.approx(dy, abs=1), pytest.approx(dx, abs=1))


def wide(seed: int, left: int = 0) -> Floats:
    """A window of twice the size on a random texture."""
    return texture(seed, 2 * WIDTH + 80, 2 * HEIGHT, 3).mean(2)[:, 40 + left : 40 + left + 2 * WIDTH]


@pytest.mark.parametrize("shade", [0.0, 1.0])
@pytest.mark.parametrize("moved", [10, 14])
def test_what_moves_across_a_scene_that_stays_is_not_followed(moved: int, shade: float) -> None:
    """A mean square is the moving thing's alone, as nothing else differs."""
    for seed in range(10):
        one, other = (shrunk(0.3 + 0.2 * wide(seed)) for _ in range(2))
        one[20:46, 40:66], other[20 + moved : 46 + moved, 40:66] = shade, shade
        shift = shift_between(one, other, everywhere(one))
        assert (shift.dy, shift.dx, shift.matched) == (pytest.approx(0, abs=0.2), pytest.approx(0, abs=0.2), True)


@pytest.mark.parametrize("sky", [0.6, 0.75])
@pytest.mark.parametrize("noise", [0.0, 0.001, 0.004])
def test_a_pan_under_a_sky_that_looks_the_same_everywhere_is_followed(sky: float, noise: float) -> None:
    """Most pixels stay as they are, and vary downwards, which says nothing about a motion to the side."""
    rows, rng = round(sky * 2 * HEIGHT), np.random.default_rng(1)
    for seed, dx in enumerate(range(6, 28, 4)):
        pictures = []
        for left in (0, -dx):
            picture = wide(seed, left)
            picture[:rows] = np.linspace(0.7, 0.2, rows, dtype=np.float32)[:, None]
            pictures.append(shrunk(picture + noise * rng.standard_normal(picture.shape).astype(np.float32)))
        shift = shift_between(*pictures, everywhere(pictures[0]))
        assert (shift.dy, shift.dx, shift.matched) == (pytest.approx(0, abs=1), pytest.approx(dx, abs=1), True)


def test_two_scenes_that_share_a_dark_wall_do_not_match() -> None:
    for seed in range(10):
        one, other = np.full((2, HEIGHT // 2, WIDTH // 2), 0.05, np.float32)
        one[14:30, 20:40], other[16:34, 26:44] = shrunk(grey(seed))[:16, :20], shrunk(grey(seed + 100))[:18, :18]
        assert not shift_between(one, other, everywhere(one)).matched


def test_another_scene_does_not_match() -> None:
    for seed in range(20):
        one, other = shrunk(grey(seed)), shrunk(grey(seed + 100))
        assert not shift_between(one, other, everywhere(one)).matched


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_picture_has_no_shift(level: float) -> None:
    rng = np.random.default_rng(1)
    flat = np.full((HEIGHT // 2, WIDTH // 2), level, np.float32)
    for noise in (0, 0.002):
        one, other = (flat + noise * rng.standard_normal(flat.shape).astype(np.float32) for _ in range(2))
        shift = shift_between(one, other, everywhere(one))
        assert shift.matched
        assert max(abs(shift.dy), abs(shift.dx)) < 1.5


def test_without_known_pixels_nothing_matches() -> None:
    one = shrunk(grey(1))
    assert not shift_between(one, one, np.zeros_like(one)).matched


HOLE = np.ones((6, 8), bool)
masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random(HOLE.shape) < 0.7)


def chosen(hidden: dict[int, Mask], hole: Mask = HOLE) -> list[int]:
    """The frames chosen for the target. `hidden`: by candidate frame, the pixels of the hole that it does not show."""
    candidates = [Reference(frame, 0, 0) for frame in hidden]
    return [reference.frame for reference in choose(TARGET, hole, candidates, lambda r: hidden[r.frame])]


def half(left: bool) -> Mask:
    hidden = HOLE.copy()
    hidden[:, :4] = not left
    hidden[:, 4:] = left
    return hidden


ALL = {TARGET + side * offset: HOLE for offset in OFFSETS for side in (-1, 1)}


def test_where_no_frame_uncovers_anything_two_neighbours_and_two_farther_frames_are_chosen() -> None:
    assert chosen(ALL) == [TARGET - NEAR_FRAMES, TARGET + NEAR_FRAMES, TARGET - FAR_FRAMES, TARGET + FAR_FRAMES]


def test_frames_that_uncover_the_hole_are_preferred_at_any_distance() -> None:
    far = TARGET + REACH_FRAMES
    assert chosen(ALL | {far: ~HOLE})[2] == far
    assert chosen(ALL | {far: half(True), TARGET - REACH_FRAMES: half(False)})[2:] == [TARGET - REACH_FRAMES, far]


def test_the_nearer_frame_is_chosen_even_if_it_shows_a_little_less() -> None:
    assert chosen(ALL | {TARGET + 23: ~HOLE, TARGET + 14: ~HOLE, TARGET - 28: ~HOLE})[2] == TARGET + 14
    little_less = ~HOLE
    little_less[0, :4] = True  # 44 of 48 pixels are shown
    assert chosen(ALL | {TARGET + 23: ~HOLE, TARGET + 14: little_less})[2] == TARGET + 14
    assert chosen(ALL | {TARGET + 23: ~HOLE, TARGET + 14: half(True)})[2] == TARGET + 23


def test_pixels_that_are_already_shown_do_not_count_again() -> None:
    """Two frames show the left half, another shows a column of the right half."""
    column = HOLE.copy()
    column[:, 5] = False
    assert chosen(ALL | {TARGET - 14: half(True), TARGET + 18: half(True), TARGET - 28: column})[2:] == [TARGET - 14, TARGET - 28]


def test_a_frame_that_uncovers_hardly_anything_is_not_chosen() -> None:
    wide = np.ones((10, 10), bool)
    pixels = {count: np.arange(100).reshape(10, 10) >= count for count in (2, 4)}
    far, everything = TARGET - REACH_FRAMES, dict.fromkeys(ALL, wide)
    assert far not in chosen(everything | {far: pixels[2]}, wide)
    assert far in chosen(everything | {far: pixels[4]}, wide)


@given(st.dictionaries(st.sampled_from(sorted(ALL)), masks, max_size=18), masks, st.randoms())
def test_the_number_is_fixed_and_the_order_of_candidates_does_not_matter(
    hidden: dict[int, Mask], hole: Mask, random: np.random.Generator
) -> None:
    frames = chosen(hidden, hole)
    assert len(frames) == REFERENCES
    assert set(frames) <= set(hidden) | {TARGET}
    shuffled = list(hidden)
    random.shuffle(shuffled)
    assert chosen({frame: hidden[frame] for frame in shuffled}, hole) == frames


def test_without_candidates_a_frame_is_its_own_reference() -> None:
    assert chosen({}) == [TARGET] * REFERENCES
