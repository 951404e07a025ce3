"""Detections over time become tracks: one for each interval of a mark."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.pipeline.locate.segment import Detection
from service.pipeline.locate.track import Track, find_regions, track
from service.pipeline.marks.similarity import iou
from service.pipeline.placement import Box

STRIDE = 4
SIZE = (60, 100)
TOP_LEFT, BOTTOM_RIGHT = Box(4, 4, 24, 16), Box(70, 40, 92, 54)


def detection(index: int, boxes: Iterable[Box], probability: float = 0.9) -> Detection:
    picture = np.full(SIZE, 0.05, np.float32)
    for box in boxes:
        picture[box.slices] = probability
    return Detection(index, picture, np.zeros((1, 3, *SIZE), np.uint8))


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


def test_a_subtitle_ends_where_the_next_begins() -> None:
    short, long = Box(40, 48, 60, 56), Box(15, 48, 85, 56)
    found = tracked(detections_of((short, range(5)), (long, range(5, 11)), samples=11))
    assert [(t.box, t.first_sample, t.last_sample) for t in found] == [(short, 0, 16), (long, 20, 40)]


def test_a_subtitle_similar_to_the_one_before_is_another_mark_if_both_are_stable() -> None:
    """Long lines overlap by two thirds and more."""
    first, second = Box(10, 48, 84, 56), Box(20, 48, 94, 56)
    found = tracked(detections_of((first, range(8)), (second, range(8, 16)), samples=16))
    assert [(t.box, t.first_sample, t.last_sample) for t in found] == [(first, 0, 28), (second, 32, 60)]


def test_a_mark_whose_detection_grows_before_it_is_stable_stays_one_track() -> None:
    first, whole = Box(10, 48, 84, 56), Box(10, 48, 94, 58)
    assert len(tracked(detections_of((first, range(3)), (whole, range(3, 12)), samples=12))) == 1


def test_a_flash_is_not_a_mark_unless_the_video_is_that_short() -> None:
    assert tracked(detections_of((TOP_LEFT, range(3, 5)), samples=12)) == []
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


def test_a_short_track_is_unconfirmed_and_kept_only_beside_a_confirmed_one_of_its_size() -> None:
    elsewhere, dot = Box(70, 10, 90, 22), Box(40, 30, 44, 34)
    alone = detections_of((elsewhere, range(5, 6)), samples=12)
    assert tracked(alone) == []
    found = tracked(detections_of((TOP_LEFT, range(12)), (elsewhere, range(5, 6)), (dot, range(5, 6)), samples=12))
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


def test_a_closer_look_is_at_the_picture_of_the_detection_and_the_mean_of_several_counts() -> None:
    answers = iter([0.2, 0.9, 0.9])

    def look(pictures: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        answer = np.zeros((len(masks), len(pictures)), np.float32)
        answer[:, 2] = next(answers)
        return answer

    detections = [
        Detection(d.frame_index, d.probability, np.zeros((4, 3, *SIZE), np.uint8), 2)
        for d in detections_of((TOP_LEFT, range(2, 20)), samples=26)
    ]
    (found,) = track(detections, look)
    assert found.closer == pytest.approx([0.2, 0.9, 0.9])


def test_marks_at_the_ends_of_the_video_are_looked_at_however_short_they_are() -> None:
    """They may be cut short."""
    for interval in (range(1), range(11, 12)):
        detections = detections_of((TOP_LEFT, interval), samples=12)
        assert [t.closer for t in tracked(detections)] == [[pytest.approx(0.9)]]
        assert tracked(detections, closer=0.3) == []
