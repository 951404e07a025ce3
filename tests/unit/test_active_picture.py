"""The active picture: bars are found to the pixel, whatever marks lie in them."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.placement import Box
from service.pipeline.remove.active_picture import SPREAD_PIXELS, ActivePicture
from service.pipeline.video import Frame
from tests.footage import described

WIDTH, HEIGHT = 96, 80
FULL_RANGE = described(WIDTH, HEIGHT, frames=4)
INFO = replace(FULL_RANGE, colour=replace(FULL_RANGE.colour, full_range=False))
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def frame(picture: Box | None, noise: int = 0, mark: Box | None = None) -> Frame:
    """A frame that is black, with codec noise, outside a grey picture; a mark is white."""
    luma = 16 + np.random.default_rng(noise).integers(0, noise + 1, (HEIGHT, WIDTH)).astype(np.uint8)
    if picture:
        luma[picture.slices] = 90
    if mark:
        luma[mark.slices] = 235
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Frame(0, 0, (luma.astype(np.uint8), chroma, chroma))


@given(st.integers(0, 35), st.integers(0, 35), st.integers(0, 40), st.integers(0, 40))
def test_bars_are_found_to_the_pixel(top: int, bottom: int, left: int, right: int) -> None:
    active = ActivePicture(INFO)
    picture = Box(left, top, WIDTH - right, HEIGHT - bottom)
    active.see(frame(picture, noise=3), NOTHING)
    assert active.box == picture


def test_a_mark_in_a_bar_is_no_picture() -> None:
    active, picture, mark = ActivePicture(INFO), Box(0, 10, WIDTH, 60), Box(20, 64, 70, 74)
    hidden = NOTHING.copy()
    hidden[mark.slices] = True
    active.see(frame(picture, mark=mark), hidden)
    assert active.box == picture
    active.see(frame(picture, mark=mark), NOTHING)  # the same, not known to be a mark
    assert active.box == Box(0, 10, WIDTH, 74)


def test_what_a_codec_spreads_is_no_picture() -> None:
    active, picture, mark = ActivePicture(INFO), Box(0, 10, WIDTH, 60), Box(20, 64, 70, 74)
    hidden = NOTHING.copy()
    hidden[mark.slices] = True
    shown = frame(picture, mark=mark)
    shown.planes[0][75:78, 25:60] = 40  # beside the mark
    shown.planes[0][60:62, 5:8] = 30  # below the picture
    active.see(shown, hidden)
    assert active.box == picture


@given(st.integers(0, 12), st.integers(0, 20))
def test_rows_of_which_only_a_mark_is_seen_belong_to_what_follows_them(covered: int, bar: int) -> None:
    active, hidden = ActivePicture(INFO), NOTHING.copy()
    hidden[HEIGHT - bar - covered : HEIGHT - bar] = True
    active.see(frame(Box(0, 0, WIDTH, HEIGHT - bar)), hidden)
    visible_bar = max(0, bar - SPREAD_PIXELS) if covered else bar
    assert active.box == Box(0, 0, WIDTH, HEIGHT - visible_bar)


def test_what_was_lit_once_stays_picture() -> None:
    active = ActivePicture(INFO)
    assert active.box == Box(0, 0, WIDTH, HEIGHT)
    active.see(frame(None), NOTHING)
    assert active.box == Box(0, 0, WIDTH, HEIGHT)
    active.see(frame(Box(0, 10, WIDTH, 60)), NOTHING)
    active.see(frame(Box(0, 30, 40, 40)), NOTHING)
    active.see(frame(None), NOTHING)
    assert active.box == Box(0, 10, WIDTH, 60)


@given(st.integers(1, 12), st.booleans())
def test_a_thin_line_on_black_says_nothing(thickness: int, upright: bool) -> None:
    """Such as the line of a title: it lights its rows, but not enough of any column."""
    line = Box(40, 0, 40 + min(thickness, 8), HEIGHT) if upright else Box(0, 30, WIDTH, 30 + min(thickness, 7))
    active = ActivePicture(INFO)
    active.see(frame(line), NOTHING)
    assert active.box == Box(0, 0, WIDTH, HEIGHT)
    active.see(frame(Box(0, 10, WIDTH, 60)), NOTHING)
    active.see(frame(line), NOTHING)
    assert active.box == Box(0, 10, WIDTH, 60)


def test_black_is_zero_in_full_range() -> None:
    active = ActivePicture(FULL_RANGE)
    active.see(frame(Box(0, 10, WIDTH, 60)), NOTHING)
    assert active.box == Box(0, 0, WIDTH, HEIGHT)
