"""Crops along a path: in its own frame of reference a shape stands still."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.preprocess import SEGMENTER_FRAMES
from service.pipeline.locate.aligned_crops import AlignedCrops
from service.pipeline.locate.closer_look import SURROUNDINGS_PIXELS
from service.pipeline.picture.view import View

HEIGHT, WIDTH = 200, 320
SHAPE = View(60, 50, 12, 20)  # in the frame of reference, which lies at (0, 0) at first


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(-3, 3), st.integers(-2, 4))
def test_the_shape_stands_still_in_them_and_the_scene_moves(count: int, dy: int, dx: int) -> None:
    rng = np.random.default_rng(1)
    scene, mark = rng.integers(0, 200, (HEIGHT, WIDTH, 3), np.uint8), rng.integers(200, 256, (SHAPE.height, SHAPE.width, 3), np.uint8)
    along, shown = AlignedCrops(), 0
    for index in range(count):
        view = SHAPE.moved(dy * index, dx * index)
        if not (0 <= view.top <= HEIGHT - view.height and 0 <= view.left <= WIDTH - view.width):
            break
        picture = scene.copy()
        picture[view.top : view.top + view.height, view.left : view.left + view.width] = mark
        along.add(picture, view, (dy * index, dx * index))
        shown += 1
    grown = SHAPE.grown(2)  # it has grown since
    crops = along.crops(grown)
    margin = SURROUNDINGS_PIXELS + 2
    assert crops.shape == (min(SEGMENTER_FRAMES, shown), 3, SHAPE.height + 2 * margin, SHAPE.width + 2 * margin)
    inside = crops[:, :, margin : margin + SHAPE.height, margin : margin + SHAPE.width]
    np.testing.assert_array_equal(inside, np.broadcast_to(mark.transpose(2, 0, 1), inside.shape))
    if shown > 1 and (dy, dx) != (0, 0):
        assert (crops[0] != crops[-1]).any()


def test_few_are_kept_of_a_long_path() -> None:
    along, picture = AlignedCrops(margin=4), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index in range(1000):
        along.add(picture + np.uint8(index % 250), SHAPE, (0, 0))
    assert len(along.crops(SHAPE)) == SEGMENTER_FRAMES
    assert len(along._kept) <= 2 * SEGMENTER_FRAMES
