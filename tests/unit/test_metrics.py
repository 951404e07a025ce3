"""The metrics, each compared with another way to compute it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import (
    MARKED,
    PSNR_CEILING_DB,
    Mean,
    Moments,
    dilated,
    f1,
    flicker,
    ghost,
    masked_share,
    motion,
    psnr,
    squared_error,
    ssim,
)  # fmt: skip


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def pictures(rng: np.random.Generator, count: int, height: int = 20, width: int = 30) -> np.ndarray:
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_psnr_equals_opencvs(rng: np.random.Generator) -> None:
    a, b = pictures(rng, 2)
    assert psnr(squared_error(a, b)) == pytest.approx(cv2.PSNR(a, b))


def test_psnr_of_a_constant_error() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert psnr(squared_error(black + np.uint8(10), black)) == pytest.approx(20 * np.log10(25.5))


def test_psnr_of_equal_pictures_and_of_no_pixels() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert psnr(squared_error(black, black)) == PSNR_CEILING_DB
    assert psnr(squared_error(black, black, np.zeros((8, 8), bool))) is None


def test_error_over_frames_and_parts_adds_up_to_the_whole(rng: np.random.Generator) -> None:
    a, b = pictures(rng, 4), pictures(rng, 4)
    where = rng.random((20, 30)) < 0.3
    parts = [squared_error(x, y, part) for x, y in zip(a, b, strict=True) for part in (where, ~where)]
    total = sum(parts, Mean())
    assert total.count == a.size
    assert total.value == pytest.approx(np.mean((a.astype(float) - b) ** 2))


def test_pictures_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        squared_error(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))


def test_ssim_is_the_mean_of_all_windows(rng: np.random.Generator) -> None:
    truth = pictures(rng, 1, 12, 15)[0]
    candidate = np.clip(truth + rng.normal(0, 30, truth.shape), 0, 255).astype(np.uint8)
    x, y = candidate.mean(axis=2), truth.mean(axis=2)
    windows = [(np.s_[i : i + 7, j : j + 7]) for i in range(6) for j in range(9)]
    assert ssim(candidate, truth) == pytest.approx(np.mean([one_window(x[w].ravel(), y[w].ravel()) for w in windows]))


def one_window(x: np.ndarray, y: np.ndarray) -> float:
    """The structural similarity of one window."""
    (xx, xy), (_, yy) = np.cov(x, y)
    c1, c2 = 6.5025, 58.5225
    return (2 * x.mean() * y.mean() + c1) * (2 * xy + c2) / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (xx + yy + c2))


def test_ssim_of_equal_pictures_is_one(rng: np.random.Generator) -> None:
    picture = pictures(rng, 1)[0]
    assert ssim(picture, picture) == pytest.approx(1)


def test_flicker_is_the_ratio_of_the_motions(rng: np.random.Generator) -> None:
    truth = pictures(rng, 5).astype(np.float64)
    ours = truth.mean(axis=0) + (truth - truth.mean(axis=0)) * 0.5
    where = rng.random((20, 30)) < 0.5
    moved = [sum((motion(c[i], c[i + 1], where) for i in range(4)), Mean()) for c in (ours, truth)]
    assert moved[1].value == pytest.approx(np.abs(np.diff(truth, axis=0))[:, where].mean())
    assert flicker(*moved) == pytest.approx(0.5)


def test_flicker_of_a_static_truth_is_undefined() -> None:
    assert flicker(Mean(5.0, 10), Mean(0.0, 10)) is None
    assert flicker(Mean(), Mean(3.0, 10)) is None


def test_ghost_is_the_correlation_over_all_marked_pixels(rng: np.random.Generator) -> None:
    truth, alphas = pictures(rng, 3), rng.random((3, 20, 30)).astype(np.float32)
    ours = truth + 20 * alphas[..., None] + rng.normal(0, 10, truth.shape)
    moments = sum((ghost(*frame) for frame in zip(ours, truth, alphas, strict=True)), Moments())
    where = alphas > MARKED
    expected = np.corrcoef((ours - truth).mean(axis=3)[where], alphas[where])[0, 1]
    assert moments.correlation == pytest.approx(expected)
    assert expected > 0.5


def test_ghost_of_a_perfect_result_or_a_flat_mark_is_undefined(rng: np.random.Generator) -> None:
    truth, other = pictures(rng, 2)
    assert ghost(truth, truth, rng.random((20, 30)).astype(np.float32)).correlation is None
    assert ghost(other, truth, np.full((20, 30), 0.5, np.float32)).correlation is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50).map(lambda p: p / 100), st.integers(1, 3))
def test_dilation_equals_opencvs(seed: int, share: float, reach: int) -> None:
    mask = np.random.default_rng(seed).random((17, 23)) < share
    square = np.ones((2 * reach + 1,) * 2, np.uint8)
    assert np.array_equal(dilated(mask, reach), cv2.dilate(mask.astype(np.uint8), square).astype(bool))


def test_f1_is_the_harmonic_mean_of_precision_and_recall(rng: np.random.Generator) -> None:
    found, truth = rng.random((20, 30)) < 0.03, rng.random((20, 30)) < 0.03
    a, b = ({*zip(*np.nonzero(cv2.dilate(m.astype(np.uint8), np.ones((3, 3)))), strict=True)} for m in (found, truth))
    precision, recall = len(a & b) / len(a), len(a & b) / len(b)
    assert f1(found, truth) == pytest.approx(2 * precision * recall / (precision + recall))


def test_f1_of_empty_and_equal_masks() -> None:
    nothing, something = np.zeros((9, 9), bool), np.eye(9, dtype=bool)
    assert (f1(nothing, nothing), f1(something, something), f1(something, nothing)) == (1, 1, 0)


def test_masked_share_adds_up(rng: np.random.Generator) -> None:
    masks = rng.random((4, 20, 30)) < 0.2
    assert sum((masked_share(mask) for mask in masks), Mean()).value == pytest.approx(masks.mean())
