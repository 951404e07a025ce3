"""A person's box in pixels of the picture."""

import pytest

from service.errors import RequestError
from service.pipeline.placement import Box, pixel_box
from service.timed_box import parse_box


def test_fractions_scale_with_the_picture_and_pixels_do_not() -> None:
    assert pixel_box(parse_box("0.25,0.5,0.5,1"), 640, 360) == Box(160, 180, 320, 360)
    assert pixel_box(parse_box("160,180,320,360"), 640, 360) == Box(160, 180, 320, 360)
    assert pixel_box(parse_box("0,0,1,1"), 641, 361) == Box(0, 0, 641, 361)


def test_a_box_covers_every_pixel_it_touches_and_is_cut_at_the_edge() -> None:
    assert pixel_box(parse_box("10.5,20.5,30.2,40.2"), 640, 360) == Box(10, 20, 31, 41)
    assert pixel_box(parse_box("600,300,900,900"), 640, 360) == Box(600, 300, 640, 360)


@pytest.mark.parametrize("text", ["640,0,700,10", "0,360,10,400"])
def test_a_box_outside_the_picture_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="outside the picture of 640x360"):
        pixel_box(parse_box(text), 640, 360)
