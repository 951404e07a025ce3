"""Detections over time become tracks: one for each interval of a mark."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.pipeline.locate.closer_look import LookCloser
from service.pipeline.locate.segment import Detection
from service.pipeline.locate.track import LOOK_SAMPLES, Track, find_regions, track
from service.pipeline.marks.similarity import iou
from service.pipeline.placement import Box

STRIDE = 4
SIZE = (60, 100)
TOP_LEFT, BOTTOM_RIGHT = Box(4, 4, 24, 16), Box(70, 40, 92, 54)


def detection(index: int, boxes: Iterable[Box], probability: float = 0.9) -> Detection:
    """Of white boxes before a grey wall."""
    answer, picture = np.full(SIZE, 0.05, np.float32), np.full((1, 3, *SIZE), 60, np.uint8)
    for box in boxes:
        answer[box.slices] = probability
        picture[(..., *box.slices)] = 230
    return Detection(index, answer, picture)


def tracked(detections: Iterable[Detection], closer: float = 0.9) -> list[Track]:
    """The tracks, where a closer look at anything gives this probability."""
    return track(detections, lambda pictures, masks: np.full((len(masks), len(pictures)), closer, np.float32))


def detections_of(*intervals: tuple[Box, range], samples: int) -> list[Detection]:
    """Detections of boxes, each during a range of samples."""
    return [detection(STRIDE * i, [box for box, interval in intervals if i in interval]) for i in range(samples)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10), st.integers(3, 12))
def test_an_interval_is_one_track_with_its_first_and_last_sample(first: int, length: int) -> None:
    found = tracked(detections_of((TOP_LEFT, range(first, first + length)), samples=first + length + 5))
    assert [(t.first_sample, t.last_sample, t.detection_count, t.box) for t in found] == [
        (STRIDE * first, STRIDE * (first + length - 1), length, TOP_LEFT)
    ]
    assert found[0].confidence == pytest.approx(0.9)


def test_without_a_detection_there_is_no_track() -> None:
    assert tracked(detections_of(samples=10)) == []
    assert tracked([]) == []


def test_a_mark_that_jumps_makes_a_track_for_each_interval() -> None:
    found = tracked(detections_of((TOP_LEFT, range(6)), (BOTTOM_RIGHT, range(6, 12)), samples=12))
    assert [(t.box, t.first_sample, t.last_sample) for t in found] == [(TOP_LEFT, 0, 20), (BOTTOM_RIGHT, 24, 44)]


def test_two_marks_at_once_are_two_tracks() -> None:
    found = tracked(detections_of((TOP_LEFT, range(9)), (BOTTOM_RIGHT, range(2, 7)), samples=9))
    assert {(t.box, t.detection_count) for t in found} == {(TOP_LEFT, 9), (BOTTOM_RIGHT, 5)}


def letters(left: int, right: int, seed: int) -> list[Box]:
    """Strokes of random letters between two columns, as a line of text has them."""
    rng, strokes, x = np.random.default_rng(seed), [], left
    while x < right:
        top, bottom, width = int(rng.integers(42, 50)), int(rng.integers(51, 59)), int(rng.integers(1, 4))
        strokes.append(Box(x, top, min(x + width, right), bottom))
        x += width + int(rng.integers(1, 3))
    return strokes


def lines_of(*intervals: tuple[list[Box], range], samples: int) -> list[Detection]:
    """Detections of lines of text, each during a range of samples."""
    return [detection(STRIDE * i, [box for boxes, interval in intervals if i in interval for box in boxes]) for i in range(samples)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("first", "second"), [((40, 60), (15, 85)), ((10, 84), (20, 94)), ((15, 85), (40, 60))])
def test_a_subtitle_ends_where_the_next_begins(first: tuple[int, int], second: tuple[int, int], seed: int) -> None:
    found = tracked(lines_of((letters(*first, seed), range(8)), (letters(*second, 99 - seed), range(8, 16)), samples=16))
    assert [(t.first_sample, t.last_sample, t.in_line) for t in found] == [(0, 28, False), (32, 60, False)]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_captions_of_one_outline_are_tracks_of_their_own(length: int) -> None:
    """Of an outlined word, the segmenter sees all that its outline encloses."""
    whole, samples = Box(10, 44, 90, 58), 4 * length
    detections = []
    for sample in range(samples):
        written = detection(STRIDE * sample, letters(10, 90, sample // length))
        detections.append(replace(written, probability=detection(0, [whole]).probability))
    assert [(t.first_sample, t.last_sample) for t in tracked(detections)] == [
        (STRIDE * length * number, STRIDE * (length * (number + 1) - 1)) for number in range(4)
    ]


@pytest.mark.parametrize("samples_apart", [1, 2, 3])
def test_words_of_a_line_that_appear_one_after_the_other_are_a_track_each(samples_apart: int) -> None:
    words = [letters(4 + 22 * number, 24 + 22 * number, number) for number in range(4)]
    starts = [samples_apart * number for number in range(4)]
    end = starts[-1] + 4
    found = tracked(lines_of(*((word, range(start, end)) for word, start in zip(words, starts, strict=True)), samples=end + 5))
    found = sorted(found, key=lambda t: t.first_sample)
    assert [(t.first_sample, t.last_sample) for t in found] == [(STRIDE * start, STRIDE * (end - 1)) for start in starts]
    assert all(t.in_line for t in found)
    for one, word in zip(found, words, strict=True):
        assert iou(one.mask, detection(0, word).probability > 0.5) > 0.85


def looks_like_a_mark(columns: slice) -> LookCloser:
    """A closer look that sees marks in these columns alone."""

    def look(pictures: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        return np.stack([np.full(len(pictures), 0.9 if mask[:, columns].any() else 0.3, np.float32) for mask in masks])

    return look


def test_a_mark_whose_detection_grows_before_it_is_stable_stays_one_track() -> None:
    first, whole = Box(10, 48, 84, 56), Box(10, 48, 94, 58)
    assert len(tracked(detections_of((first, range(3)), (whole, range(3, 12)), samples=12))) == 1


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_brief_mark_is_looked_at_closer_in_the_pictures_that_show_it_alone(length: int) -> None:
    """Though the segmenter compared them with others."""
    detections = detections_of((TOP_LEFT, range(3, 3 + length)), (BOTTOM_RIGHT, range(6, 6 + length)), samples=12)
    pictures: list[NDArray[np.uint8]] = []

    def look(seen: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        pictures.append(seen)
        return looks_like_a_mark(slice(0, 50))(seen, masks)

    assert [(t.box, t.confirmed) for t in track(detections, look)] == [(TOP_LEFT, True), (BOTTOM_RIGHT, False)]
    looked_at = min(length, LOOK_SAMPLES)
    for seen, first in zip(pictures, (3, 6), strict=True):
        np.testing.assert_array_equal(seen, np.concatenate([detections[first + i].pictures for i in range(looked_at)]))


def test_all_samples_of_a_short_video_may_be_one_track() -> None:
    assert [t.detection_count for t in tracked(detections_of((TOP_LEFT, range(2)), samples=2))] == [2]
    assert [t.detection_count for t in tracked([detection(0, [TOP_LEFT])])] == [1]


def test_a_mark_may_be_undetected_for_some_samples() -> None:
    detections = detections_of((TOP_LEFT, range(12)), samples=12)
    for hidden in (4, 5):
        detections[hidden] = detection(STRIDE * hidden, [])
    (found,) = tracked(detections)
    assert (found.first_sample, found.last_sample, found.detection_count) == (0, 44, 10)


def test_a_mark_lost_a_little_longer_is_still_one_track() -> None:
    detections = detections_of((TOP_LEFT, range(14)), samples=14)
    for hidden in range(4, 9):
        detections[hidden] = detection(STRIDE * hidden, [])
    (found,) = tracked(detections)
    assert (found.first_sample, found.last_sample) == (0, 52)


def test_a_mark_that_was_absent_for_long_makes_a_second_track() -> None:
    found = tracked(detections_of((TOP_LEFT, range(5)), (TOP_LEFT, range(15, 20)), samples=20))
    assert [(t.first_sample, t.last_sample) for t in found] == [(0, 16), (60, 76)]


@pytest.mark.parametrize("samples", [8, 2, 1])
@pytest.mark.parametrize(("closer", "count"), [(0.4, 0), (0.6, 1)])
def test_a_closer_look_decides_about_a_track_of_low_confidence(closer: float, count: int, samples: int) -> None:
    """In a video of any length, and in a picture."""
    detections = [detection(STRIDE * i, [TOP_LEFT], probability=0.55) for i in range(samples)]
    assert len(tracked(detections, closer)) == count


def test_the_mean_fills_in_what_single_detections_miss() -> None:
    rng = np.random.default_rng(1)
    detections = detections_of((TOP_LEFT, range(12)), samples=12)
    for one in detections:
        one.probability[rng.random(SIZE) < 0.1] = 0.1
    (found,) = tracked(detections)
    assert found.box == TOP_LEFT
    assert found.mask[TOP_LEFT.slices].mean() > 0.97


def test_near_parts_are_one_region_and_far_ones_two() -> None:
    near = detection(0, [Box(10, 10, 20, 20), Box(21, 10, 30, 20)])
    assert len(find_regions(near.probability)) == 1
    far = detection(0, [Box(10, 10, 20, 20), Box(40, 10, 50, 20), Box(80, 50, 82, 52)])  # the third has too few pixels
    assert sorted(int(r.sum()) for r in find_regions(far.probability)) == [100, 100]


masks = st.integers(0, 2**16 - 1).map(lambda bits: np.array([bits >> i & 1 for i in range(16)], bool).reshape(4, 4))


@given(masks, masks)
def test_iou_is_symmetric_and_in_the_unit_interval(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> None:
    assert iou(left, right) == iou(right, left)
    assert 0 <= iou(left, right) <= 1
    assert (iou(left, right) == 1) == bool((left == right).all() and left.any())


def test_what_does_not_look_like_a_mark_is_unconfirmed_and_kept_only_beside_a_confirmed_one_of_its_size() -> None:
    elsewhere, dot, look = Box(70, 10, 90, 22), Box(40, 30, 44, 34), looks_like_a_mark(slice(0, 30))
    assert track(detections_of((elsewhere, range(5, 6)), samples=12), look) == []
    found = track(detections_of((TOP_LEFT, range(12)), (elsewhere, range(5, 6)), (dot, range(5, 6)), samples=12), look)
    assert [(t.box, t.confirmed) for t in found] == [(TOP_LEFT, True), (elsewhere, False)]


def test_what_a_closer_look_does_not_confirm_is_no_track() -> None:
    detections = detections_of((TOP_LEFT, range(3, 9)), samples=12)
    assert len(tracked(detections)) == 1
    assert tracked(detections, closer=0.3) == []


@pytest.mark.parametrize("count", [3, 40, 200])
def test_closer_looks_become_rarer_as_a_track_goes_on(count: int) -> None:
    looks: list[int] = []

    def look(pictures: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        looks.append(len(masks))
        return np.ones((len(masks), len(pictures)), np.float32)

    (found,) = track(detections_of((TOP_LEFT, range(2, 2 + count)), samples=count + 9), look)
    assert looks == [1] * len(found.closer)
    assert len(looks) == 1 + int(np.log2(count / 3))


def test_the_mean_of_several_closer_looks_counts_each_at_the_last_pictures_of_the_track() -> None:
    answers, seen = iter([0.2, 0.9, 0.9]), []

    def look(pictures: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        seen.append(pictures[:, 0, 0, 0].tolist())
        return np.full((len(masks), len(pictures)), next(answers), np.float32)

    detections = []
    for sample, one in enumerate(detections_of((TOP_LEFT, range(2, 20)), samples=26)):
        pictures = np.zeros((4, 3, *SIZE), np.uint8)
        pictures[sample % 4] = sample  # of the group that the segmenter compared
        detections.append(Detection(one.frame_index, one.probability, pictures, sample % 4))
    (found,) = track(detections, look)
    assert found.closer == pytest.approx([0.2, 0.9, 0.9])
    assert seen == [[2, 3, 4], [4, 5, 6, 7], [10, 11, 12, 13]]


def test_marks_at_the_ends_of_the_video_are_looked_at_however_short_they_are() -> None:
    """They may be cut short."""
    for interval in (range(1), range(11, 12)):
        detections = detections_of((TOP_LEFT, interval), samples=12)
        assert [t.closer for t in tracked(detections)] == [[pytest.approx(0.9)]]
        assert tracked(detections, closer=0.3) == []
