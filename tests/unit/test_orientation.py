"""Coded and displayed pictures: boxes in one are the same pixels in the other, whatever the rotation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RequestError
from service.pipeline.picture.orientation import coded_box, displayed_box, displayed_picture, displayed_size
from service.pipeline.placement import Box
from service.timed_box import TimedBox, parse_box
from tests.footage import Picture, described

INFO = described(640, 360)


def test_fractions_scale_with_the_picture_and_pixels_do_not() -> None:
    assert coded_box(parse_box("0.25,0.5,0.5,1"), INFO) == Box(160, 180, 320, 360)
    assert coded_box(parse_box("160,180,320,360"), INFO) == Box(160, 180, 320, 360)
    assert coded_box(parse_box("0,0,1,1"), described(641, 361)) == Box(0, 0, 641, 361)


def test_a_box_covers_every_pixel_it_touches_and_is_cut_at_the_edge() -> None:
    assert coded_box(parse_box("10.5,20.5,30.2,40.2"), INFO) == Box(10, 20, 31, 41)
    assert coded_box(parse_box("600,300,900,900"), INFO) == Box(600, 300, 640, 360)


@pytest.mark.parametrize("text", ["640,0,700,10", "0,360,10,400"])
def test_a_box_outside_the_picture_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="outside the picture of 640x360"):
        coded_box(parse_box(text), INFO)


@given(
    turns=st.integers(0, 3),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    corners=st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 40), st.integers(1, 40)),
)
def test_a_box_on_the_displayed_picture_selects_the_same_pixels_of_the_coded_one(
    turns: int, size: tuple[int, int], corners: tuple[int, int, int, int]
) -> None:
    """The oracle rotates the picture itself: NumPy's rot90 turns counterclockwise, as FFmpeg counts degrees."""
    width, height = size
    coded = np.arange(width * height).reshape(height, width)
    displayed = np.rot90(coded, turns)
    left, top, more_x, more_y = corners
    box = TimedBox(left, top, left + more_x + 1, top + more_y + 1)
    expected = displayed[top : top + more_y + 1, left : left + more_x + 1]
    info = replace(described(width, height), rotation_degrees=90 * turns)
    assert set(coded[coded_box(box, info).slices].ravel()) == set(expected.ravel())


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_a_displayed_box_holds_what_the_coded_one_held(degrees: int) -> None:
    info, box = replace(described(64, 48), rotation_degrees=degrees), Box(10, 8, 30, 24)
    picture: Picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    displayed = displayed_picture(picture, info)
    assert displayed.shape[1::-1] == displayed_size(info)
    np.testing.assert_array_equal(displayed[displayed_box(box, info).slices], displayed_picture(picture[box.slices], info))
