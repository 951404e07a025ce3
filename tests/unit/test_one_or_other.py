"""What is seen standing and moving at once is one of the two."""

import numpy as np

from service.pipeline.locate.follow import MovingMark
from service.pipeline.locate.moving_marks import MovingShape
from service.pipeline.locate.one_or_other import those_that_move, those_that_stand
from service.pipeline.locate.pooled_shape import PooledShape
from service.pipeline.locate.track import Track
from service.pipeline.marks.agreement import look_at
from service.pipeline.picture.view import View
from service.pipeline.placement import Box

SIZE = (60, 120)
WORD = (10, 30)  # height and width


def shape(*places: tuple[int, int, int]) -> MovingShape:
    """A word that was seen at these places: frame, top, left."""
    pooled = PooledShape(View(0, 0, *WORD), look_at(np.zeros((*WORD, 3), np.uint8), np.ones(WORD, np.float32)))
    return MovingShape(pooled, {frame: (top, left) for frame, top, left in places})


def standing(box: Box, first: int, last: int, count: int) -> Track:
    probability = np.zeros(SIZE, np.float32)
    probability[box.slices] = 0.9 * count
    return Track(first, last, count, 0, probability)


def mark(step: float) -> MovingMark:
    """A word that moves by so many pixels to the right in each frame."""
    return MovingMark(np.ones(WORD, np.float32), {frame: (20.0, step * frame) for frame in range(30)})


def test_a_shape_that_a_track_shows_to_stand_does_not_move() -> None:
    moving = shape((0, 20, 0), (15, 20, 40), (30, 20, 80))
    stands, briefly = standing(Box(40, 20, 70, 30), 12, 20, 3), standing(Box(40, 20, 70, 30), 15, 15, 1)
    elsewhere, before = standing(Box(40, 45, 70, 55), 12, 20, 3), standing(Box(40, 20, 70, 30), 0, 10, 3)
    assert those_that_move([moving], [stands]) == []
    assert those_that_move([moving], [briefly, elsewhere, before]) == [moving]


def test_a_slow_shape_may_look_as_if_it_stood() -> None:
    slow = shape((0, 20, 40), (15, 20, 46), (30, 20, 52))
    assert those_that_move([slow], [standing(Box(42, 20, 74, 30), 5, 15, 3)]) == [slow]


def test_a_brief_track_on_the_path_of_a_moving_mark_is_that_mark() -> None:
    passing, staying, beside = (standing(box, 10, 10, 1) for box in (Box(22, 20, 50, 30), Box(80, 20, 110, 30), Box(20, 45, 50, 55)))
    long = standing(Box(22, 20, 50, 30), 10, 20, 3)
    assert those_that_stand([passing, staying, beside, long], [mark(2.0)]) == [staying, beside, long]
    assert those_that_stand([passing], []) == [passing]


def test_where_a_path_has_left_the_picture_nothing_is_on_it() -> None:
    track = standing(Box(100, 20, 119, 30), 28, 28, 1)
    assert those_that_stand([track], [mark(20.0)]) == [track]
