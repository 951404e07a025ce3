"""The edge alpha of opaque marks."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.arrays import Bytes, Floats, Mask
from models.preprocess import pull_push
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.edge_alpha import fit_edge_alpha
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


def crops_of(scenes: list[Bytes], opacity: Floats = TRUE) -> Floats:
    """(N, 3, h, w): a white mark over the scenes."""
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - opacity) + opacity for s in scenes])


def predicted() -> MarkModel:
    """A prediction whose edge is blurred."""
    blurred = cv2.GaussianBlur(TRUE, (5, 5), 0)
    return MarkModel(MASK.astype(np.float32), 0.97 * blurred, WHITE, np.full_like(TRUE, 0.15))


def opaque_fit(model: MarkModel) -> OpacityFit:
    return OpacityFit(replace(model, opacity=np.ones_like(model.opacity)), model.pixels)


def translucent_fit(model: MarkModel) -> OpacityFit:
    return OpacityFit(model, np.zeros_like(model.pixels))


ROUGH = pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)
FLAT = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * FRAMES


def errors(opacity: Floats, where: Mask) -> float:
    return float(np.sqrt(np.square(opacity - TRUE)[where].mean()))


def test_over_a_rough_scene_the_edge_alpha_is_more_exact_than_the_prediction() -> None:
    prediction = predicted()
    found = fit_edge_alpha(crops_of(ROUGH), opaque_fit(prediction), prediction)
    used = EDGE & (found.opacity < 1)
    assert used.sum() > 0.5 * EDGE.sum()
    assert errors(found.opacity, used) < 0.6 * errors(prediction.opacity, used)
    assert found.opacity[CORE].min() == 1


def test_the_un_blended_edge_is_closer_to_the_scene_than_a_fill() -> None:
    prediction, crops = predicted(), crops_of(ROUGH)
    found = fit_edge_alpha(crops, opaque_fit(prediction), prediction)
    used, a = EDGE & (found.opacity < 0.9), found.opacity
    scenes = np.stack(ROUGH).transpose(0, 3, 1, 2) / np.float32(255)
    unblended = (crops - a * found.colour) / np.maximum(1 - a, 0.05)
    fills = np.stack([pull_push(c.transpose(1, 2, 0), 1 - MASK.astype(np.float32)).transpose(2, 0, 1) for c in crops])
    assert np.square(unblended - scenes)[..., used].mean() < 0.5 * np.square(fills - scenes)[..., used].mean()


def test_over_a_flat_scene_the_edge_is_filled() -> None:
    prediction = predicted()
    found = fit_edge_alpha(crops_of(FLAT), opaque_fit(prediction), prediction)
    assert (found.opacity[EDGE] == 1).mean() > 0.9


def test_pixels_beyond_the_widest_dilation_stay() -> None:
    prediction = predicted()
    found = fit_edge_alpha(crops_of(ROUGH), opaque_fit(prediction), prediction)
    square = np.ones((2 * WIDE_PIXELS + 1, 2 * WIDE_PIXELS + 1), np.uint8)
    beyond = cv2.dilate(MASK.astype(np.uint8), square) == 0
    assert (found.opacity[beyond] == 1).all()
    np.testing.assert_array_equal(found.opacity_sigma[beyond], prediction.opacity_sigma[beyond])
    np.testing.assert_array_equal(found.mask, prediction.mask)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_a_translucent_mark_stays_as_it_is(level: float) -> None:
    prediction = predicted()
    model = replace(prediction, opacity=level * TRUE)
    found = fit_edge_alpha(crops_of(ROUGH, level * TRUE), translucent_fit(model), prediction)
    np.testing.assert_array_equal(found.opacity, model.opacity)
    np.testing.assert_array_equal(found.opacity_sigma, model.opacity_sigma)


def test_deep_inside_an_opaque_mark_the_opacity_is_1_whatever_was_predicted() -> None:
    prediction = predicted()
    deep = cv2.distanceTransform(MASK.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > 3
    prediction = replace(prediction, opacity=np.where(deep, np.float32(0.5), prediction.opacity))
    found = fit_edge_alpha(crops_of(ROUGH), opaque_fit(prediction), prediction)
    assert deep.any()
    assert (found.opacity[deep] == 1).all()
