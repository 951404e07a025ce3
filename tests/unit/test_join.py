"""Pieces of one placement that were measured as several marks become one mark; other marks in the same place do not."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.extent.join import join_pieces
from service.pipeline.marks.candidate import Candidate, Detected, UserBox
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.placement import Box

SHAPE = (40, 120)
STRIDE = 5


def word(seed: int, first_letter: int = 0, last_letter: int = 7) -> np.ndarray:
    """Letters of random strokes, (40, 120) of 0 and 1; the same ones for the same seed."""
    strokes = np.kron(np.random.default_rng(seed).random((6, 16)) > 0.5, np.ones((4, 4)))
    mask = np.zeros(SHAPE, np.float32)
    for letter in range(first_letter, last_letter):
        mask[8:32, 4 + 16 * letter : 16 + 16 * letter] = np.roll(strokes, 8 * letter, 1)[:, :12]
    return mask


def measured(mask: np.ndarray, first: int, last: int, left: int = 10, opacity: float = 0.4) -> MeasuredMark:
    box = Box(left, 20, left + SHAPE[1], 20 + SHAPE[0])
    candidate = Candidate(box, mask, first, last, 0.9, "overlay", STRIDE, Detected(0.0))
    return MeasuredMark(candidate, MarkModel(mask, opacity * mask, np.ones((3, *SHAPE), np.float32), 0.1 * mask), 0.8, 0)


def frames(mark: MeasuredMark) -> tuple[int, int]:
    return mark.candidate.first_sample, mark.candidate.last_sample


def test_pieces_that_follow_each_other_are_one_mark_with_all_letters() -> None:
    (one,) = join_pieces([measured(word(1, 0, 4), 0, 20), measured(word(1), 25, 60), measured(word(1, 3, 7), 65, 89)])
    assert frames(one) == (0, 89)
    np.testing.assert_array_equal(one.model.mask, word(1))


def test_each_piece_adds_what_the_other_lacks() -> None:
    (one,) = join_pieces([measured(word(1, 0, 5), 0, 20), measured(word(1, 2, 7), 25, 60)])
    np.testing.assert_array_equal(one.model.mask, word(1))
    np.testing.assert_allclose(one.model.opacity, 0.4 * word(1))


def test_another_line_in_the_same_place_stays_another_mark() -> None:
    assert [frames(m) for m in join_pieces([measured(word(1), 0, 25), measured(word(2), 30, 55)])] == [(0, 25), (30, 55)]


def test_the_same_mark_much_later_is_another_placement() -> None:
    assert [frames(m) for m in join_pieces([measured(word(1), 0, 20), measured(word(1), 60, 80)])] == [(0, 20), (60, 80)]


def test_boxes_without_any_shape_are_not_joined() -> None:
    full = np.ones(SHAPE, np.float32)
    assert len(join_pieces([measured(full, 0, 20), measured(full, 25, 60)])) == 2


def test_the_same_mark_elsewhere_is_another_placement() -> None:
    assert len(join_pieces([measured(word(1), 0, 20), measured(word(1), 25, 60, left=40)])) == 2


def test_user_marks_stay_as_they_are() -> None:
    pieces = [measured(word(1), 0, 20), measured(word(1), 25, 60)]
    given_ones = [MeasuredMark(replace(m.candidate, kind="user", origin=UserBox()), m.model, 1.0, 0) for m in pieces]
    assert join_pieces(given_ones) == given_ones


@given(st.permutations(range(4)))
def test_the_order_in_which_they_were_measured_does_not_matter(order: list[int]) -> None:
    pieces = [measured(word(1), 0, 20), measured(word(1), 25, 40), measured(word(2), 45, 60), measured(word(1), 61, 80)]
    assert [frames(m) for m in join_pieces([pieces[i] for i in order])] == [(0, 40), (45, 60), (61, 80)]


def test_words_of_a_line_keep_their_own_frames() -> None:
    """Also where the place of one reaches over another."""
    early, late = measured(word(1, 0, 4), 0, 60), measured(word(1), 25, 60)
    late = replace(late, candidate=replace(late.candidate, origin=Detected(0.0, in_line=True)))
    assert [frames(m) for m in join_pieces([early, late])] == [(0, 60), (25, 60)]
