"""Placements as intervals: which belong together, which rows they take, and which frames show them best."""

from dataclasses import replace

from service.pipeline.placement import Box
from service.pipeline.report.intervals import MAX_MOMENTS, intervals, key_moments, lanes
from tests.footage import placement

LEFT, RIGHT = Box(0, 0, 8, 8), Box(20, 0, 28, 8)


def test_an_animated_mark_has_one_interval() -> None:
    appearances = [placement(0, 3, LEFT), placement(4, 4, LEFT), placement(2, 9, LEFT), placement(12, 14, LEFT)]
    found = intervals([*appearances, placement(5, 6, RIGHT)])
    assert [(interval.first_frame, interval.last_frame, interval.box, len(interval.placements)) for interval in found] == [
        (0, 9, LEFT, 3),
        (5, 6, RIGHT, 1),
        (12, 14, LEFT, 1),
    ]


def test_a_mark_that_moves_has_one_interval_along_its_path() -> None:
    pieces = [replace(placement(4 * k, 4 * k + 3, Box(5 * k, k, 5 * k + 8, k + 8)), path="a path") for k in range(6)]
    (interval,) = intervals(pieces)
    assert (interval.first_frame, interval.last_frame, interval.box) == (0, 23, Box(0, 0, 33, 13))
    assert [interval.box_at(frame).left for frame in (0, 3, 4, 23)] == [0, 0, 5, 25]
    assert key_moments(pieces) == {4: [pieces[1].box], 12: [pieces[3].box], 20: [pieces[5].box]}
    assert len(intervals([replace(piece, path="") for piece in pieces])) == 6


def test_overlapping_intervals_are_in_different_lanes() -> None:
    found = intervals([placement(0, 9, LEFT), placement(5, 12, RIGHT), placement(10, 20, Box(0, 20, 8, 28))])
    assert [[interval.first_frame for interval in row] for row in lanes(found)] == [[0, 10], [5]]


def test_key_moments_are_few_and_show_every_box_before_one_twice() -> None:
    assert key_moments([]) == {}
    assert key_moments([placement(0, 29, LEFT)]) == {5: [LEFT], 15: [LEFT], 25: [LEFT]}
    assert key_moments([placement(0, 0, LEFT), placement(0, 0, RIGHT)]) == {0: [LEFT, RIGHT]}
    many = [placement(10 * k, 10 * k + k, Box(k, 0, k + 4, 4)) for k in range(40)]
    chosen = key_moments(many)
    assert sum(map(len, chosen.values())) == MAX_MOMENTS
    assert {box.left for boxes in chosen.values() for box in boxes} == set(range(34, 40))  # the longest
    assert all(many[boxes[0].left].covers(index) for index, boxes in chosen.items())
