"""Pooling: one mark at several places is recognised by its shape and registered."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.pipeline.marks.similarity import match_shapes
from service.pipeline.measure.pool import MAX_OBSERVATIONS, MarkPool, Observation
from service.pipeline.picture.view import crop_padded

HEIGHT, WIDTH = 60, 120


def shape(seed: int, top: int = 20, left: int = 30, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A random mark of 16 x 40 pixels, in blocks."""
    blocks = np.random.default_rng(seed).random((4, 10)) > 0.5
    values = np.zeros((height, width), np.float32)
    values[top : top + 16, left : left + 40] = np.kron(blocks, np.ones((4, 4))) * 0.75
    return values


def observation(opacity: np.ndarray, value: int = 100, crops: int = 3, confirmed: bool = True) -> Observation:
    """Crops of one value with the mark, and the first of them without."""
    marked_crops = np.full((crops, 3, *opacity.shape), value, np.uint8)
    return Observation(marked_crops, marked_crops[:1], (opacity > 0).astype(np.float32), opacity, confirmed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 70), st.integers(50, 80), st.integers(110, 160))
def test_the_same_shape_is_found_wherever_it_lies(top: int, left: int, height: int, width: int) -> None:
    top, left = min(top, height - 16), min(left, width - 40)
    similarity, dy, dx = match_shapes(shape(1), shape(1, top, left, height, width))
    assert similarity > 0.99
    assert (dy, dx) == (top - 20, left - 30)


def test_an_empty_region_matches_nothing() -> None:
    """A correlation divides by the standard deviation, which is nearly 0 there."""
    faint = shape(1) * np.float32(0.9) + np.float32(1e-7) * np.random.default_rng(1).random((HEIGHT, WIDTH)).astype(np.float32)
    here = crop_padded(faint, 0, 0, 200, 400, repeat_edge=False)
    assert match_shapes(shape(1), here)[1:] == (0, 0)


def test_other_shapes_do_not_match() -> None:
    assert max(match_shapes(shape(1), shape(seed))[0] for seed in range(2, 30)) < 0.65
    assert match_shapes(shape(1), np.zeros((HEIGHT, WIDTH), np.float32))[0] == 0


@given(st.integers(-19, 19), st.integers(-23, 23))
def test_a_window_out_and_back_is_the_same_where_both_reach(top: int, left: int) -> None:
    values = np.random.default_rng(3).random((20, 24)).astype(np.float32)
    back = crop_padded(crop_padded(values, top, left, 20, 24, repeat_edge=False), -top, -left, 20, 24, repeat_edge=False)
    kept = np.zeros((20, 24), bool)
    kept[max(0, top) : min(20, 20 + top), max(0, left) : min(24, 24 + left)] = True
    np.testing.assert_array_equal(back, np.where(kept, values, 0))


def test_two_places_of_one_mark_are_registered() -> None:
    pool = MarkPool()
    assert pool.add(0, observation(shape(1), 50)) == []
    assert pool.add(1, observation(shape(1, 30, 60), 200)) == []
    (mark,) = pool.flush()
    assert [(registration.number, registration.top, registration.left) for registration in mark.registrations] == [(0, 0, 0), (1, 10, 30)]
    assert sorted(set(mark.marked_crops.mean((1, 2, 3)).round().tolist())) == [50, 200]
    np.testing.assert_array_equal(mark.probability, shape(1) > 0)


def test_a_place_that_shows_only_a_part_of_the_mark_adds_no_crops() -> None:
    whole, pool = shape(1), MarkPool()
    cut_off = np.ascontiguousarray(whole[:, :62])  # its last eight columns lie beyond the place
    pool.add(0, observation(cut_off, 50))
    pool.add(1, observation(whole, 200))
    (mark,) = pool.flush()
    assert [registration.number for registration in mark.registrations] == [0, 1]
    assert mark.probability.shape == whole.shape
    assert (mark.marked_crops == 200).all()


def test_different_marks_stay_apart() -> None:
    pool = MarkPool()
    for number in range(3):
        pool.add(number, observation(shape(number)))
    assert [[registration.number for registration in mark.registrations] for mark in pool.flush()] == [[0], [1], [2]]


def test_an_unconfirmed_place_counts_only_if_it_matches_a_mark() -> None:
    pool = MarkPool()
    pool.add(0, observation(shape(1), confirmed=False))
    pool.add(1, observation(shape(2, 4, 50), 100, confirmed=False))
    pool.add(2, observation(shape(2), 50))
    pool.add(3, observation(shape(2, 10, 10), 200, confirmed=False))
    (mark,) = pool.flush()
    assert [(registration.number, registration.top, registration.left) for registration in mark.registrations] == [
        (2, 0, 0),
        (1, -16, 20),
        (3, -10, -20),
    ]
    assert (mark.marked_crops == 50).all()  # the unconfirmed places belong to the mark but add no crops


def test_memory_is_bounded_in_marks_and_in_places() -> None:
    pool, given_back = MarkPool(), []
    for number in range(40):
        given_back += pool.add(number, observation(shape(number)))
    assert [mark.registrations[0].number for mark in given_back] == list(range(32))
    pool = MarkPool()
    for number in range(40):
        pool.add(number, observation(shape(1)))
    (mark,) = pool.flush()
    assert len(mark.marked_crops) == 3 * MAX_OBSERVATIONS
    assert len(mark.registrations) == 40


def test_what_the_network_predicted_is_known_of_a_mark_seen_at_one_place_alone() -> None:
    opacity = shape(1)
    matte = opacity, np.zeros((3, HEIGHT, WIDTH), np.float32), opacity
    pool = MarkPool()
    pool.add(0, replace(observation(opacity), matte=matte))
    (mark,) = pool.flush()
    assert mark.matte is matte
    pool.add(0, replace(observation(opacity), matte=matte))
    pool.add(1, replace(observation(opacity, 50), matte=matte))
    (mark,) = pool.flush()
    assert mark.matte is None  # its crops are others


def test_a_word_of_a_line_keeps_the_pixels_that_may_be_its_own() -> None:
    pool, own = MarkPool(), np.ones((HEIGHT, WIDTH), bool)
    (word,) = pool.add(0, replace(observation(shape(1)), own=own))
    np.testing.assert_array_equal(word.own, own)
    assert pool.flush() == []


def test_a_word_of_a_line_is_not_pooled_with_one_beside_it() -> None:
    """Each has the other in its picture, at the place where both lie."""
    pool, own = MarkPool(), np.ones((HEIGHT, WIDTH), bool)
    words = [pool.add(number, replace(observation(shape(1)), own=own)) for number in range(2)]
    assert [[place.number for place in word.registrations] for (word,) in words] == [[0], [1]]


def test_another_word_of_one_outline_is_not_pooled() -> None:
    """The shape that is seen of both is a box; their strokes differ."""
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[20:36, 30:70] = 0.75
    words = [np.where(shape(seed) > 0, 250, 60).astype(np.uint8) for seed in (1, 1, 2)]
    pool = MarkPool()
    for number, word in enumerate(words):
        pool.add(number, replace(observation(box), marked_crops=np.broadcast_to(word, (3, 3, HEIGHT, WIDTH))))
    assert [[place.number for place in mark.registrations] for mark in pool.flush()] == [[0, 1], [2]]


def test_a_place_where_little_was_seen_tells_no_marks_apart() -> None:
    """There the shape holds an edge of the scene; another place, where as little is seen, looks more like it than like the mark."""
    ink = shape(1) > 0
    left = np.zeros((HEIGHT, WIDTH), bool)
    left[:, :52] = True
    edge = np.zeros((HEIGHT, WIDTH), np.float32)
    edge[40:42, 40:70] = 0.75
    part = shape(1) * left
    seen = [shape(1), part + edge, part]
    pictures = [np.where(ink, 130, 100) for _ in seen]
    pictures[:2] = [np.where(edge > 0, 255 * (np.arange(WIDTH) % 3 > 0), pictures[0])] * 2
    pool = MarkPool()
    for number, (values, picture) in enumerate(zip(seen, pictures, strict=True)):
        crops = np.broadcast_to(picture.astype(np.uint8), (3, 3, HEIGHT, WIDTH))
        pool.add(number, replace(observation(values.astype(np.float32)), marked_crops=crops))
    assert [[place.number for place in mark.registrations] for mark in pool.flush()] == [[0, 1, 2]]


def test_an_unconfirmed_place_is_not_the_mark_while_that_is_seen_elsewhere() -> None:
    """A car's lamp may look like a logo, which stands in a corner all the time."""
    pool = MarkPool(are_at_once=lambda one, other: (one, other) == (1, 0))
    pool.add(0, observation(shape(1)))
    for number in (1, 2):
        pool.add(number, observation(shape(1), confirmed=False))
    assert [[place.number for place in mark.registrations] for mark in pool.flush()] == [[0, 2]]


def test_of_two_unconfirmed_places_at_one_time_the_mark_is_at_the_likelier_one() -> None:
    pool = MarkPool(are_at_once=lambda one, other: {one, other} == {1, 2})
    blurred = 0.5 * (shape(1) + np.roll(shape(1), 2, axis=1))
    for number, (values, confirmed) in enumerate([(shape(1), True), (blurred, False), (shape(1), False)]):
        pool.add(number, observation(values, confirmed=confirmed))
    assert [[place.number for place in mark.registrations] for mark in pool.flush()] == [[0, 2]]
