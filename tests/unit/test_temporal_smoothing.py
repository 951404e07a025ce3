"""A still scene is averaged over time. Where something moves, beside or behind the mark, the restored pixels are kept."""

import numpy as np
import pytest

from service.pipeline.placement import Box
from service.pipeline.remove.temporal_smoothing import MAX_HISTORY_WEIGHT, TemporalSmoother, gated_average

BOX = Box(10, 20, 106, 84)
RNG_SEED = 3


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth window (3, 64, 96) and the mask (64, 96) of its restored pixels."""
    columns = np.linspace(0.2, 0.8, 96, dtype=np.float32)
    window = np.broadcast_to(columns, (3, 64, 96)) + rng.normal(0, 0.02, (3, 1, 1)).astype(np.float32)
    mask = np.zeros((64, 96), np.float32)
    mask[24:40, 30:66] = 1
    return window.astype(np.float32), mask


def _run(frames: list[np.ndarray], mask: np.ndarray, opacity: float = 1.0) -> list[np.ndarray]:
    smoother = TemporalSmoother()
    return [smoother.smooth(index, BOX, frame, mask, opacity * mask) for index, frame in enumerate(frames)]


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_noise_in_a_still_scene_falls_as_in_a_recursive_average(opacity: float) -> None:
    rng = np.random.default_rng(RNG_SEED)
    scene, mask = _scene(rng)
    noise = [rng.normal(0, 0.01, scene.shape).astype(np.float32) * mask for _ in range(40)]
    restored = _run([scene + n for n in noise], mask, opacity)
    inside = mask > 0
    noise_share = np.std([(r - scene)[:, inside] for r in restored[20:]]) / np.std([n[:, inside] for n in noise[20:]])
    weight = MAX_HISTORY_WEIGHT * opacity
    assert noise_share == pytest.approx(((1 - weight) / (1 + weight)) ** 0.5, rel=0.15)


def test_pixels_outside_the_mask_keep_their_bits() -> None:
    rng = np.random.default_rng(RNG_SEED)
    scene, mask = _scene(rng)
    frames = [scene + rng.normal(0, 0.004, scene.shape).astype(np.float32) for _ in range(5)]
    for restored, frame in zip(_run(frames, mask), frames, strict=True):
        assert (restored[:, mask == 0] == frame[:, mask == 0]).all()


def test_a_moving_scene_is_not_averaged() -> None:
    rng = np.random.default_rng(RNG_SEED)
    picture = np.clip(np.cumsum(rng.normal(0, 0.03, (3, 64, 140)), 2) + 0.5, 0, 1).astype(np.float32)
    _, mask = _scene(rng)
    frames = [picture[:, :, shift : shift + 96] for shift in range(0, 40, 4)]
    for restored, frame in zip(_run(frames, mask), frames, strict=True):
        assert np.abs(restored - frame).max() < 0.02


def test_something_that_moves_behind_the_mark_is_not_smeared() -> None:
    scene, mask = _scene(np.random.default_rng(RNG_SEED))
    frames = []
    for left in range(30, 58, 4):
        frame = scene.copy()
        frame[:, 26:38, left : left + 8] += 0.3  # only behind the mark, as if the rest of it were hidden
        frames.append(frame)
    before, after = frames[0], frames[1]
    assert np.abs(gated_average(after, before, mask, mask, mask) - after).max() < 0.05


def test_averaging_starts_again_after_a_gap_and_for_a_forgotten_window() -> None:
    scene, mask = _scene(np.random.default_rng(RNG_SEED))
    brighter = scene + 0.005 * mask
    smoother = TemporalSmoother()
    smoother.smooth(0, BOX, scene, mask, mask)
    assert (smoother.smooth(2, BOX, brighter, mask, mask) == brighter).all()
    assert (smoother.smooth(3, BOX, scene, mask, mask) != scene).any()
    smoother.forget(set())
    assert (smoother.smooth(4, BOX, brighter, mask, mask) == brighter).all()
