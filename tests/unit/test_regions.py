"""A large mark is restored in regions around its pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import Mask
from service.pipeline.placement import Box
from service.pipeline.remove.regions import CONTEXT_PIXELS, GAP_PIXELS, MAX_CLUSTERS, regions
from service.pipeline.remove.tiles import TILE_PIXELS

LEFT, TOP = 7, 5
SIZE = st.integers(20, 700)


def words(height: int, width: int, places: list[tuple[int, int]]) -> Mask:
    hole = np.zeros((height, width), bool)
    for y, x in places:
        hole[y : y + 12, x : x + 60] = True
    hole[0, 0] = True
    return hole


@given(SIZE, SIZE, st.lists(st.tuples(st.integers(0, 650), st.integers(0, 650)), max_size=12))
def test_every_pixel_of_the_hole_is_restored_in_one_region(height: int, width: int, places: list[tuple[int, int]]) -> None:
    hole = words(height, width, places)
    box = Box(LEFT, TOP, LEFT + width, TOP + height)
    restored = np.zeros(hole.shape, int)
    for region in regions(box, hole):
        of = slice(region.box.top - TOP, region.box.bottom - TOP), slice(region.box.left - LEFT, region.box.right - LEFT)
        restored[of] += region.hole
        weight = np.zeros(region.hole.shape)
        for tile in region.tiles:
            assert max(tile.seen.width, tile.seen.height) <= TILE_PIXELS
            rows = slice(tile.seen.top - region.box.top, tile.seen.bottom - region.box.top)
            weight[rows, tile.seen.left - region.box.left : tile.seen.right - region.box.left] += tile.weight
        np.testing.assert_allclose(weight[region.hole], 1, atol=1e-5)
    np.testing.assert_array_equal(restored, hole)


def test_a_mark_of_one_tile_is_one_region() -> None:
    box = Box(10, 20, 10 + TILE_PIXELS, 20 + TILE_PIXELS)
    (region,) = regions(box, words(TILE_PIXELS, TILE_PIXELS, [(200, 150)]))
    assert region.box == box


def test_words_far_apart_are_restored_by_themselves_with_context() -> None:
    hole = np.zeros((600, 900), bool)
    hole[100:120, 100:180] = hole[400:420, 600:680] = True
    found = regions(Box(0, 0, 900, 600), hole)
    assert sorted((region.box.left, region.box.top) for region in found) == [
        (100 - CONTEXT_PIXELS, 100 - CONTEXT_PIXELS),
        (600 - CONTEXT_PIXELS, 400 - CONTEXT_PIXELS),
    ]


def test_the_letters_of_a_word_stay_together() -> None:
    hole = np.zeros((600, 900), bool)
    for letter in range(5):
        hole[100:130, 100 + letter * (10 + GAP_PIXELS) : 110 + letter * (10 + GAP_PIXELS)] = True
    hole[400:420, 600:680] = True
    assert len(regions(Box(0, 0, 900, 600), hole)) == 2


def test_what_costs_no_more_together_stays_together() -> None:
    hole = np.zeros((600, 900), bool)
    hole[100:110, 100:110] = hole[100:110, 110 + GAP_PIXELS + 2 : 120 + GAP_PIXELS + 2] = True
    hole[500:520, 600:680] = True
    assert len(regions(Box(0, 0, 900, 600), hole)) == 2


def test_a_dense_mark_is_restored_in_tiles() -> None:
    hole = np.zeros((600, 900), bool)
    hole[::20, ::3] = True
    (region,) = regions(Box(0, 0, 900, 600), hole)
    assert len(region.tiles) > 1
    assert region.hole.sum() == hole.sum()


def test_specks_all_over_the_picture_are_not_restored_one_by_one() -> None:
    hole = np.zeros((2400, 2400), bool)
    hole[::100, ::100] = True
    assert hole.sum() > MAX_CLUSTERS
    assert len(regions(Box(0, 0, 2400, 2400), hole)) == 1
