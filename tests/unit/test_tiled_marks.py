"""A tiled mark is found by its repetition, however faint. A repetition in the scene is rejected."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.pipeline.locate.segment import Sample
from service.pipeline.locate.tiled_marks import (
    MIN_STEP_PIXELS,
    WHITENING_SIGMA_BINS,
    autocorrelation,
    drop_pattern_pieces,
    find_tiled_pattern,
    lattice_mean,
)
from service.pipeline.locate.track import Track
from service.pipeline.marks.candidate import LatticeVector
from service.pipeline.placement import bounding_box
from tests.material import moving_picture

HEIGHT, WIDTH, FRAMES = 216, 320, 12
NOTHING, GUESS = (np.full((HEIGHT, WIDTH), value, np.float32) for value in (0, 0.03))


def word() -> np.ndarray:
    """Strokes, (18, 52) of 0 and 1."""
    return np.kron(np.random.default_rng(5).random((6, 13)) > 0.55, np.ones((3, 4))).astype(np.float32)


def pattern(lattice: tuple[LatticeVector, LatticeVector]) -> np.ndarray:
    """The word at every lattice point, (h, w)."""
    alpha = np.zeros((3 * HEIGHT, 3 * WIDTH), np.float32)
    for i in range(-12, 13):
        for j in range(-12, 13):
            top, left = (
                round(HEIGHT + 7 + i * lattice[0][0] + j * lattice[1][0]),
                round(WIDTH + 5 + i * lattice[0][1] + j * lattice[1][1]),
            )
            if 0 <= top < len(alpha) - 18 and 0 <= left < alpha.shape[1] - 52:
                alpha[top : top + 18, left : left + 52] = word()
    return alpha[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]


def textured(seed: int, moves: bool = True) -> np.ndarray:
    """(T, h, w, 3): blots with fine grain, that glide or stand still."""
    glide = moving_picture(seed, FRAMES, HEIGHT, WIDTH)
    grain = np.random.default_rng(seed).normal(0, 12, (HEIGHT, WIDTH, 1))
    frames = [np.clip(frame + np.roll(grain, 5 * i, 1), 0, 255) for i, frame in enumerate(glide if moves else glide[:1].repeat(FRAMES, 0))]
    return np.stack(frames if moves else frames[:1] * FRAMES).astype(np.float32)


def samples(frames: np.ndarray, alpha: np.ndarray | None = None, level: float = 0.2, colour: float = 255) -> list[Sample]:
    a = 0 if alpha is None else level * alpha[None, ..., None]
    return [(5 * i, np.rint(frame).astype(np.uint8)) for i, frame in enumerate((1 - a) * frames + a * colour)]


@pytest.mark.parametrize("lattice", [((0, 80), (45, 40)), ((48, -60), (48, 60)), ((50, 0), (0, 90)), ((60, 12), (-10, 85))])
@pytest.mark.parametrize(("level", "colour"), [(0.3, 255), (0.6, 90)])
def test_a_faint_word_all_over_a_moving_scene_is_found_with_its_lattice(
    lattice: tuple[LatticeVector, LatticeVector], level: float, colour: float
) -> None:
    """A grey one is darker than some parts of the scene and lighter than others."""
    alpha = pattern(lattice)
    found = find_tiled_pattern(samples(textured(1), alpha, level, colour), GUESS)
    assert found is not None
    marked, true = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for mask in (found.strokes > 0.5, alpha > 0))
    assert 2 * (marked & true).sum() / (marked.sum() + true.sum()) > 0.7
    area = abs(lattice[0][0] * lattice[1][1] - lattice[0][1] * lattice[1][0])
    (y, x), (v, u) = found.lattice
    assert abs(y * u - x * v) / area == pytest.approx(round(abs(y * u - x * v) / area), abs=0.08)  # of one cell, or of several


@pytest.mark.parametrize("moves", [True, False])
def test_a_scene_without_a_mark_has_no_pattern(moves: bool) -> None:
    for seed in range(4):
        assert find_tiled_pattern(samples(textured(seed, moves)), GUESS) is None


def test_a_single_word_is_not_a_pattern() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[90:108, 120:172] = word()
    assert find_tiled_pattern(samples(textured(1), alpha, 0.5), GUESS) is None


def test_a_fence_in_a_part_of_the_picture_is_not_a_pattern() -> None:
    alpha = pattern(((0, 80), (45, 40)))
    alpha[:, 150:] = 0
    alpha[120:] = 0
    assert find_tiled_pattern(samples(textured(1), alpha, 0.6), GUESS) is None


def test_a_few_samples_are_not_enough_without_the_segmenter() -> None:
    assert find_tiled_pattern(samples(textured(1), pattern(((0, 80), (45, 40))), 0.6)[:3], GUESS) is None


@pytest.mark.parametrize("detected_share", [1.0, 0.6])
def test_in_a_still_a_pattern_is_found_if_the_segmenter_detects_some_of_its_words(detected_share: float) -> None:
    alpha = pattern(((0, 80), (45, 40)))
    picture = samples(textured(1), alpha, 0.35)[:1]
    detected = np.random.default_rng(2).random((5, 4)) < detected_share
    probability = 0.9 * alpha * np.kron(detected, np.ones((HEIGHT // 5 + 1, WIDTH // 4)))[:HEIGHT, :WIDTH].astype(np.float32)
    found = find_tiled_pattern(picture, probability.astype(np.float32))
    assert found is not None
    marked, true = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for mask in (found.strokes > 0.5, alpha > 0))
    assert 2 * (marked & true).sum() / (marked.sum() + true.sum()) > 0.7


def test_a_wallpaper_in_which_the_segmenter_detects_nothing_is_not_a_pattern() -> None:
    alpha = pattern(((0, 80), (45, 40)))
    picture = samples(textured(1), alpha, 0.6)[:1]
    noise = np.random.default_rng(3).uniform(0, 1e-3, (HEIGHT, WIDTH)).astype(np.float32)
    assert find_tiled_pattern(picture, noise) is None
    assert find_tiled_pattern(picture, (1e-3 * alpha).astype(np.float32)) is None
    assert find_tiled_pattern(picture, NOTHING) is None
    assert find_tiled_pattern(samples(textured(1), alpha, 0.6), NOTHING) is None


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(-30, 30), st.integers(8, 60)), st.tuples(st.integers(8, 40), st.integers(-8, 8)), st.integers(0, 99))
def test_the_lattice_mean_keeps_what_repeats_and_averages_the_rest(one: LatticeVector, other: LatticeVector, seed: int) -> None:
    if abs(one[0] * other[1] - one[1] * other[0]) < 60:
        return
    y, x = np.mgrid[:70, :90]
    matrix = np.linalg.inv(np.array([one, other], float).T)
    phase = np.einsum("ij,jhw->ihw", matrix, np.stack([y, x]).astype(float))  # differs by whole numbers between lattice points
    repeats = (np.cos(2 * np.pi * phase[0]) + np.sin(2 * np.pi * phase[1])).astype(np.float32)
    np.testing.assert_allclose(lattice_mean(repeats, (one, other)), repeats, atol=1e-3)
    noise = np.random.default_rng(seed).random((70, 90)).astype(np.float32)
    assert lattice_mean(noise, (one, other)).std() < noise.std()
    assert noise.min() <= lattice_mean(noise, (one, other)).min() <= lattice_mean(noise, (one, other)).max() <= noise.max() + 1e-6


def test_tracks_that_are_pieces_of_the_pattern_are_dropped() -> None:
    alpha = pattern(((0, 80), (45, 40)))
    found = find_tiled_pattern(samples(textured(1), alpha, 0.5), GUESS)
    piece, logo = np.zeros((2, HEIGHT, WIDTH), np.float32)
    piece[:, 100:150] = alpha[:, 100:150]
    logo[10:60, 200:300] = 1
    tracks = [Track(0, 50, 10, 0, 10 * mask) for mask in (piece, logo)]
    assert drop_pattern_pieces(tracks, found) == tracks[1:]
    assert drop_pattern_pieces(tracks, None) == tracks


def test_a_piece_of_the_pattern_is_known_by_a_cut_out_too() -> None:
    alpha = pattern(((0, 80), (45, 40)))
    found = find_tiled_pattern(samples(textured(1), alpha, 0.5), GUESS)
    assert found is not None
    word = bounding_box(alpha[:, 100:150] > 0)
    cut = alpha[word.top : word.bottom, 100 + word.left : 100 + word.right] > 0
    assert found.holds(cut, word.top, 100 + word.left)
    assert not found.holds(np.ones((50, 90), bool), 10, 100)


@pytest.mark.parametrize(("dy", "dx"), [(0, -30), (-20, 0), (0, WIDTH - 10), (HEIGHT - 5, 0)])
def test_a_shape_that_reaches_beyond_the_picture_is_compared_with_what_is_in_it(dy: int, dx: int) -> None:
    alpha = pattern(((0, 80), (45, 40)))
    found = find_tiled_pattern(samples(textured(1), alpha, 0.5), GUESS)
    assert found is not None
    beyond = np.zeros((HEIGHT, WIDTH), bool)
    inside = slice(max(0, -dy), HEIGHT - max(0, dy)), slice(max(0, -dx), WIDTH - max(0, dx))
    beyond[inside] = (alpha > 0)[max(0, dy) : HEIGHT + min(0, dy), max(0, dx) : WIDTH + min(0, dx)]
    assert found.holds(beyond, dy, dx)
    assert not found.holds(~beyond, dy, dx)


@pytest.mark.parametrize("size", [(60, 90), (61, 83)])
def test_an_autocorrelation_is_weighted_by_that_of_its_window(size: tuple[int, int]) -> None:
    detail = np.random.default_rng(3).normal(0, 1, size).astype(np.float32)
    window = np.outer(*(np.hanning(side + 2)[1:-1] ** 0.25 for side in size))
    spectrum = np.abs(np.fft.fft2((detail - detail.mean()) * window, (2 * size[0], 2 * size[1])))
    half = spectrum[:, : size[1] + 1].astype(np.float32)  # the other half mirrors it
    whitened = half / (cv2.GaussianBlur(half, (0, 0), WHITENING_SIGMA_BINS) + 1e-6)
    sums = np.fft.irfft2(np.square(whitened), spectrum.shape)
    weights = np.fft.ifft2(np.square(np.abs(np.fft.fft2(window, spectrum.shape)))).real
    middle = tuple(slice(side - side // 2, side + side // 2 + 1) for side in size)
    expected = np.fft.fftshift(sums / np.maximum(weights, 0.1 * weights.max()))[middle]
    dy, dx = (np.arange(-(side // 2), side // 2 + 1) for side in size)
    far = expected[np.hypot(dy[:, None], dx) >= MIN_STEP_PIXELS]
    np.testing.assert_allclose(autocorrelation(detail), (expected - np.median(far)) / np.std(far), atol=1e-3)


@pytest.mark.parametrize("lattice", [((0, 80), (45, 40)), ((48, -60), (48, 60)), ((300, 0), (0, 90))])
def test_the_mean_of_the_others_and_the_pixel_make_up_the_mean(lattice: tuple[LatticeVector, LatticeVector]) -> None:
    values = np.random.default_rng(1).random((HEIGHT, WIDTH)).astype(np.float32)
    mean, others = lattice_mean(values, lattice), lattice_mean(values, lattice, itself=False)
    alone = others == 0
    share = (mean - others)[~alone] / (values - others)[~alone]  # of the pixel in its mean
    counts = 1 / share[np.abs(values - others)[~alone] > 0.05]
    np.testing.assert_allclose(counts, np.rint(counts), atol=0.05)
    assert counts.min() > 1.9
    np.testing.assert_allclose(mean[alone], values[alone], atol=1e-6)
