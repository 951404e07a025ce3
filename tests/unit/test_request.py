"""Boxes, classes and requests as a person types them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RequestError
from service.pipeline.placement import Box
from service.pipeline.request import Request, TimedBox, parse_box, parse_classes


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("10,20,110,60", TimedBox(10, 20, 110, 60)),
        (" 10, 20, 110, 60 ", TimedBox(10, 20, 110, 60)),
        ("0.1,.2,0.5,1", TimedBox(0.1, 0.2, 0.5, 1.0)),
        ("1,2,3,4@1.5-3", TimedBox(1, 2, 3, 4, 1.5, 3.0)),
        ("1,2,3,4@2-", TimedBox(1, 2, 3, 4, 2.0, None)),
        ("1,2,3,4@-2", TimedBox(1, 2, 3, 4, None, 2.0)),
    ],
)
def test_a_box_is_read(text: str, box: TimedBox) -> None:
    assert parse_box(text) == box
    assert parse_box(str(box)) == box


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "-1,2,3,4",
        "1,2,3,4@5",
        "1,2,3,4@5-4",
        "3,2,3,4",
        "5,2,3,4",
        "1,5,3,4",
        "nan,0,1,1",
        "1,2,3,4@1-2@3-4",
    ],
)
def test_a_wrong_box_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_box(text)
    assert "\n" not in str(caught.value)


def test_fractions_scale_with_the_picture_and_pixels_do_not() -> None:
    assert parse_box("0.25,0.5,0.5,1").pixels(640, 360) == Box(160, 180, 320, 360)
    assert parse_box("160,180,320,360").pixels(640, 360) == Box(160, 180, 320, 360)
    assert parse_box("0,0,1,1").pixels(641, 361) == Box(0, 0, 641, 361)


def test_a_box_covers_every_pixel_it_touches_and_is_cut_at_the_edge() -> None:
    assert parse_box("10.5,20.5,30.2,40.2").pixels(640, 360) == Box(10, 20, 31, 41)
    assert parse_box("600,300,900,900").pixels(640, 360) == Box(600, 300, 640, 360)


@pytest.mark.parametrize("text", ["640,0,700,10", "0,360,10,400"])
def test_a_box_outside_the_picture_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="outside the picture of 640x360"):
        parse_box(text).pixels(640, 360)


@given(
    turns=st.integers(0, 3),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    corners=st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 40), st.integers(1, 40)),
)
def test_a_box_on_the_shown_picture_selects_the_same_pixels_of_the_coded_one(
    turns: int, size: tuple[int, int], corners: tuple[int, int, int, int]
) -> None:
    """The oracle turns the picture itself: numpy's rot90 turns counterclockwise, as FFmpeg counts degrees."""
    width, height = size
    coded = np.arange(width * height).reshape(height, width)
    shown = np.rot90(coded, turns)
    left, top, more_x, more_y = corners
    box = TimedBox(left, top, left + more_x + 1, top + more_y + 1)
    expected = shown[top : top + more_y + 1, left : left + more_x + 1]
    assert set(coded[box.pixels(width, height, 90 * turns).slices].ravel()) == set(expected.ravel())


def test_a_timed_box_covers_its_seconds_with_both_ends() -> None:
    box = parse_box("1,2,3,4@1-2")
    assert [box.covers(seconds) for seconds in (0.99, 1.0, 1.5, 2.0, 2.01)] == [False, True, True, True, False]
    assert parse_box("1,2,3,4").covers(1e6)
    assert parse_box("1,2,3,4@3-").covers(1e6)
    assert not parse_box("1,2,3,4@-3").covers(3.5)


def test_classes_are_read() -> None:
    assert parse_classes("overlay") == {"overlay"}
    assert parse_classes("scene_text, overlay") == {"overlay", "scene_text"}


@pytest.mark.parametrize("text", ["", "logo", "overlay,logo", "user"])
def test_an_unknown_class_is_refused_and_the_known_ones_told(text: str) -> None:
    with pytest.raises(RequestError, match="choose from overlay, scene_text"):
        parse_classes(text)


def test_a_request_looks_for_overlays_by_default_and_for_nothing_only_if_told() -> None:
    assert Request().detect
    assert Request().classes == {"overlay"}
    with pytest.raises(RequestError):
        Request(classes=frozenset())
    assert Request(classes=frozenset(), detect=False).classes == frozenset()
