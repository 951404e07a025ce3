"""A video cleaned in windows is the video cleaned whole: no chunk, tile or batch shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.registry import find
from models.spec import INPAINTER
from service.inference.batcher import BATCH_SIZES, Batcher, Session
from service.inference.session import OnnxSession
from service.pipeline.bound import Measured
from service.pipeline.inpaint import Inpainter
from service.pipeline.placement import Box
from service.pipeline.remove import remove
from service.pipeline.video import Frame
from tests.footage import BlendOfReferences, Picture, described, film, marked, placement, scene, seen

WIDTH, HEIGHT = 64, 48
BOX = Box(20, 12, 44, 30)


def story(total: int) -> list[Picture]:
    return [marked(scene(i, WIDTH, HEIGHT), Box(24, 16, 40, 26)) for i in range(total)]


def stay(first: int, last: int, pictures: list[Picture], box: Box = BOX) -> Measured:
    """A mark in a part of its box, and what was kept of the frames beside its stay."""
    mask = np.zeros((box.height, box.width), np.float32)
    mask[4:-4, 4:-4] = 1
    beside = [i for i in (first - 2, last + 2) if 0 <= i < len(pictures)]
    return Measured(placement(first, last, box, mask), {i: pictures[i][box.slices].transpose(2, 0, 1) for i in beside})


def ignore(before: Frame, after: Frame) -> None:
    assert before.index == after.index


def cleaned(pictures: list[Picture], marks: list[Measured], chunk_frames: int, session: Session | None = None) -> list[Picture]:
    info = described(WIDTH, HEIGHT, frames=len(pictures))
    inpainter = Inpainter(Batcher(session or BlendOfReferences(), BATCH_SIZES), marks, info, len(pictures))
    return [seen(frame) for frame in remove(film(pictures), inpainter, info, ignore, chunk_frames)]


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(2, 30), st.data())
def test_a_video_cut_into_chunks_equals_the_video_cleaned_whole(total: int, chunk_frames: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, total - 1))
    pictures, last = story(total), data.draw(st.integers(first, total - 1))
    marks = [stay(first, last, pictures), stay(total // 3, total - 1, pictures, Box(30, 20, 60, 44))]
    whole = cleaned(pictures, marks, chunk_frames=total)
    for other in (1, chunk_frames):
        np.testing.assert_array_equal(cleaned(pictures, marks, other), whole)


def test_a_long_stay_of_which_nothing_was_kept_has_no_seams() -> None:
    pictures = story(60)
    marks = [Measured(stay(5, 54, pictures).placement, {})]
    whole = cleaned(pictures, marks, chunk_frames=60)
    for chunk_frames in (1, 4, 7):
        np.testing.assert_array_equal(cleaned(pictures, marks, chunk_frames), whole)


def test_what_comes_later_does_not_change_what_was_cleaned() -> None:
    """References reach a fixed way: the start of a long video equals the start of a shorter one, up to that."""
    pictures = story(60)
    marks = [stay(4, 40, pictures)]
    np.testing.assert_array_equal(cleaned(pictures, marks, 4)[:30], cleaned(pictures[:50], marks, 4)[:30])


@pytest.mark.parametrize("chunk_frames", [1, 3])
def test_the_shipped_network_leaves_no_seam(chunk_frames: int) -> None:
    """Other batches may round the last bit another way: one step of 8 bits at most, and hardly anywhere."""
    session = OnnxSession(find(INPAINTER).path, INPAINTER, "cpu", threads=1)
    pictures = story(14)
    marks = [stay(3, 9, pictures)]
    whole = np.stack(cleaned(pictures, marks, 14, session)).astype(int)
    difference = np.abs(np.stack(cleaned(pictures, marks, chunk_frames, session)) - whole)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
