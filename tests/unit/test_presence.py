"""Which frames show a mark: presence scores, ends, parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.extent.first_and_last_frame import LazyScores, first_and_last_frame
from service.pipeline.marks.mark_model import MarkModel, split_parts
from service.pipeline.marks.presence import fill_hole, presence_score
from service.pipeline.placement import Box
from tests.footage import scene

BOX = Box(12, 10, 40, 24)


def model(opacity: float) -> MarkModel:
    mask = np.zeros((40, 56), np.float32)
    mask[BOX.slices] = 1
    return MarkModel(mask, mask * np.float32(opacity), np.ones((3, *mask.shape), np.float32), np.zeros_like(mask))


def crop(index: int, opacity: float) -> np.ndarray:
    clean = scene(index, 56, 40).transpose(2, 0, 1).astype(np.float32) / 255
    shown = model(opacity)
    return (clean * (1 - shown.opacity) + shown.colour * shown.opacity).astype(np.float32)


def scored(crop: np.ndarray, shown: MarkModel) -> float:
    return presence_score(crop, fill_hole(crop, shown.mask > 0), shown)


@pytest.mark.parametrize("opacity", [1.0, 0.75, 0.4])
def test_the_score_is_about_one_with_the_mark_and_about_zero_without(opacity: float) -> None:
    for index in range(0, 40, 8):
        assert scored(crop(index, opacity), model(opacity)) == pytest.approx(1, abs=0.25)
        assert scored(crop(index, 0), model(opacity)) == pytest.approx(0, abs=0.25)


def test_a_fading_mark_scores_in_between() -> None:
    rising = [scored(crop(3, opacity), model(0.8)) for opacity in (0, 0.2, 0.4, 0.6, 0.8)]
    assert rising == sorted(rising)


@given(st.data())
def test_ends_are_exact_where_the_scores_are_clear(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 40))
    last = data.draw(st.integers(first, 60))
    drawn = (data.draw(st.integers(first, last)), data.draw(st.integers(first, last)))
    sampled = (min(drawn), max(drawn))
    scores = {i: float(first <= i <= last) for i in range(70)}
    assert first_and_last_frame(scores, sampled, absent=0.0, present=1.0) == (first, last)


@given(
    st.dictionaries(st.integers(0, 30), st.integers(-10, 20).map(lambda tenths: tenths / 10)),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_ends_stay_within_the_frames_that_have_scores(scores: dict[int, float], one: int, other: int) -> None:
    sampled = (min(one, other), max(one, other))
    first, last = first_and_last_frame(scores, sampled, 0.0, 1.0)
    assert first <= last
    assert first >= sampled[0] or set(range(first, sampled[0])) <= scores.keys()
    assert last <= sampled[1] or set(range(sampled[1] + 1, last + 1)) <= scores.keys()


def test_samples_that_do_not_show_the_mark_are_left_out() -> None:
    scores = {i: float(3 <= i <= 7) for i in range(12)}
    assert first_and_last_frame(scores, (2, 9), 0.0, 1.0) == (3, 7)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(1, 12), st.integers(1, 8)), min_size=1, max_size=6))
def test_parts_partition_the_mask(rectangles: list[tuple[int, int, int, int]]) -> None:
    mask = np.zeros((40, 64), bool)
    for left, top, width, height in rectangles:
        mask[top : top + height, left : left + width] = True
    found = split_parts(mask)
    np.testing.assert_array_equal(np.sum(found, axis=0), mask)


def test_a_word_and_its_logo_are_two_parts_and_a_speck_joins_the_nearer() -> None:
    mask = np.zeros((40, 90), bool)
    for box in (Box(5, 10, 25, 30), Box(50, 12, 80, 28), Box(84, 12, 86, 14)):
        mask[box.slices] = True
    left, right = sorted(split_parts(mask), key=lambda part: int(np.nonzero(part)[1].min()))
    assert left.sum() == 400
    assert right.sum() == 30 * 16 + 4


def test_letters_of_a_word_are_one_part() -> None:
    mask = np.zeros((40, 160), bool)
    mask[8:30, 4:26] = True  # a logo
    for letter in range(7):
        mask[12:26, 40 + 12 * letter : 47 + 12 * letter] = True  # five pixels apart
    left, right = sorted(split_parts(mask), key=lambda part: int(np.nonzero(part)[1].min()))
    assert left.sum() == 22 * 22
    assert right.sum() == 7 * 14 * 7


def test_a_pattern_all_over_the_picture_is_one_part() -> None:
    mask = np.zeros((300, 300), bool)
    for top in range(10, 290, 60):
        for left in range(10, 290, 60):
            mask[top : top + 12, left : left + 20] = True
    (one,) = split_parts(mask)
    np.testing.assert_array_equal(one, mask)


def test_a_walk_outwards_scores_only_the_first_frame_without_the_mark() -> None:
    scored_frames = []

    def score_of(frame: int) -> float:
        scored_frames.append(frame)
        return float(20 <= frame <= 40)

    assert first_and_last_frame(LazyScores(range(60), score_of), (25, 35), absent=0.0, present=1.0) == (20, 40)
    assert sorted(scored_frames) == [*range(19, 26), *range(35, 42)]
