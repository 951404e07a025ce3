"""The outline of an even mark is where the scene goes on across it, whatever was believed of its pixels before."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.measure.alpha_from_contrast import OpacityLevel
from service.pipeline.measure.boundary import label_boundary
from tests.footage import texture
from training.metrics import f1

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

HEIGHT, WIDTH, FRAMES = 96, 200, 6
RINGS = np.zeros((HEIGHT, WIDTH), np.uint8)
for centre in (50, 100, 150):
    cv2.circle(RINGS, (centre, 48), 24, 1, thickness=7)
TRUTH = RINGS > 0
LEVEL = OpacityLevel(0.35, np.array([0.95, 0.95, 0.9], np.float32))


def shown(scenes: Floats, level: OpacityLevel = LEVEL) -> Floats:
    a = level.opacity * cv2.GaussianBlur(TRUTH.astype(np.float32), (3, 3), 0)
    covered: Floats = (scenes * (1 - a) + a * level.colour[:, None, None]).astype(np.float32)
    return covered


def scenes(seed: int = 0) -> Floats:
    """(N, 3, h, w)."""
    return np.stack([texture(seed + k, WIDTH, HEIGHT, 6) for k in range(FRAMES)]).transpose(0, 3, 1, 2)


def odds(mask: Mask, sure: float = 2) -> Floats:
    return np.where(mask, np.float32(sure), np.float32(-sure))


def test_a_counter_that_was_taken_for_mark_is_none() -> None:
    believed = TRUTH | (cv2.circle(np.zeros_like(RINGS), (100, 48), 24, 1, thickness=-1) > 0)
    found = label_boundary(shown(scenes()), LEVEL, odds(believed, 1))
    assert f1(found, TRUTH) > 0.97 > f1(believed, TRUTH)


def test_where_nothing_was_known_the_marks_strokes_go_on() -> None:
    known = np.abs(np.arange(WIDTH) - 120) > 4
    found = label_boundary(shown(scenes()), LEVEL, odds(TRUTH, 1) * known)
    assert f1(found, TRUTH) > 0.97 > f1(TRUTH & known, TRUTH)


def test_an_edge_of_the_scene_that_was_taken_for_mark_is_none() -> None:
    bright = scenes()
    bright[..., 40:52, :] += 0.3
    believed = odds(TRUTH, 1)
    believed[40:52] = np.maximum(believed[40:52], 0)
    assert f1(label_boundary(shown(bright), LEVEL, believed), TRUTH) > 0.95


def test_over_a_scene_of_the_marks_own_colour_what_was_believed_holds() -> None:
    same = np.broadcast_to(LEVEL.colour[:, None, None], (FRAMES, 3, HEIGHT, WIDTH))
    believed = TRUTH & (np.arange(WIDTH) > 80)
    assert np.array_equal(label_boundary(shown(same.copy()), LEVEL, odds(believed)), believed)


def test_a_scene_that_would_have_been_darker_than_black_had_no_mark() -> None:
    dark = np.full((FRAMES, 3, HEIGHT, WIDTH), 0.02, np.float32)
    believed = np.ones_like(TRUTH)
    assert not label_boundary(dark, LEVEL, odds(believed, 0.3)).any()


def test_one_still_picture_is_enough() -> None:
    believed = TRUTH | (cv2.circle(np.zeros_like(RINGS), (100, 48), 24, 1, thickness=-1) > 0)
    assert f1(label_boundary(shown(scenes())[:1], LEVEL, odds(believed, 1)), TRUTH) > 0.95
