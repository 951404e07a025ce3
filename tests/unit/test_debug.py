"""Samples of a run: which frames are kept, and that they are small and undistorted."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from service.pipeline.placement import Box, Placement
from service.pipeline.report.contact_sheet import Sample
from service.pipeline.report.debug import SAMPLE_PIXELS, FrameSampler
from service.pipeline.video import Frame, PixelFormat
from tests.footage import described, film, placement

RED, BLUE = (200, 20, 20), (20, 20, 200)


def sampled(marks: list[Placement], total: int = 5, **more: object) -> tuple[Sample, ...]:
    """The samples of a red film that becomes blue."""
    info = replace(described(64, 48), **more)  # type: ignore[arg-type]
    before, after = (film([np.full((48, 64, 3), colour, np.uint8)] * total) for colour in (RED, BLUE))
    sampler = FrameSampler(marks, info)
    for pair in zip(before, after, strict=True):
        sampler.watch(*pair)
    return sampler.samples


def half_opaque(first: int, last: int, box: Box) -> Placement:
    """A mark in the left half of its box."""
    mask = np.zeros((box.height, box.width), np.float32)
    mask[:, : box.width // 2] = 1
    return replace(placement(first, last, box, mask), opacity=np.full_like(mask, 0.5))


def test_chosen_frames_are_kept_with_mask_and_opacity() -> None:
    (only,) = sampled([half_opaque(2, 2, Box(10, 8, 30, 24))])
    assert only.frame_index == 2
    assert only.whole.marked.shape == only.whole.clean.shape == (48, 64, 3)
    assert (only.whole.marked == RED).all()
    assert (only.whole.clean == BLUE).all()
    expected = np.zeros((48, 64), bool)
    expected[8:24, 10:20] = True
    np.testing.assert_array_equal(only.whole.mask, np.where(expected, 255, 0))
    np.testing.assert_array_equal(only.whole.opacity, np.where(expected, 128, 0))
    assert only.close.mask.shape[0] < 48
    assert (only.close.mask == 255).sum() == expected.sum()


def test_pictures_are_of_square_pixels() -> None:
    (wide,) = sampled([half_opaque(2, 2, Box(10, 8, 30, 24))], sample_aspect_ratio=Fraction(2))
    assert wide.whole.marked.shape == (48, 128, 3)


@pytest.mark.parametrize(("shift_x", "shift_y"), [(0, 0), (1, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize(("width", "height"), [(1283, 717), (17, 16), (16, 333)])
def test_pictures_of_any_size_and_layout_are_kept(width: int, height: int, shift_x: int, shift_y: int) -> None:
    info = replace(described(width, height), pixel_format=PixelFormat("any", 8, shift_x, shift_y))
    chroma = (-(-height >> shift_y), -(-width >> shift_x))
    frame = Frame(0, 0, (np.full((height, width), 90, np.uint8), np.full(chroma, 90, np.uint8), np.full(chroma, 90, np.uint8)))
    corners = [Box(0, 0, 3, 3), Box(width - 3, height - 5, width, height), Box(0, 0, width, height), Box(5, 3, 6, 4)]
    sampler = FrameSampler([placement(0, 0, box) for box in corners], info)
    sampler.watch(frame, frame)
    assert len(sampler.samples) == len(corners)
    for kept in (pictures for sample in sampler.samples for pictures in (sample.whole, sample.close)):
        assert max(kept.marked.shape) <= SAMPLE_PIXELS
        assert kept.marked.shape[:2] == kept.clean.shape[:2] == kept.mask.shape == kept.opacity.shape
        assert (kept.marked == kept.marked[0, 0]).all()
