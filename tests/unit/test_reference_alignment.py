"""Which frames show what a mark hides, and where, when the camera pans over the scene."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.references import OFFSETS, REACH_FRAMES, REFERENCES, Alignment
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.mark_windows import MarkWindows
from service.pipeline.remove.reference_alignment import ReferenceAligner
from tests.footage import Picture, described, film, marked, pan, placement

WIDTH, HEIGHT, TOTAL = 192, 144, 70
BOX = Box(56, 40, 120, 96)
INNER = Box(72, 56, 104, 80)  # the mark; the rest of BOX is context
INFO = described(WIDTH, HEIGHT, frames=TOTAL)


def mark_during(first: int = 0, last: int = TOTAL - 1) -> Placement:
    mask = np.zeros((BOX.height, BOX.width), np.float32)
    mask[16:-16, 16:-16] = 1
    return placement(first, last, BOX, mask)


def aligner(marks: Sequence[Placement]) -> ReferenceAligner:
    return ReferenceAligner(BOX, MarkWindows(marks, INFO), INFO)


def moved(reference: Alignment) -> View:
    """The box, moved with the scene by whole pixels."""
    return View.of(BOX).moved(round(reference.dy), round(reference.dx))


def crop(picture: Picture, reference: Alignment) -> np.ndarray:
    """The box's pixels, moved with the scene, (height, width, 3) float."""
    view = moved(reference)
    inner = view.inner(WIDTH, HEIGHT)
    assert inner is not None
    return view.padded(picture[inner.slices].transpose(2, 0, 1), inner).transpose(1, 2, 0).astype(float)


@pytest.mark.parametrize("step", [(0, 2), (-1, 1), (1, 0), (-2, -3)])
def test_in_a_pan_references_show_what_the_mark_hides(step: tuple[int, int]) -> None:
    clean, target = pan(1, TOTAL, step, WIDTH, HEIGHT), 35
    frames = dict(enumerate(film([marked(picture, INNER) for picture in clean])))
    windows = MarkWindows([mark_during()], INFO)
    references = ReferenceAligner(BOX, windows, INFO).references(target, frames)
    truth, shown = crop(clean[target], Alignment(target, 0, 0)), np.zeros((BOX.height, BOX.width), bool)
    for reference in references:
        distance = reference.frame - target
        assert abs(reference.dy + distance * step[0]) <= 1
        assert abs(reference.dx + distance * step[1]) <= 1
        seen = ~windows.hidden_pixels(reference.frame, moved(reference))
        difference = np.abs(crop(marked(clean[reference.frame], INNER), reference) - truth).mean(2)
        assert difference[seen].mean() < 8  # about what an error of one pixel causes
        shown |= seen
    assert shown.mean() > 0.9


def test_with_a_static_camera_and_mark_the_references_are_nearby() -> None:
    still = [marked(pan(1, 1, (0, 0), WIDTH, HEIGHT)[0], INNER)] * TOTAL
    references = aligner([mark_during()]).references(35, dict(enumerate(film(still))))
    assert all(max(abs(r.dy), abs(r.dx)) < 0.1 for r in references)
    assert [r.frame for r in references[:2]] == [33, 37]


@pytest.mark.parametrize("step", [(0, 0), (0, 1)])
def test_a_mark_that_jumps_is_not_a_cut(step: tuple[int, int]) -> None:
    clean = pan(1, TOTAL, step, WIDTH, HEIGHT)
    frames = dict(enumerate(film([marked(picture, INNER) if i >= 22 else picture for i, picture in enumerate(clean)])))
    references = aligner([mark_during(22)]).references(35, frames)
    assert any(reference.frame < 22 for reference in references)


def test_a_frame_whose_alignment_fails_is_not_a_reference() -> None:
    """A soft slope that brightens seems to move from frame to frame, but the summed shift leads to another place."""
    slope = np.repeat(np.repeat(np.linspace(40, 120, WIDTH, dtype=np.float32)[None, :, None], HEIGHT, axis=0), 3, axis=2)
    pictures = []
    for index in range(TOTAL):
        picture = (slope + 5 * (index - 35)).clip(1, 254).astype(np.uint8)
        picture[::8, : BOX.left - 26] = picture[::8, BOX.right + 26 :] = 255
        pictures.append(marked(picture, INNER))
    windows = MarkWindows([mark_during()], INFO)
    for reference in ReferenceAligner(BOX, windows, INFO).references(35, dict(enumerate(film(pictures)))):
        hidden = windows.hidden_pixels(reference.frame, moved(reference))
        assert crop(pictures[reference.frame], reference)[~hidden].max() < 255


def test_no_reference_lies_beyond_a_cut() -> None:
    cut = 30
    clean = [*pan(1, cut, (0, 2), WIDTH, HEIGHT), *pan(2, TOTAL - cut, (1, 0), WIDTH, HEIGHT)]
    frames = dict(enumerate(film([marked(picture, INNER) for picture in clean])))
    aligner_of_all = aligner([mark_during()])
    for target in range(cut - 6, cut + 8):
        assert {reference.frame < cut for reference in aligner_of_all.references(target, frames)} == {target < cut}


def test_the_references_do_not_depend_on_which_frames_were_restored_before() -> None:
    """One aligner gets every target and only the frames within reach; a new one for each target gets all frames."""
    clean = [*pan(1, 45, (0, 2), WIDTH, HEIGHT), *pan(2, TOTAL - 45, (1, 1), WIDTH, HEIGHT)]
    frames = dict(enumerate(film([marked(picture, INNER) for picture in clean])))
    kept = aligner([mark_during()])
    for target in range(0, TOTAL, 7):
        within_reach = {i: frames[i] for i in frames if abs(i - target) <= REACH_FRAMES}
        assert kept.references(target, within_reach) == aligner([mark_during()]).references(target, frames)


@pytest.mark.parametrize("total", [1, 2, 4])
def test_in_short_videos_missing_references_are_the_target(total: int) -> None:
    frames = dict(enumerate(film([marked(picture, INNER) for picture in pan(1, total, (0, 2), WIDTH, HEIGHT)])))
    references = aligner([mark_during()]).references(0, frames)
    assert len(references) == REFERENCES
    assert {r.frame for r in references} <= {0, *(offset for offset in OFFSETS if offset < total)}


@pytest.mark.parametrize("seed", [19, 123, 233, 245])
def test_a_reference_shows_a_part_of_the_picture(seed: int) -> None:
    """In noise, the best match of a small window may lie so far out that rounding to the grid leaves nothing of it."""
    rng, (width, height), box = np.random.default_rng(seed), (64, 48), Box(16, 16, 32, 32)
    grey, noise = int(rng.integers(0, 255)), list[Picture]()
    for _ in range(6):
        rng.integers(0, 4)
        most = [1, 3, 12, 40][rng.integers(4)]
        blocks = rng.integers(-most, most + 1, (height // 4, width // 4, 1)).repeat(4, 0).repeat(4, 1)
        noise.append(np.clip(np.full((height, width, 3), grey) + blocks, 0, 255).astype(np.uint8))
    info, frames = described(width, height, frames=6), dict(enumerate(film(noise)))
    found = ReferenceAligner(box, MarkWindows([placement(0, 5, box)], info), info)
    for target in frames:
        for reference in found.references(target, frames):
            crop = View.of(box).moved(reference.on_grid.dy, reference.on_grid.dx)
            assert crop.inner(width, height) is not None
