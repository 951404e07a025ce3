"""What stands still is averaged over time; what moves, in sight or behind the mark, is left as it was restored."""

import numpy as np
import pytest

from service.pipeline.placement import Box
from service.pipeline.remove.temporal_smoothing import MAX_HISTORY_WEIGHT, TemporalSmoother, gated_average

BOX = Box(10, 20, 106, 84)
RNG_SEED = 3


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth window (3, 64, 96) and the mask (64, 96) of what is restored in it."""
    columns = np.linspace(0.2, 0.8, 96, dtype=np.float32)
    window = np.broadcast_to(columns, (3, 64, 96)) + rng.normal(0, 0.02, (3, 1, 1)).astype(np.float32)
    mask = np.zeros((64, 96), np.float32)
    mask[24:40, 30:66] = 1
    return window.astype(np.float32), mask


def _run(frames: list[np.ndarray], mask: np.ndarray, opacity: float = 1.0) -> list[np.ndarray]:
    steady = TemporalSmoother()
    return [steady.smooth(index, BOX, frame, mask, opacity * mask) for index, frame in enumerate(frames)]


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_noise_in_a_still_scene_falls_as_a_recursive_average_lets_it(opacity: float) -> None:
    rng = np.random.default_rng(RNG_SEED)
    scene, mask = _scene(rng)
    noise = [rng.normal(0, 0.01, scene.shape).astype(np.float32) * mask for _ in range(40)]
    restored = _run([scene + n for n in noise], mask, opacity)
    inside = mask > 0
    left = np.std([(r - scene)[:, inside] for r in restored[20:]]) / np.std([n[:, inside] for n in noise[20:]])
    inertia = MAX_HISTORY_WEIGHT * opacity
    assert left == pytest.approx(((1 - inertia) / (1 + inertia)) ** 0.5, rel=0.15)


def test_what_is_not_restored_keeps_its_bits() -> None:
    rng = np.random.default_rng(RNG_SEED)
    scene, mask = _scene(rng)
    frames = [scene + rng.normal(0, 0.004, scene.shape).astype(np.float32) for _ in range(5)]
    for restored, frame in zip(_run(frames, mask), frames, strict=True):
        assert (restored[:, mask == 0] == frame[:, mask == 0]).all()


def test_a_scene_that_moves_is_left_alone() -> None:
    rng = np.random.default_rng(RNG_SEED)
    picture = np.clip(np.cumsum(rng.normal(0, 0.03, (3, 64, 140)), 2) + 0.5, 0, 1).astype(np.float32)
    _, mask = _scene(rng)
    frames = [picture[:, :, shift : shift + 96] for shift in range(0, 40, 4)]
    for restored, frame in zip(_run(frames, mask), frames, strict=True):
        assert np.abs(restored - frame).max() < 0.02


def test_something_that_passes_behind_the_mark_is_not_smeared() -> None:
    scene, mask = _scene(np.random.default_rng(RNG_SEED))
    frames = []
    for left in range(30, 58, 4):
        frame = scene.copy()
        frame[:, 26:38, left : left + 8] += 0.3  # under the mark only, as if the rest of it were hidden
        frames.append(frame)
    before, after = frames[0], frames[1]
    assert np.abs(gated_average(after, before, mask, mask, mask) - after).max() < 0.05


def test_a_gap_begins_anew_and_a_forgotten_window_too() -> None:
    scene, mask = _scene(np.random.default_rng(RNG_SEED))
    brighter = scene + 0.005 * mask
    steady = TemporalSmoother()
    steady.smooth(0, BOX, scene, mask, mask)
    assert (steady.smooth(2, BOX, brighter, mask, mask) == brighter).all()
    assert (steady.smooth(3, BOX, scene, mask, mask) != scene).any()
    steady.forget(set())
    assert (steady.smooth(4, BOX, brighter, mask, mask) == brighter).all()
