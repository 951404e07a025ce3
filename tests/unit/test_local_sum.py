"""A sum of maps of one place is the sum of the whole maps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.locate.local_sum import LocalSum

HEIGHT, WIDTH = 30, 40
PLACES = st.tuples(st.integers(0, 29), st.integers(0, 39), st.integers(0, 12), st.integers(0, 12))


@given(st.lists(PLACES, min_size=1, max_size=6))
def test_it_is_that_of_the_whole_maps(places: list[tuple[int, int, int, int]]) -> None:
    maps = np.zeros((len(places), HEIGHT, WIDTH), np.float32)
    for number, (top, left, height, width) in enumerate(places):
        maps[number, top : top + height, left : left + width] = number + 0.5
    total = LocalSum(maps[0])
    for one in maps[1:]:
        total.add(one)
    np.testing.assert_array_equal(total.whole(), maps.sum(0))
    assert total.shape == (HEIGHT, WIDTH)


def test_only_the_place_is_held() -> None:
    picture = np.zeros((360, 640), np.float32)
    picture[100:110, 50:80] = 1
    total = LocalSum(picture)
    total.add(picture)
    held = sum(value.nbytes for value in vars(total).values() if isinstance(value, np.ndarray))
    assert held <= picture.nbytes / 100
