"""Marks drawn into windows, compared with a pixel-by-pixel drawing of the whole picture."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Kind, Placement
from service.pipeline.remove.mark_windows import (
    MAX_CACHED_MASKS,
    MAX_CACHED_WINDOWS,
    MIN_ANIMATION_SIGMA,
    MarkWindows,
    dilated_hole,
    placement_hole,
)
from tests.footage import described

WIDTH, HEIGHT, TOTAL = 40, 30, 12
INFO = described(WIDTH, HEIGHT, frames=TOTAL)

views = st.builds(View, st.integers(-20, 40), st.integers(-20, 50), st.integers(4, 24), st.integers(4, 24))
kinds: st.SearchStrategy[Kind] = st.sampled_from(["overlay", "user"])


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    left, top = draw(st.integers(0, WIDTH - 4)), draw(st.integers(0, HEIGHT - 4))
    box = Box(left, top, draw(st.integers(left + 4, WIDTH)), draw(st.integers(top + 4, HEIGHT)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    mask = (rng.random((box.height, box.width)) > 0.8).astype(np.float32)
    opacity, *colour = rng.random((4, box.height, box.width)).astype(np.float32)
    first = draw(st.integers(0, TOTAL - 1))
    sigma = draw(st.sampled_from([0.25, opacity / 2]))
    return Placement(first, draw(st.integers(first, TOTAL - 1)), box, mask, opacity, np.stack(colour), 1.0, draw(kinds), sigma)


def whole_picture(marks: list[Placement], index: int) -> NDArray[np.float32]:
    """Mask, opacity, opacity sigma, red, green, blue of a frame: (6, 3 * HEIGHT, 3 * WIDTH), the picture in the middle, marked outside."""
    planes = np.zeros((6, 3 * HEIGHT, 3 * WIDTH), np.float32)
    planes[:2] = 1
    planes[:2, HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH] = 0
    for mark in (mark for mark in marks if mark.covers(index)):
        for y, x in zip(*np.nonzero(placement_hole(mark)), strict=True):
            sigma = mark.opacity_sigma if isinstance(mark.opacity_sigma, float) else mark.opacity_sigma[y, x]
            planes[:, HEIGHT + mark.box.top + y, WIDTH + mark.box.left + x] = [1, mark.opacity[y, x], sigma, *mark.colour[:, y, x]]
    return planes


@settings(max_examples=60, deadline=None)
@given(st.lists(placements(), max_size=4), views, st.integers(0, TOTAL - 1))
def test_windows_and_hidden_pixels_are_crops_of_the_whole_picture(marks: list[Placement], view: View, index: int) -> None:
    windows = MarkWindows(marks, INFO)
    padded = np.pad(whole_picture(marks, index), [(0, 0), (60, 60), (60, 60)], mode="edge")
    crop = padded[:, HEIGHT + 60 + view.top :, WIDTH + 60 + view.left :][:, : view.height, : view.width]
    for _ in range(2):  # first drawn, then cached
        drawn = windows.window_of(index, view)
        assert drawn.colour.shape == (3, view.height, view.width)
        np.testing.assert_array_equal(np.concatenate([drawn.mask, drawn.opacity, drawn.opacity_sigma, drawn.colour]), crop)
        np.testing.assert_array_equal(windows.hidden_pixels(index, view), crop[0] > 0)
    assert windows.active(index) == tuple(n for n, mark in enumerate(marks) if mark.first_frame <= index <= mark.last_frame)


def test_the_mask_of_a_user_is_the_hole_as_drawn() -> None:
    mask = np.zeros((20, 20), np.float32)
    mask[8:12, 8:12] = 1
    ones = np.ones((20, 20), np.float32)
    by_kind = {kind: Placement(0, 1, Box(0, 0, 20, 20), mask, ones, np.stack([ones] * 3), 1.0, kind) for kind in ("overlay", "user")}
    np.testing.assert_array_equal(placement_hole(by_kind["user"]), mask)
    assert placement_hole(by_kind["overlay"]).sum() > mask.sum()


@pytest.mark.parametrize("dilation_pixels", [1, 2])
def test_the_hole_of_a_detected_mark_is_dilated_by_its_own_number_of_pixels(dilation_pixels: int) -> None:
    mask = np.zeros((20, 20), np.float32)
    mask[8:12, 8:12] = 1
    found = Placement(0, 1, Box(0, 0, 20, 20), mask, mask, np.stack([mask] * 3), 1.0, dilation_pixels=dilation_pixels)
    rows, columns = np.nonzero(placement_hole(found))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        8 - dilation_pixels,
        11 + dilation_pixels,
        8 - dilation_pixels,
        11 + dilation_pixels,
    )


def test_the_hole_includes_the_pixels_that_an_animated_mark_reaches_at_times() -> None:
    mask, sigma = np.zeros((2, 32, 32), np.float32)
    mask[12:20, 12:20], sigma[8:24, 8:24] = 1, 2 * MIN_ANIMATION_SIGMA
    animated = Placement(0, 9, Box(0, 0, 32, 32), mask, mask, np.ones((3, 32, 32), np.float32), 1.0, "overlay", sigma)
    np.testing.assert_array_equal(placement_hole(animated), sigma > 0)
    np.testing.assert_array_equal(
        placement_hole(replace(animated, opacity_sigma=0.1 * sigma)), dilated_hole(mask, animated.dilation_pixels)
    )
    np.testing.assert_array_equal(placement_hole(replace(animated, kind="user")), mask)


def test_windows_are_the_same_after_they_were_dropped_from_the_cache() -> None:
    """More windows and more sets of marks than the caches hold."""
    mark = np.ones((4, 4), np.float32)
    colour = np.stack([mark] * 3)
    marks = [Placement(i, i, Box(i, i, i + 4, i + 4), mark, mark, colour, 1.0) for i in range(max(MAX_CACHED_MASKS, TOTAL) + 4)]
    windows, all_views = MarkWindows(marks, INFO), [View(i % 7, i, 12, 12) for i in range(MAX_CACHED_WINDOWS + 8)]
    for view in [*all_views, *all_views]:
        for index in (0, 5, 11):
            np.testing.assert_array_equal(windows.window_of(index, view).mask[0] > 0, MarkWindows(marks, INFO).hidden_pixels(index, view))


def test_what_lies_outside_the_active_picture_is_hidden_like_what_lies_outside_the_picture() -> None:
    mark = np.ones((4, 4), np.float32)
    windows, view = (
        MarkWindows([Placement(0, 9, Box(8, 8, 12, 12), mark, mark, np.stack([mark] * 3), 1.0)], INFO),
        View(0, 0, HEIGHT, WIDTH),
    )
    before = windows.window_of(3, view)
    windows.limit_to(Box(0, 5, WIDTH, 25))
    limited, hidden = windows.window_of(3, view), windows.hidden_pixels(3, view)
    bars = np.ones((HEIGHT, WIDTH), bool)
    bars[5:25] = False
    assert hidden[bars].all()
    assert limited.mask[0][bars].all()
    assert limited.opacity[0][bars].all()
    np.testing.assert_array_equal(limited.mask[0][~bars], before.mask[0][~bars])
    np.testing.assert_array_equal(hidden[~bars], before.mask[0][~bars] > 0)
