"""What two looks say of one mark in both: compared with sums over each shift by itself, and with what is known to be there."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.pipeline.locate.own_motion import own_motion
from service.pipeline.locate.pooled_shape import MARGIN_PIXELS
from service.pipeline.marks.agreement import CORRELATED_PIXELS, DETAIL_NOISE, RIM_PIXELS, Look, agreement, best_agreement, look_at
from service.pipeline.picture.view import View
from tests.footage import Picture, texture

WORD = np.kron(np.random.default_rng(3).random((5, 14)) > 0.5, np.ones((3, 3))) > 0


def with_word(seed: int, top: int, left: int, seen_share: float = 1.0) -> Look:
    """A half-transparent word over a scene; a part of it is seen, and a bright corner of the scene, which touches it."""
    picture = texture(seed, 120, 80)
    picture[top : top + 15, left : left + 42][WORD] += np.float32(0.5) * (1 - picture[top : top + 15, left : left + 42][WORD])
    probability = np.zeros((80, 120), np.float32)
    probability[top : top + 15, left : left + 42] = WORD
    probability[:, left + round(42 * seen_share) :] = 0
    probability[top + 12 : top + 30, left - 8 : left + 10] = 0.9
    return look_at(np.rint(picture * 255).astype(np.uint8), probability)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(8, 70), st.floats(0.6, 1))
def test_a_mark_is_found_over_another_scene_though_not_all_of_it_is_seen(seed: int, top: int, left: int, share: float) -> None:
    known = with_word(1, 20, 30).crop(View(10, 15, 40, 70))
    evidence, y, x = best_agreement(known, with_word(seed, top, left, share).crop(View(-40, -70, 160, 260)))
    assert evidence > 0
    assert (y - 40, x - 70) == (top - 10, left - 15)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_two_scenes_have_nothing_in_common(one: int, other: int) -> None:
    rng = np.random.default_rng([one, other])
    looks = [
        look_at(np.rint(texture(seed, 96, 64) * 255).astype(np.uint8), np.ones((64, 96), np.float32)) for seed in (2 * one, 2 * other + 1)
    ]
    view = View(int(rng.integers(40)), int(rng.integers(50)), 20, 40)
    assert best_agreement(looks[0].crop(view), looks[1])[0] < 0


def test_flat_walls_say_nothing() -> None:
    wall = look_at(np.full((40, 60, 3), 90, np.uint8), np.ones((40, 60), np.float32))
    assert agreement(wall.crop(View(10, 10, 20, 30)), wall).max() == 0


def test_each_shift_is_the_correlation_of_what_both_looks_may_show() -> None:
    known, other = with_word(4, 20, 30).crop(View(14, 18, 28, 60)), with_word(5, 24, 37)
    evidence, side = agreement(known, other), 2 * RIM_PIXELS + 1
    p, q = (cv2.dilate(look.probability, np.ones((side, side), np.uint8)).astype(float) for look in (known, other))
    for y, x in ((0, 0), (18, 25), (40, 31)):
        both, detail = p * q[y : y + 28, x : x + 60], other.detail[y : y + 28, x : x + 60].astype(float)
        noise = 3 * DETAIL_NOISE * (both.sum() + 1)
        powers = [(both[..., None] * one**2).sum() + noise for one in (known.detail, detail)]
        correlation = max(0, (both[..., None] * known.detail * detail).sum()) / math.sqrt(math.prod(powers))
        expected = -math.log(1 - correlation**2) / 2 * both.sum() / CORRELATED_PIXELS
        assert evidence[y, x] == np.float64(expected).round(9) or abs(evidence[y, x] - expected) < 1e-2 * (1 + expected)


def panned(seed: int, dy: int, dx: int) -> Picture:
    wide = np.rint(texture(seed, 140, 100) * 255).astype(np.uint8)
    return wide[10 + dy : 90 + dy, 10 + dx : 130 + dx]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_surroundings_tell_whether_they_move_along(seed: int, dy: int, dx: int, pan_y: int, pan_x: int) -> None:
    earlier, later = (look_at(panned(seed, *shift), np.zeros((80, 120), np.float32)).detail for shift in ((0, 0), (pan_y, pan_x)))
    before = View(30, 40, *WORD.shape)
    evidence = own_motion(WORD, np.pad(WORD, MARGIN_PIXELS), before, before.moved(dy, dx), earlier, later)
    apart = max(abs(dy + pan_y), abs(dx + pan_x))
    if apart == 0:
        assert evidence < 0
    elif apart > 1:
        assert evidence > 0


def test_a_flat_wall_does_not_tell_whether_it_moves_along() -> None:
    wall = np.zeros((80, 120, 3), np.float32)
    assert own_motion(WORD, np.pad(WORD, MARGIN_PIXELS), View(30, 40, *WORD.shape), View(34, 43, *WORD.shape), wall, wall) == pytest.approx(
        0
    )
