"""Windows that may lie beyond the picture, pixel by pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.picture.view import View
from service.pipeline.placement import Box

WIDTH, HEIGHT = 24, 18
views = st.builds(View, st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 20), st.integers(1, 20))
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), st.integers(0, 20), st.integers(0, 14), st.integers(1, 12), st.integers(1, 12)
)


def places(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the picture of each of the view's pixels."""
    return np.mgrid[view.top : view.top + view.height, view.left : view.left + view.width]


@given(views, boxes)
def test_what_a_view_and_a_box_share(view: View, box: Box) -> None:
    rows, columns = places(view)
    shared = (rows >= box.top) & (rows < box.bottom) & (columns >= box.left) & (columns < box.right)
    found = view.within(box)
    if found is None:
        assert not shared.any()
        return
    here, there = found
    marked = np.zeros_like(shared)
    marked[here] = True
    np.testing.assert_array_equal(marked, shared)
    numbers = np.arange(box.width * box.height).reshape(box.height, box.width)
    np.testing.assert_array_equal(numbers[there].ravel(), ((rows - box.top) * box.width + columns - box.left)[shared])


@given(views)
def test_beyond_the_picture_its_edges_are_repeated(view: View) -> None:
    picture = np.random.default_rng(0).random((3, HEIGHT, WIDTH)).astype(np.float32)
    rows, columns = places(view)
    inner = view.inner(WIDTH, HEIGHT)
    if inner is None:
        assert not ((rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)).any()
        return
    expected = picture[:, rows.clip(0, HEIGHT - 1), columns.clip(0, WIDTH - 1)]
    np.testing.assert_array_equal(view.padded(picture[:, *inner.slices], inner), expected)


@given(boxes, st.integers(0, 6), st.integers(-40, 40), st.integers(-40, 40))
def test_a_view_of_a_box_goes_there_and_back(box: Box, margin: int, dy: int, dx: int) -> None:
    view = View.of(box, margin)
    assert (view.height, view.width) == (box.height + 2 * margin, box.width + 2 * margin)
    assert view.moved(dy, dx).moved(-dy, -dx) == view
    assert View.of(box).inner(WIDTH + 20, HEIGHT + 20) == box
