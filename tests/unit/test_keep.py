"""Kept boxes: nothing changes in them, bit for bit, and marks that lie in them altogether are not marks to remove."""

from dataclasses import replace

import numpy as np
import pytest

from service.errors import RequestError
from service.pipeline.placement import Box
from service.pipeline.remove.keep import KeptBoxes
from service.pipeline.video import Frame, PixelFormat, Timeline
from service.timed_box import parse_box
from tests.footage import described, placement

TIMELINE = Timeline(range(40), described(64, 48).time_base)
FORMS = [PixelFormat("yuv420p", 8, 1, 1), PixelFormat("yuv422p", 8, 0, 1), PixelFormat("yuv444p10le", 10, 0, 0)]


def kept(*boxes: str, form: PixelFormat = FORMS[0]) -> KeptBoxes:
    return KeptBoxes.of(map(parse_box, boxes), replace(described(64, 48), pixel_format=form), TIMELINE)


def frame(index: int, value: int, form: PixelFormat) -> Frame:
    """A frame of one value, of odd size, so that it ends inside a chroma sample."""
    chroma = -(-47 >> form.chroma_shift_y), -(-63 >> form.chroma_shift_x)
    luma, first, second = (np.full(shape, value, np.uint8) for shape in ((47, 63), chroma, chroma))
    return Frame(index, index, (luma, first, second))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("box", ["3,5,20,18", "0.5,0.5,1,1"])
def test_every_sample_that_covers_a_kept_pixel_is_restored(form: PixelFormat, box: str) -> None:
    """The oracle is luma-sized: which pixels are kept, and which samples cover one of them."""
    marked, clean = frame(0, 10, form), frame(0, 200, form)
    restored = kept(box, form=form).restored(marked, clean)
    pixels = np.zeros((48, 64), bool)
    pixels[(slice(5, 18), slice(3, 20)) if box.startswith("3") else (slice(24, 48), slice(32, 64))] = True
    shifts = [(0, 0), *[(form.chroma_shift_x, form.chroma_shift_y)] * 2]
    for plane, (shift_x, shift_y) in zip(restored.planes, shifts, strict=True):
        blocks = pixels.reshape(48 >> shift_y, 1 << shift_y, 64 >> shift_x, 1 << shift_x).any((1, 3))
        expected = np.where(blocks, 10, 200)[: plane.shape[0], : plane.shape[1]]
        np.testing.assert_array_equal(plane, expected)
    assert all((plane == 200).all() for plane in clean.planes), "the frame that was given is left as it was"


def test_a_box_is_kept_in_its_seconds_only() -> None:
    boxes = kept("0,0,10,10@0.5-1")  # frames 12 to 24
    changed = [int(boxes.restored(frame(i, 10, FORMS[0]), frame(i, 200, FORMS[0])).planes[0][0, 0]) for i in range(40)]
    assert [index for index, value in enumerate(changed) if value == 10] == list(range(12, 25))


def test_a_mark_that_is_kept_altogether_is_no_mark_to_remove() -> None:
    inside, across = placement(0, 9, Box(4, 4, 10, 10)), placement(0, 9, Box(4, 4, 30, 10))
    assert kept("0,0,12,12").spare([inside, across]) == [across]
    assert kept("0,0,12,12", "12,0,40,40").spare([inside, across]) == []
    assert kept().spare([inside, across]) == [inside, across]


def test_a_mark_that_is_kept_for_a_part_of_its_time_is_removed_in_the_rest() -> None:
    mark = placement(0, 30, Box(4, 4, 10, 10))
    assert kept("0,0,12,12@0-1").spare([mark]) == [mark]
    assert kept("0,0,12,12@0-1", "0,0,12,12@1-2").spare([mark]) == []


def test_only_the_pixels_of_the_mark_count_not_its_box() -> None:
    mask = np.zeros((20, 20), np.float32)
    mask[:5, :5] = 1
    assert kept("4,4,9,9").spare([placement(0, 9, Box(4, 4, 24, 24), mask)]) == []


@pytest.mark.parametrize(("box", "message"), [("64,0,70,10", "outside the picture of 64x48"), ("0,0,5,5@7-8", "after the end")])
def test_a_box_that_keeps_nothing_is_refused(box: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        kept(box)
