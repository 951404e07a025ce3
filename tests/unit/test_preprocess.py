"""Pre-processing of the networks' inputs."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blend import detail_pixels, fit_blend, local_scene
from models.preprocess import (
    edge_padded,
    filled_from_around,
    matte_statistics,
    padded,
    pooled_blend,
    pull_push,
    tentative_blend,
)
from models.spec import MATTE_STATISTICS
from tests.footage import scene

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
hundredths = st.integers(0, 100).map(lambda share: share / 100)  # not st.floats: ONNX Runtime turns denormal numbers off in its thread


@settings(max_examples=40, deadline=None)
@given(sizes, hundredths, st.integers(0, 2**32 - 1))
def test_the_fill_keeps_known_pixels_and_stays_within_their_range(size: tuple[int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((*size, 3)).astype(np.float32)
    valid = (rng.random(size) < share).astype(np.float32)
    filled = pull_push(values, valid)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[valid > 0], values[valid > 0])
    if valid.any():
        known = values[valid > 0]
        assert filled.min() >= known.min() - 1e-4
        assert filled.max() <= known.max() + 1e-4
    assert np.isfinite(filled).all()


@settings(max_examples=30, deadline=None)
@given(sizes, hundredths, st.integers(0, 2**32 - 1))
def test_a_flat_picture_is_filled_flat(size: tuple[int, int], level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    valid = (rng.random(size) < 0.4).astype(np.float32)
    valid.ravel()[rng.integers(valid.size)] = 1
    values = np.where(valid[..., None] > 0, np.float32(level), rng.random((*size, 3)).astype(np.float32)).astype(np.float32)
    np.testing.assert_allclose(pull_push(values, valid), level, atol=1e-5)


def test_a_smooth_picture_is_filled_nearly_right() -> None:
    values = scene(0, 96, 64).astype(np.float32) / 255
    valid = np.ones((64, 96), np.float32)
    valid[28:36, 40:48] = 0
    assert np.abs(pull_push(values, valid) - values).max() < 0.1


def crops(count: int, opacity: float, mask: np.ndarray) -> np.ndarray:
    clean = np.stack([scene(3 * i, 48, 40) for i in range(count)]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    return clean * (1 - opacity * mask) + np.float32(0.9) * opacity * mask


@pytest.mark.parametrize(("marked", "unmarked"), [(1, 0), (8, 0), (3, 2), (8, 4)])
def test_the_shape_of_the_statistics_does_not_depend_on_the_number_of_crops(marked: int, unmarked: int) -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[10:30, 12:36] = 1
    statistics = matte_statistics(crops(marked, 0.7, mask), mask, crops(unmarked, 0, mask) if unmarked else crops(1, 0, mask)[:0])
    assert statistics.shape == (MATTE_STATISTICS, 40, 48)
    assert statistics.dtype == np.float32
    assert np.isfinite(statistics).all()


def test_the_transmittance_and_the_difference_from_the_unmarked_mean_follow_the_opacity() -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[16:20, 20:28] = 1
    statistics = matte_statistics(crops(8, 0.75, mask), mask, crops(8, 0, mask))
    inside = mask > 0
    assert statistics[15][inside].mean() == pytest.approx(0.25, abs=0.1)  # transmittance is 1 - opacity
    unmarked_minus_marked = statistics[10:13].mean(0)[inside].mean()
    assert unmarked_minus_marked == pytest.approx(0.75 * (90 / 255 - 0.9), abs=0.05)


def test_statistics_without_a_mark_are_finite() -> None:
    nothing = np.zeros((40, 48), np.float32)
    assert np.isfinite(matte_statistics(crops(3, 0, nothing), nothing, crops(1, 0, nothing)[:0])).all()


@pytest.mark.parametrize("opacity", [0.3, 0.7])
def test_uniform_opacity_and_colour_are_found_where_the_scene_is_known(opacity: float) -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[10:30, 12:36] = 1
    found, *colour, explained = pooled_blend(crops(6, opacity, mask), crops(6, 0, mask), mask)
    assert found == pytest.approx(opacity, abs=0.02)
    assert colour == pytest.approx([0.9] * 3, abs=0.03)
    assert explained > 0.95


@pytest.mark.parametrize("opacity", [0.3, 0.5])
def test_the_tentative_blend_gives_the_level_the_colour_and_each_pixels_opacity(opacity: float) -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[14:26:4, 10:38] = mask[14:26, 10:38:6] = 1
    explained, share, level, _, beside, *colour = tentative_blend(crops(8, opacity, mask), mask)
    assert level[0, 0, 0] == pytest.approx(opacity, abs=0.04)
    assert [float(c[0, 0, 0]) for c in colour] == pytest.approx([0.9] * 3, abs=0.06)
    assert explained[0][mask > 0].mean() == pytest.approx(opacity, abs=0.08)
    assert share[0][mask > 0].mean() == pytest.approx(1, abs=0.2)
    assert beside[0, 0, 0] < 0.1


def plain_fill(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`pull_push` as its formula reads."""
    height, width = valid.shape
    weighted = values * valid[..., None]
    if min(height, width) <= 2:
        coarse = np.broadcast_to(weighted.sum((0, 1)) / max(float(valid.sum()), 1e-6), values.shape)
    else:
        size = ((width + 1) // 2, (height + 1) // 2)
        smaller, weight = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (weighted, valid))
        means = smaller / np.maximum(weight, 1e-6)[..., None]
        pushed = plain_fill(means.astype(np.float32), np.minimum(4 * weight, 1).astype(np.float32))
        coarse = cv2.resize(pushed, (width, height), interpolation=cv2.INTER_LINEAR)
    return (valid[..., None] * values + (1 - valid[..., None]) * coarse).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(sizes, hundredths, st.integers(0, 2**32 - 1))
def test_the_fill_is_that_of_its_formula_bit_for_bit(size: tuple[int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    crop, known = rng.random((3, *size)).astype(np.float32), (rng.random(size) < share).astype(np.float32)
    expected = plain_fill(np.ascontiguousarray(crop.transpose(1, 2, 0)), known).transpose(2, 0, 1)
    np.testing.assert_array_equal(filled_from_around(crop, known), expected)


def plain_opacity(colour: np.ndarray, marked: np.ndarray, scenes: np.ndarray) -> np.ndarray:
    """The least-squares opacity (h, w), from all frames (N, 3, h, w) at once."""
    effect = colour.reshape(3, 1, 1) - scenes
    return ((marked - scenes) * effect).sum((0, 1)) / ((effect * effect).sum((0, 1)) + 1e-3 * len(marked))


@pytest.mark.parametrize("opacity", [0.0, 0.4, 0.9])
def test_statistics_from_running_sums_are_those_of_all_frames_at_once(opacity: float) -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[14:26:4, 10:38] = mask[14:26, 10:38:6] = 1
    seen = crops(8, opacity, mask).astype(np.float64)
    hole = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    fills = np.stack([plain_fill(c.astype(np.float32).transpose(1, 2, 0), 1 - hole).transpose(2, 0, 1) for c in seen]).astype(np.float64)
    statistics = matte_statistics(seen.astype(np.float32), mask, seen[:0].astype(np.float32))
    grey, around = seen.mean(1), fills.mean(1)
    covariance = ((grey - grey.mean(0)) * (around - around.mean(0))).mean(0)
    np.testing.assert_allclose(statistics[1:4], seen.mean(0) - 0.5, atol=1e-5)
    np.testing.assert_allclose(statistics[14], 4 * grey.std(0), atol=1e-4)
    np.testing.assert_allclose(statistics[15], np.clip(covariance / (around.std(0) ** 2 + 1e-4), -1, 2), atol=1e-3)
    level, *colour, explained = pooled_blend(seen.astype(np.float32), fills.astype(np.float32), mask)
    np.testing.assert_allclose(statistics[16:21, 0, 0], [level, *colour, explained], atol=1e-5)
    for row, assumed in ((21, np.ones(3)), (22, np.zeros(3)), (23, np.array(colour))):
        np.testing.assert_allclose(statistics[row], np.clip(plain_opacity(assumed, seen, fills), 0, 1), atol=1e-3)


def test_each_pixels_opacity_over_the_local_scene_is_that_of_all_frames_at_once() -> None:
    mask = np.zeros((40, 48), np.float32)
    mask[14:26:4, 10:38] = mask[14:26, 10:38:6] = 1
    seen = crops(8, 0.4, mask).astype(np.float32)
    blend = fit_blend(seen, mask, np.ones((3, *mask.shape), np.float32), start=0.4)
    colour = np.clip(1 + blend.shift, 0, 1).astype(np.float32)
    _, scenes = local_scene(seen, np.minimum(blend.scale * mask, 1), colour[:, None, None], detail_pixels(mask))
    expected = np.clip(plain_opacity(colour, seen, scenes), -0.5, 1.5)
    np.testing.assert_allclose(tentative_blend(seen, mask)[0][0], expected, atol=1e-3)


edges = st.tuples(st.integers(0, 9), st.integers(0, 9))


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), edges, edges)
def test_edges_are_repeated_as_numpy_does(size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    array = np.arange(2 * size[0] * size[1], dtype=np.float32).reshape(2, *size)
    np.testing.assert_array_equal(edge_padded(array, rows, columns), np.pad(array, ((0, 0), rows, columns), mode="edge"))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 32))
def test_padding_reaches_the_next_multiple_and_keeps_the_rest(height: int, width: int, multiple: int) -> None:
    array = np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width)
    grown = padded(array, multiple)
    assert grown.shape == (2, -(-height // multiple) * multiple, -(-width // multiple) * multiple)
    np.testing.assert_array_equal(grown[:, :height, :width], array)
    assert (grown[:, height:] == grown[:, height - 1 : height]).all()
