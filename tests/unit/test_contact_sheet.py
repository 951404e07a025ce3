"""The contact sheet and the before/after picture: what a person must find in them."""

from pathlib import Path

import numpy as np
from PIL import Image

from service.pipeline.report import contact_sheet
from service.pipeline.report.contact_sheet import PictureSet, Sample

RED, BLUE = (200, 20, 20), (20, 20, 200)


def picture_set(mark_width: int, width: int = 160, height: int = 90) -> PictureSet:
    """A red picture, blue when clean, with a mark of opacity 0.5 near its lower right corner."""
    mask = np.zeros((height, width), np.uint8)
    mask[60:75, 150 - mark_width : 150] = 255
    marked, clean = (np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy() for colour in (RED, BLUE))
    return PictureSet(marked, mask, mask // 2 + mask % 2, clean)


def sample(frame_index: int, mark_width: int) -> Sample:
    return Sample(frame_index, picture_set(mark_width), picture_set(mark_width, 150, 80))


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(picture.width * picture.height)}


def test_the_sheet_shows_marked_mask_opacity_and_clean_for_each_sample(tmp_path: Path) -> None:
    path = tmp_path / "new" / contact_sheet.SHEET
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
    for pictures in (much.whole, much.close):
        pictures.clean[:] = (20, 200, 20)
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
