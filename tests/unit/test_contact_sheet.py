"""The pictures that `--debug` writes: what a person must find in them."""

from pathlib import Path

import numpy as np
from PIL import Image

from service.pipeline import contact_sheet
from service.pipeline.contact_sheet import Sample

RED, BLUE = (200, 20, 20), (20, 20, 200)


def sample(frame_index: int, mark_width: int, width: int = 160, height: int = 90) -> Sample:
    """A red picture that becomes blue, with a mark of opacity 0.5 near its lower right corner."""
    mask = np.zeros((height, width), np.float32)
    mask[60:75, 150 - mark_width : 150] = 1
    marked, clean = (np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy() for colour in (RED, BLUE))
    return Sample(frame_index, marked, mask, mask * np.float32(0.5), clean)


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as picture:
        return set(map(tuple, np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()))


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
    much.clean[:] = (20, 200, 20)
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


def test_a_mark_over_the_whole_picture_and_an_empty_mask_are_drawn_too(tmp_path: Path) -> None:
    whole = sample(0, 10)
    whole.mask[:] = 1
    empty = sample(1, 10)
    empty.mask[:] = 0
    contact_sheet.write([whole, empty], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 0
