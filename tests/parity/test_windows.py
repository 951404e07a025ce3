"""A video cleaned in chunks equals the video cleaned as a whole: no chunk, tile or batch shows in the result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.references import REACH_FRAMES
from models.registry import find
from models.spec import INPAINTER, INPAINTER_ENCODER
from service.inference.batcher import BATCH_SIZES, Batcher, Session
from service.inference.onnx_runtime import OnnxSession
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.remove import frames_around, remove
from service.pipeline.video import Frame
from tests.footage import BlendOfReferences, EncoderOfEverything, Picture, described, film, marked, pan, placement, seen

WIDTH, HEIGHT = 64, 48
BOX = Box(20, 12, 44, 30)


def pictures_with_mark(total: int) -> list[Picture]:
    """A pan over one scene, a cut, and a pan over another, all under one mark."""
    scenes = [*pan(1, total // 2, (1, 2), WIDTH, HEIGHT), *pan(2, total - total // 2, (0, -1), WIDTH, HEIGHT)]
    return [marked(picture, Box(24, 16, 40, 26)) for picture in scenes]


def mark_during(first: int, last: int, box: Box = BOX) -> Placement:
    """A mark in a part of its box."""
    mask = np.zeros((box.height, box.width), np.float32)
    mask[4:-4, 4:-4] = 1
    return placement(first, last, box, mask)


def ignore(before: Frame, after: Frame) -> None:
    assert before.index == after.index


def cleaned(pictures: list[Picture], marks: list[Placement], chunk_frames: int, *sessions: Session) -> list[Picture]:
    info = described(WIDTH, HEIGHT, frames=len(pictures))
    encoder, network = (Batcher(session, BATCH_SIZES) for session in sessions or (EncoderOfEverything(), BlendOfReferences()))
    inpainter = Inpainter(encoder, network, marks, info)
    return [seen(frame) for frame in remove(film(pictures), inpainter, info, ignore, chunk_frames)]


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 70), st.integers(2, 30), st.data())
def test_a_video_cut_into_chunks_equals_the_video_cleaned_whole(total: int, chunk_frames: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, total - 1))
    pictures, last = pictures_with_mark(total), data.draw(st.integers(first, total - 1))
    marks = [mark_during(first, last), mark_during(total // 3, total - 1, Box(30, 20, 60, 44))]
    whole = cleaned(pictures, marks, chunk_frames=total)
    for other in (1, chunk_frames):
        np.testing.assert_array_equal(cleaned(pictures, marks, other), whole)


def test_an_interval_longer_than_the_reach_of_references_has_no_seams() -> None:
    pictures = pictures_with_mark(60)
    marks = [mark_during(5, 54)]
    whole = cleaned(pictures, marks, chunk_frames=60)
    for chunk_frames in (1, 4, 7):
        np.testing.assert_array_equal(cleaned(pictures, marks, chunk_frames), whole)


@settings(max_examples=2, deadline=None)
@given(st.integers(1, 6), st.data())
def test_stretches_are_cleaned_as_in_the_whole_video(chunk_frames: int, data: st.DataObject) -> None:
    """Of all other frames, only those that references need are read."""
    total = 90
    pictures = [marked(picture, Box(24, 16, 40, 26)) for picture in pan(3, total, (0, 1), WIDTH, HEIGHT)]
    ends = sorted(data.draw(st.sets(st.integers(0, total), min_size=4, max_size=4)))
    stretches = [range(*ends[:2]), range(*ends[2:])]
    marks = [mark_during(stretch.start, stretch.stop - 1) for stretch in stretches]
    info, needed = described(WIDTH, HEIGHT, frames=total), frames_around(stretches, total)
    inpainter = Inpainter(Batcher(EncoderOfEverything(), BATCH_SIZES), Batcher(BlendOfReferences(), BATCH_SIZES), marks, info)
    frames = [frame for frame in film(pictures) if frame.index in needed]
    found = {frame.index: seen(frame) for frame in remove(frames, inpainter, info, ignore, chunk_frames, stretches=stretches)}
    assert list(found) == [index for stretch in stretches for index in stretch]
    whole = cleaned(pictures, marks, 4)
    for index, picture in found.items():
        np.testing.assert_array_equal(picture, whole[index])


def test_frames_beyond_the_reach_of_references_do_not_change_the_result() -> None:
    """References reach a fixed number of frames. Up to there, a shorter video gives the same frames as a longer one."""
    pictures = pictures_with_mark(60)
    marks, shorter = [mark_during(4, 40)], 52
    same = shorter - REACH_FRAMES
    np.testing.assert_array_equal(cleaned(pictures, marks, 4)[:same], cleaned(pictures[:shorter], marks, 4)[:same])


@pytest.mark.parametrize("chunk_frames", [1, 3])
def test_the_shipped_networks_leave_no_seam(chunk_frames: int) -> None:
    """Other batch sizes may round differently: by at most one step of 8 bits, and in few samples."""
    sessions = [OnnxSession(find(network).path, network, "cpu", threads=1) for network in (INPAINTER_ENCODER, INPAINTER)]
    pictures = pictures_with_mark(14)
    marks = [mark_during(3, 9)]
    whole = np.stack(cleaned(pictures, marks, 14, *sessions)).astype(int)
    difference = np.abs(np.stack(cleaned(pictures, marks, chunk_frames, *sessions)) - whole)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
