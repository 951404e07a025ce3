"""A network runs on a large picture in tiles, and on a small one at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats
from service.pipeline.picture.tiles import Area, in_tiles

SIZE = 100


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400))
def test_what_is_computed_of_each_pixel_alone_is_the_same_in_tiles(height: int, width: int) -> None:
    picture = np.random.default_rng(height + width).random((2, height, width), dtype=np.float32)
    areas: list[Area] = []

    def doubled(area: Area) -> Floats:
        areas.append(area)
        part: Floats = 2 * picture[(..., *area)]
        return part

    np.testing.assert_allclose(in_tiles(doubled, height, width, SIZE), 2 * picture, atol=1e-6)
    assert len(areas) == 1 or all((rows.stop - rows.start) * (columns.stop - columns.start) <= SIZE * SIZE for rows, columns in areas)
    assert (len(areas) == 1) == (height * width <= SIZE * SIZE)
