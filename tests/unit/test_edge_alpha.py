"""What shines through at the rim of a mark that hides the scene."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.preprocess import pull_push
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.edge_alpha import unblend_edges
from tests.footage import pan

Floats = NDArray[np.float32]

HEIGHT, WIDTH, FRAMES = 96, 160, 12
LETTERS = np.zeros((4 * HEIGHT, 4 * WIDTH), np.float32)
for left in range(80, 560, 120):  # strokes of eight pixels, none of whose edges lies between two pixels
    cv2.line(LETTERS, (left, 90), (left + 50, 290), 1.0, 34)
TRUE: Floats = cv2.resize(LETTERS, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
MASK = TRUE > 0.05
RIM, CORE = MASK & (TRUE < 0.9), TRUE > 0.99
WHITE = np.ones((3, HEIGHT, WIDTH), np.float32)


def shown(scenes: list[NDArray[np.uint8]], opacity: Floats = TRUE) -> Floats:
    return np.stack([s.transpose(2, 0, 1) / np.float32(255) * (1 - opacity) + opacity for s in scenes])


def predicted() -> MarkModel:
    """The rim as a head sees it that blurs."""
    blurred = cv2.GaussianBlur(TRUE, (5, 5), 0)
    return MarkModel(MASK.astype(np.float32), 0.97 * blurred, WHITE, np.full_like(TRUE, 0.15))


def opaque(head: MarkModel) -> MarkModel:
    return replace(head, opacity=np.ones_like(head.opacity))


ROUGH = pan(3, FRAMES, (5, 7), WIDTH, HEIGHT)
FLAT = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * FRAMES


def errors(opacity: Floats, where: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.square(opacity - TRUE)[where].mean()))


def test_over_a_rough_scene_the_rim_is_un_blended_nearer_to_the_truth_than_the_head_saw_it() -> None:
    head = predicted()
    found = unblend_edges(shown(ROUGH), opaque(head), head)
    used = RIM & (found.opacity < 1)
    assert used.sum() > 0.5 * RIM.sum()
    assert errors(found.opacity, used) < 0.6 * errors(head.opacity, used)
    assert found.opacity[CORE].min() == 1


def test_the_unblended_rim_is_nearer_to_the_scene_than_a_fill_is() -> None:
    head, crops = predicted(), shown(ROUGH)
    found = unblend_edges(crops, opaque(head), head)
    used, a = RIM & (found.opacity < 0.9), found.opacity
    scenes = np.stack(ROUGH).transpose(0, 3, 1, 2) / np.float32(255)
    unblended = (crops - a * found.colour) / np.maximum(1 - a, 0.05)
    fills = np.stack([pull_push(c.transpose(1, 2, 0), 1 - MASK.astype(np.float32)).transpose(2, 0, 1) for c in crops])
    assert np.square(unblended - scenes)[..., used].mean() < 0.5 * np.square(fills - scenes)[..., used].mean()


def test_over_a_flat_scene_all_is_filled() -> None:
    head = predicted()
    found = unblend_edges(shown(FLAT), opaque(head), head)
    assert (found.opacity[RIM] == 1).mean() > 0.9


def test_beyond_the_margin_nothing_is_touched() -> None:
    head = predicted()
    found = unblend_edges(shown(ROUGH), opaque(head), head)
    square = np.ones((2 * WIDE_PIXELS + 1, 2 * WIDE_PIXELS + 1), np.uint8)
    beyond = cv2.dilate(MASK.astype(np.uint8), square) == 0
    assert (found.opacity[beyond] == 1).all()
    np.testing.assert_array_equal(found.opacity_sigma[beyond], head.opacity_sigma[beyond])
    np.testing.assert_array_equal(found.mask, head.mask)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_a_mark_that_shines_through_everywhere_is_left_alone(level: float) -> None:
    head = predicted()
    model = replace(head, opacity=level * TRUE)
    found = unblend_edges(shown(ROUGH, level * TRUE), model, head)
    np.testing.assert_array_equal(found.opacity, model.opacity)
    np.testing.assert_array_equal(found.opacity_sigma, model.opacity_sigma)


def test_deep_in_a_mark_nothing_shines_through_whatever_the_head_sees() -> None:
    head = predicted()
    deep = cv2.distanceTransform(MASK.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > 3
    head = replace(head, opacity=np.where(deep, np.float32(0.5), head.opacity))
    found = unblend_edges(shown(ROUGH), opaque(head), head)
    assert deep.any()
    assert (found.opacity[deep] == 1).all()
