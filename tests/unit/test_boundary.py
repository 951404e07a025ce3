"""The boundary of a uniform mark lies where the scene continues across it, even where the prior is wrong."""

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.measure.alpha_from_contrast import OpacityLevel
from service.pipeline.measure.boundary import segment_boundary
from tests.footage import texture
from training.metrics import f1

HEIGHT, WIDTH, FRAMES = 96, 200, 6
RINGS = np.zeros((HEIGHT, WIDTH), np.uint8)
for centre in (50, 100, 150):
    cv2.circle(RINGS, (centre, 48), 24, 1, thickness=7)
TRUTH = RINGS > 0
LEVEL = OpacityLevel(0.35, np.array([0.95, 0.95, 0.9], np.float32))


def crops_of(scenes: Floats, level: OpacityLevel = LEVEL) -> Floats:
    """(N, 3, h, w): the rings over the scenes."""
    a = level.opacity * cv2.GaussianBlur(TRUTH.astype(np.float32), (3, 3), 0)
    covered: Floats = (scenes * (1 - a) + a * level.colour[:, None, None]).astype(np.float32)
    return covered


def scenes(seed: int = 0) -> Floats:
    """(N, 3, h, w)."""
    return np.stack([texture(seed + k, WIDTH, HEIGHT, 6) for k in range(FRAMES)]).transpose(0, 3, 1, 2)


def log_odds(mask: Mask, certainty: float = 2) -> Floats:
    """(h, w): `certainty` in the mask, the negative of it elsewhere."""
    return np.where(mask, np.float32(certainty), np.float32(-certainty))


def test_a_counter_that_was_suspected_is_bare() -> None:
    suspected = TRUTH | (cv2.circle(np.zeros_like(RINGS), (100, 48), 24, 1, thickness=-1) > 0)
    found = segment_boundary(crops_of(scenes()), LEVEL, log_odds(suspected, 1))
    assert f1(found, TRUTH) > 0.97 > f1(suspected, TRUTH)


def test_strokes_continue_where_the_prior_is_undecided() -> None:
    known = np.abs(np.arange(WIDTH) - 120) > 4
    found = segment_boundary(crops_of(scenes()), LEVEL, log_odds(TRUTH, 1) * known)
    assert f1(found, TRUTH) > 0.97 > f1(TRUTH & known, TRUTH)


def test_a_suspected_edge_of_the_scene_is_bare() -> None:
    bright = scenes()
    bright[..., 40:52, :] += 0.3
    suspected = log_odds(TRUTH, 1)
    suspected[40:52] = np.maximum(suspected[40:52], 0)
    assert f1(segment_boundary(crops_of(bright), LEVEL, suspected), TRUTH) > 0.95


def test_over_a_scene_of_the_marks_colour_the_prior_decides() -> None:
    same = np.broadcast_to(LEVEL.colour[:, None, None], (FRAMES, 3, HEIGHT, WIDTH))
    suspected = TRUTH & (np.arange(WIDTH) > 80)
    assert np.array_equal(segment_boundary(crops_of(same.copy()), LEVEL, log_odds(suspected)), suspected)


def test_pixels_that_would_un_blend_to_less_than_black_are_bare() -> None:
    dark = np.full((FRAMES, 3, HEIGHT, WIDTH), 0.02, np.float32)
    suspected = np.ones_like(TRUTH)
    assert not segment_boundary(dark, LEVEL, log_odds(suspected, 0.3)).any()


def test_a_still_is_enough() -> None:
    suspected = TRUTH | (cv2.circle(np.zeros_like(RINGS), (100, 48), 24, 1, thickness=-1) > 0)
    assert f1(segment_boundary(crops_of(scenes())[:1], LEVEL, log_odds(suspected, 1)), TRUTH) > 0.95
