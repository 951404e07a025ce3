"""The dilation of a mark: wide where a codec leaves more of the mark than a fill would lose of the scene, narrow elsewhere."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.measure.dilation import NARROW_PIXELS, WIDE_PIXELS, dilation_pixels
from tests.footage import texture

WIDTH, HEIGHT = 160, 96
MARK = np.zeros((HEIGHT, WIDTH), bool)
MARK[30:60, 40:110:10] = MARK[30:60, 41:110:10] = MARK[30:60, 42:110:10] = True


ROUGH, SMOOTH = 1.0, 0.15


def crops_of(contrast: float) -> list[NDArray[np.uint8]]:
    """White strokes over scenes of this contrast: (3, h, w) each."""
    scenes = (0.4 + contrast * (texture(k, WIDTH, HEIGHT, 4).transpose(2, 0, 1) - 0.4) for k in range(4))
    return [np.rint(255 * np.where(MARK, np.float32(1), scene)).astype(np.uint8) for scene in scenes]


def model(mask: NDArray[np.bool_] = MARK, opacity: float = 0.8) -> MarkModel:
    plane = mask.astype(np.float32)
    return MarkModel(plane, opacity * plane, np.stack([plane] * 3), 0 * plane)


@pytest.mark.parametrize(("contrast", "expected"), [(ROUGH, NARROW_PIXELS), (SMOOTH, WIDE_PIXELS)])
def test_the_dilation_is_narrow_in_rough_scenes_and_wide_in_smooth_ones(contrast: float, expected: int) -> None:
    assert dilation_pixels(crops_of(contrast), model()) == expected


def test_a_stroke_that_was_missed_does_not_make_a_smooth_scene_rough() -> None:
    found = MARK.copy()
    found[:, 100:] = False
    assert dilation_pixels(crops_of(SMOOTH), model(found)) == WIDE_PIXELS


def test_a_mark_that_fills_its_crop_gets_the_wide_one() -> None:
    assert dilation_pixels(crops_of(ROUGH), model(np.ones_like(MARK))) == WIDE_PIXELS


@pytest.mark.parametrize("contrast", [ROUGH, SMOOTH])
def test_an_opaque_mark_gets_the_narrow_one_in_every_scene(contrast: float) -> None:
    assert dilation_pixels(crops_of(contrast), model(opacity=1)) == NARROW_PIXELS


def test_a_translucent_mark_gets_the_wide_one() -> None:
    assert dilation_pixels(crops_of(ROUGH), model(opacity=0.4)) == WIDE_PIXELS
