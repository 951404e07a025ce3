"""A whole video through the inpainter and the composite: only the pixels of the hole change."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from models.references import REACH_FRAMES
from service.inference.batcher import Batcher
from service.inference.fake import FakeEncoder, FakeInpainter
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.mark_windows import dilated_hole
from service.pipeline.remove.remove import CHUNK_FRAMES, remove
from service.pipeline.video import Frame, Limits
from tests.footage import Picture, described, film, marked, placement, scene, seen

WIDTH, HEIGHT = 64, 48
BOX = Box(20, 12, 44, 30)


def ignore(before: Frame, after: Frame) -> None:
    assert before.index == after.index


def mark_during(first: int, last: int) -> Placement:
    """A mark in a part of its box."""
    mask = np.zeros((BOX.height, BOX.width), np.float32)
    mask[4:-4, 4:-4] = 1
    return placement(first, last, BOX, mask)


def pictures_with_mark(total: int) -> list[Picture]:
    return [marked(scene(i, WIDTH, HEIGHT), Box(24, 16, 40, 26)) for i in range(total)]


def test_every_sample_outside_the_hole_keeps_its_bits() -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8) for _ in range(10)]
    mark = mark_during(2, 7)
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    hidden[BOX.slices] = dilated_hole(mark.mask, mark.dilation_pixels) > 0
    info = described(WIDTH, HEIGHT, frames=10)
    frames = film(pictures)
    for frame in remove(frames, Inpainter(Batcher(FakeEncoder()), Batcher(FakeInpainter()), [mark], info), info, ignore):
        before, after = pictures[frame.index], seen(frame)
        np.testing.assert_array_equal(after[~hidden], before[~hidden])
        if mark.covers(frame.index):
            inner = np.zeros_like(hidden)
            inner[BOX.slices] = mark.mask > 0
            assert set(after[inner].ravel()) == {128}  # mid grey, the answer of the fake


def test_frames_without_the_mark_are_passed_on_as_the_same_objects() -> None:
    pictures = pictures_with_mark(30)
    info = described(WIDTH, HEIGHT, frames=30)
    frames = film(pictures)
    result = list(remove(frames, Inpainter(Batcher(FakeEncoder()), Batcher(FakeInpainter()), [mark_during(10, 19)], info), info, ignore))
    assert [frame.index for frame in result] == list(range(30))
    assert [i for i in range(30) if result[i] is not frames[i]] == list(range(10, 20))


@pytest.mark.parametrize("total", [0, 1, 2, 5, 36, 37])
def test_every_frame_comes_out_once_and_in_order(total: int) -> None:
    watched = []
    info = described(WIDTH, HEIGHT, frames=max(1, total))
    pictures = pictures_with_mark(total)
    marks = [mark_during(0, total - 1)] if total else []
    inpainter = Inpainter(Batcher(FakeEncoder()), Batcher(FakeInpainter()), marks, info)
    result = list(remove(film(pictures), inpainter, info, lambda before, after: watched.append((before, after))))
    assert [frame.index for frame in result] == list(range(total))
    assert [after for _, after in watched] == result


FRAME_BYTES = 3 * WIDTH * HEIGHT


@pytest.mark.parametrize(("limits", "reach_frames"), [(Limits(), REACH_FRAMES), (Limits(memory_bytes=4 * 2 * 5 * FRAME_BYTES), 5)])
def test_only_the_frames_that_references_need_are_held(limits: Limits, reach_frames: int) -> None:
    """Older frames are released, so memory does not grow with the video; and with less memory, fewer are held."""
    info, counts = described(WIDTH, HEIGHT, frames=200), []
    alive: list[weakref.ref[Frame]] = []

    def source() -> Iterator[Frame]:
        for frame in film(pictures_with_mark(8)) * 25:
            one = Frame(len(alive), len(alive), frame.planes)
            alive.append(weakref.ref(one))
            yield one

    inpainter = Inpainter(Batcher(FakeEncoder()), Batcher(FakeInpainter()), [mark_during(0, 199)], info)
    for _ in remove(source(), inpainter, info, ignore, limits=limits):
        counts.append(sum(reference() is not None for reference in alive))
    assert max(counts) <= 2 * reach_frames + CHUNK_FRAMES + 2
