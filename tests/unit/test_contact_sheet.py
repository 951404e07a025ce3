"""The pictures of a run: which frames are kept and what a person must find in them."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.pipeline.placement import Box, Placement
from service.pipeline.report import contact_sheet
from service.pipeline.report.contact_sheet import Sample, View
from service.pipeline.report.debug import VIEW_PIXELS, FrameSampler
from service.pipeline.report.intervals import MAX_MOMENTS, intervals, key_moments, lanes
from service.pipeline.video import Frame, PixelFormat
from tests.footage import described, film, placement

RED, BLUE = (200, 20, 20), (20, 20, 200)


def view(mark_width: int, width: int = 160, height: int = 90) -> View:
    """A red picture that becomes blue, with a mark of opacity 0.5 near its lower right corner."""
    mask = np.zeros((height, width), np.uint8)
    mask[60:75, 150 - mark_width : 150] = 255
    marked, clean = (np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy() for colour in (RED, BLUE))
    return View(marked, mask, mask // 2 + mask % 2, clean)


def sample(frame_index: int, mark_width: int) -> Sample:
    return Sample(frame_index, view(mark_width), view(mark_width, 150, 80))


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(picture.width * picture.height)}


def test_the_sheet_shows_marked_mask_opacity_and_clean_for_each_sample(tmp_path: Path) -> None:
    path = tmp_path / "looks" / contact_sheet.SHEET
    contact_sheet.write([sample(0, 40), sample(7, 40)], path)
    assert {RED, BLUE, (255, 255, 255), (128, 128, 128), (0, 0, 0)} <= colours(path)
    with Image.open(path) as two_rows:
        width, height = two_rows.size
    contact_sheet.write([sample(0, 40)], path)
    with Image.open(path) as one_row:
        assert one_row.width == width
        assert one_row.height < height


def test_before_after_takes_the_frame_with_most_of_the_mark(tmp_path: Path) -> None:
    path = tmp_path / contact_sheet.BEFORE_AFTER
    little, much = sample(0, 2), sample(1, 60)
    for shown in (much.whole, much.close):
        shown.clean[:] = (20, 200, 20)
    contact_sheet.before_after([little, much], path)
    found = colours(path)
    assert RED in found
    assert (20, 200, 20) in found
    assert BLUE not in found


def test_no_sample_gives_a_sheet_that_says_so_and_no_before_after(tmp_path: Path) -> None:
    contact_sheet.write([], tmp_path / "sheet.png")
    contact_sheet.before_after([], tmp_path / "pair.png")
    assert (tmp_path / "sheet.png").stat().st_size > 0
    assert not (tmp_path / "pair.png").exists()


# Which frames.

LEFT, RIGHT = Box(0, 0, 8, 8), Box(20, 0, 28, 8)


def test_looks_of_an_animated_mark_are_one_stay() -> None:
    looks = [placement(0, 3, LEFT), placement(4, 4, LEFT), placement(2, 9, LEFT), placement(12, 14, LEFT)]
    found = intervals([*looks, placement(5, 6, RIGHT)])
    assert [(stay.first_frame, stay.last_frame, stay.box, len(stay.placements)) for stay in found] == [
        (0, 9, LEFT, 3),
        (5, 6, RIGHT, 1),
        (12, 14, LEFT, 1),
    ]


def test_stays_that_overlap_are_in_different_lanes() -> None:
    found = intervals([placement(0, 9, LEFT), placement(5, 12, RIGHT), placement(10, 20, Box(0, 20, 8, 28))])
    assert [[stay.first_frame for stay in row] for row in lanes(found)] == [[0, 10], [5]]


def test_moments_are_few_and_show_every_place_before_one_twice() -> None:
    assert key_moments([]) == {}
    assert key_moments([placement(0, 29, LEFT)]) == {5: [LEFT], 15: [LEFT], 25: [LEFT]}
    assert key_moments([placement(0, 0, LEFT), placement(0, 0, RIGHT)]) == {0: [LEFT, RIGHT]}
    many = [placement(10 * k, 10 * k + k, Box(k, 0, k + 4, 4)) for k in range(40)]
    chosen = key_moments(many)
    assert sum(map(len, chosen.values())) == MAX_MOMENTS
    assert {box.left for boxes in chosen.values() for box in boxes} == set(range(34, 40))  # the longest
    assert all(many[boxes[0].left].covers(index) for index, boxes in chosen.items())


# What is kept of them.


def watched(marks: list[Placement], total: int = 5, **more: object) -> tuple[Sample, ...]:
    """What a witness keeps of a red film that becomes blue."""
    info = replace(described(64, 48), **more)  # type: ignore[arg-type]
    before, after = (film([np.full((48, 64, 3), colour, np.uint8)] * total) for colour in (RED, BLUE))
    witness = FrameSampler(marks, info)
    for pair in zip(before, after, strict=True):
        witness.watch(*pair)
    return witness.samples


def half_opaque(first: int, last: int, box: Box) -> Placement:
    """A mark in the left half of its box."""
    mask = np.zeros((box.height, box.width), np.float32)
    mask[:, : box.width // 2] = 1
    return replace(placement(first, last, box, mask), opacity=np.full_like(mask, 0.5))


def test_a_witness_keeps_the_wanted_frames_with_mask_and_opacity() -> None:
    (only,) = watched([half_opaque(2, 2, Box(10, 8, 30, 24))])
    assert only.frame_index == 2
    assert only.whole.marked.shape == only.whole.clean.shape == (48, 64, 3)
    assert (only.whole.marked == RED).all()
    assert (only.whole.clean == BLUE).all()
    inside = np.zeros((48, 64), bool)
    inside[8:24, 10:20] = True
    np.testing.assert_array_equal(only.whole.mask, np.where(inside, 255, 0))
    np.testing.assert_array_equal(only.whole.opacity, np.where(inside, 128, 0))
    assert only.close.mask.shape[0] < 48
    assert (only.close.mask == 255).sum() == inside.sum()


def test_pictures_are_small_upright_and_of_square_pixels() -> None:
    (turned,) = watched([half_opaque(2, 2, Box(10, 8, 30, 24))], rotation_degrees=90)
    (plain,) = watched([half_opaque(2, 2, Box(10, 8, 30, 24))])
    np.testing.assert_array_equal(turned.whole.mask, np.rot90(plain.whole.mask))
    assert turned.whole.marked.shape == (64, 48, 3)
    (wide,) = watched([half_opaque(2, 2, Box(10, 8, 30, 24))], sample_aspect_ratio=Fraction(2))
    assert wide.whole.marked.shape == (48, 128, 3)


@pytest.mark.parametrize(("shift_x", "shift_y"), [(0, 0), (1, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize(("width", "height"), [(1283, 717), (17, 16), (16, 333)])
def test_pictures_of_any_size_and_layout_are_kept(width: int, height: int, shift_x: int, shift_y: int) -> None:
    info = replace(described(width, height), pixel_format=PixelFormat("any", 8, shift_x, shift_y))
    small = (-(-height >> shift_y), -(-width >> shift_x))
    frame = Frame(0, 0, (np.full((height, width), 90, np.uint8), np.full(small, 90, np.uint8), np.full(small, 90, np.uint8)))
    corners = [Box(0, 0, 3, 3), Box(width - 3, height - 5, width, height), Box(0, 0, width, height), Box(5, 3, 6, 4)]
    witness = FrameSampler([placement(0, 0, box) for box in corners], info)
    witness.watch(frame, frame)
    assert len(witness.samples) == len(corners)
    for kept in (view for sample in witness.samples for view in (sample.whole, sample.close)):
        assert max(kept.marked.shape) <= VIEW_PIXELS
        assert kept.marked.shape[:2] == kept.clean.shape[:2] == kept.mask.shape == kept.opacity.shape
        assert (kept.marked == kept.marked[0, 0]).all()
