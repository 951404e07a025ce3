"""The edge alpha of opaque marks."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Floats, Mask
from models.preprocess import pull_push
from service.pipeline.marks.mark_model import PredictedMark
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.edge_alpha import with_edge_alpha
from service.pipeline.measure.opacity import OpacityFit
from tests.footage import pan

HEIGHT, WIDTH, FRAMES = 96, 160, 12
LETTERS = np.zeros((4 * HEIGHT, 4 * WIDTH), np.float32)
for left in range(80, 560, 120):  # strokes of eight pixels, none of whose edges lies between two pixels
    cv2.line(LETTERS, (left, 90), (left + 50, 290), 1.0, 34)
TRUE: Floats = cv2.resize(LETTERS, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
MASK = TRUE > 0.05
EDGE, CORE = MASK & (TRUE < 0.9), TRUE > 0.99
WHITE = np.ones((3, HEIGHT, WIDTH), np.float32)
NONE = np.zeros_like(MASK)


def predicted(factor: float = 0.97, hides: float = 1.0) -> PredictedMark:
    """A prediction whose opacities are too low by a factor; where the mark is opaque it hides the scene with this probability."""
    opacity, sigma = np.float32(factor) * TRUE, np.full_like(TRUE, 0.15)
    return PredictedMark(MASK.astype(np.float32), opacity, WHITE, sigma, np.where(TRUE > 0.95, np.float32(hides), 0).astype(np.float32))


def opaque_fit(model: PredictedMark, pixels: Mask = MASK) -> OpacityFit:
    return OpacityFit(replace(model, opacity=np.ones_like(model.opacity)), pixels)


def test_the_edge_of_an_opaque_mark_has_the_predicted_share_of_its_level() -> None:
    for factor in (0.97, 0.8):  # a level that is too low is that of an opaque part nevertheless
        found = with_edge_alpha(opaque_fit(predicted(factor)), predicted(factor), NONE)
        assert np.abs(found.opacity - TRUE)[EDGE].mean() < 0.06
        assert found.opacity[CORE].min() > 0.99


def test_what_hides_the_scene_is_opaque_whatever_opacity_was_predicted() -> None:
    prediction = predicted()
    doubtful = replace(prediction, opacity=np.where(CORE & (np.arange(WIDTH) < 80), np.float32(0.5), prediction.opacity))
    assert with_edge_alpha(opaque_fit(doubtful), doubtful, NONE).opacity[CORE].min() == 1
    unsure = replace(doubtful, hides=0 * doubtful.hides)
    assert with_edge_alpha(opaque_fit(unsure), unsure, NONE).opacity[CORE].min() < 0.7


def test_the_un_blended_edge_is_closer_to_the_scene_than_a_fill() -> None:
    scenes = np.stack(pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)).transpose(0, 3, 1, 2) / np.float32(255)
    crops = scenes * (1 - TRUE) + TRUE
    prediction = predicted()
    found = with_edge_alpha(opaque_fit(prediction), prediction, NONE)
    used, a = EDGE & (found.opacity < 0.9), found.opacity
    unblended = (crops - a * found.colour) / np.maximum(1 - a, 0.05)
    fills = np.stack([pull_push(c.transpose(1, 2, 0), 1 - MASK.astype(np.float32)).transpose(2, 0, 1) for c in crops])
    assert used.sum() > 0.5 * EDGE.sum()
    assert np.square(unblended - scenes)[..., used].mean() < 0.5 * np.square(fills - scenes)[..., used].mean()


def test_pixels_beyond_the_widest_dilation_stay() -> None:
    prediction = predicted()
    fit = opaque_fit(prediction)
    found = with_edge_alpha(fit, prediction, NONE)
    square = np.ones((2 * WIDE_PIXELS + 1, 2 * WIDE_PIXELS + 1), np.uint8)
    beyond = cv2.dilate(MASK.astype(np.uint8), square) == 0
    np.testing.assert_array_equal(found.opacity[beyond], fit.model.opacity[beyond])
    np.testing.assert_array_equal(found.mask, prediction.mask)
    np.testing.assert_array_equal(found.opacity_sigma, prediction.opacity_sigma)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_a_translucent_mark_stays_as_it_is(level: float) -> None:
    model = replace(predicted(), opacity=np.float32(level) * TRUE)
    found = with_edge_alpha(OpacityFit(model, np.zeros_like(MASK)), predicted(), NONE)
    np.testing.assert_array_equal(found.opacity, model.opacity)


def test_towards_pixels_that_were_missed_an_opaque_mark_has_no_edge() -> None:
    """Both networks see the rim of a plate only; its middle is known to be opaque for another reason."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    plate = (abs(rows - 48) < 30) & (abs(columns - 80) < 50)
    missed = (abs(rows - 48) < 20) & (abs(columns - 80) < 40)
    rim = plate & ~missed
    opacity, hides = (np.float32(share) * rim.astype(np.float32) for share in (0.7, 0.6))
    seen = PredictedMark(rim.astype(np.float32), opacity, WHITE, np.full_like(TRUE, 0.1), hides)
    blurred = replace(seen, opacity=cv2.GaussianBlur(opacity, (5, 5), 0), hides=cv2.GaussianBlur(hides, (5, 5), 0))
    found = with_edge_alpha(opaque_fit(blurred, rim), blurred, missed)
    inside = (abs(rows - 48) < 27) & (abs(columns - 80) < 47)
    assert found.opacity[inside].min() == 1
    assert found.opacity[rim & ~inside].min() < 1
