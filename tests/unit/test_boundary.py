"""The boundary of a uniform mark lies where the scene continues across it, even where the prior is wrong."""

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.pipeline.measure import boundary
from service.pipeline.measure.alpha_from_contrast import OpacityLevel, Slices, neighbour_slices
from service.pipeline.measure.boundary import segment_boundary
from service.pipeline.measure.noise import DIFFERENCE_CODEC_NOISE
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


def test_computed_in_pieces_it_is_what_the_formulas_say() -> None:
    generator = np.random.default_rng(5)
    crops = generator.random((3, 3, 150, 301), np.float32)  # of three pieces
    prior = generator.normal(0, 2, (150, 301)).astype(np.float32)
    assert np.array_equal(segment_boundary(crops, LEVEL, prior), by_the_formulas(crops, LEVEL, prior))


def by_the_formulas(crops: Floats, level: OpacityLevel, prior: Floats) -> Mask:
    """What `segment_boundary` returns, with whole pictures in each step."""
    unblended = ((crops - level.opacity * level.colour[:, None, None]) / np.float32(1 - level.opacity)).astype(np.float32)
    excess = np.maximum(np.maximum(-unblended, unblended - 1), 0).max(1)
    total = np.minimum(2 * excess / np.float32(boundary.OUT_OF_RANGE_UNIT), boundary.MAX_OUT_OF_RANGE_COST).mean(0) - prior
    places = [neighbour_slices(prior.shape, offset) for offset in boundary.NEIGHBOUR_OFFSETS]
    costs = [pair_costs(crops, unblended, here, there, level) for here, there in places]
    messages = [np.zeros((2, *neither.shape), np.float32) for neither, *_ in costs]
    for _ in range(boundary.ITERATIONS):
        for (here, there), (neither, second, first, both), message in zip(places, costs, messages, strict=True):
            known_here, known_there = total[here] - message[1], total[there] - message[0]
            onward = np.minimum(second, both + known_here) - np.minimum(neither, first + known_here)
            back = np.minimum(first, both + known_there) - np.minimum(neither, second + known_there)
            change = (1 - boundary.DAMPING) * (np.stack([onward, back]) - message)
            message += change
            total[there] += change[0]
            total[here] += change[1]
    labels: Mask = total < 0
    return labels


def pair_costs(crops: Floats, unblended: Floats, here: Slices, there: Slices, level: OpacityLevel) -> list[Floats]:
    """(h, w) each: what two neighbours cost if neither, the second, the first, or both are marked."""
    first, second, first_unblended, second_unblended = (x[(..., *place)] for x in (crops, unblended) for place in (here, there))
    neither, both = (np.abs(one - other).mean(1) for one, other in ((first, second), (first_unblended, second_unblended)))
    differences = neither, np.abs(first - second_unblended).mean(1), np.abs(first_unblended - second).mean(1)
    usual = DIFFERENCE_CODEC_NOISE + np.median(neither, axis=(1, 2))[:, None, None]
    weakened = (1 - level.opacity) ** boundary.SCENE_SHARE * both
    return [
        boundary.PAIR_WEIGHT * np.minimum(difference / usual, boundary.MAX_PAIR_COST).mean(0) for difference in (*differences, weakened)
    ]
