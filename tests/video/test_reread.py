"""Frames that are read again come from memory where they are few, and from the file where they are many."""

from pathlib import Path

import numpy as np
import pytest

from service.errors import CleanplateError
from service.pipeline.io.probe import probe
from service.pipeline.io.reread import Rereader
from service.pipeline.video import Frame, Limits
from tests.video.clips import Spec, make_clip

LIMITS = Limits()
FRAMES = 20


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", Spec(pts=range(FRAMES)))


def read(reader: Rereader) -> list[Frame]:
    with reader.read() as frames:
        return list(frames)


def test_few_frames_are_decoded_once_and_cannot_be_written_to(clip: Path) -> None:
    reader = Rereader(clip, probe(clip, LIMITS), LIMITS)
    first = read(reader)
    clip.unlink()
    again = read(reader)
    assert len(again) == FRAMES
    for one, other in zip(first, again, strict=True):
        assert (one.index, one.pts) == (other.index, other.pts)
        for plane, same in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(plane, same)
            with pytest.raises(ValueError, match="read-only"):
                same[...] = 0


def test_many_frames_are_decoded_again(clip: Path) -> None:
    info = probe(clip, LIMITS)
    frame_bytes = sum(plane.nbytes for plane in read(Rereader(clip, info, LIMITS))[0].planes)
    reader = Rereader(clip, info, LIMITS, max_kept_bytes=FRAMES * frame_bytes - 1)
    assert len(read(reader)) == FRAMES
    assert len(read(reader)) == FRAMES
    clip.unlink()
    with pytest.raises(CleanplateError):
        read(reader)


def test_frames_that_were_not_read_to_the_end_are_not_kept(clip: Path) -> None:
    reader = Rereader(clip, probe(clip, LIMITS), LIMITS)
    with reader.read() as frames:
        next(frames)
    assert len(read(reader)) == FRAMES
