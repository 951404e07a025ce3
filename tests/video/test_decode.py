"""Frames of a file: the same as FFmpeg's in this process. The decoder's process may die; this one goes on."""

import os
import signal
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from service.errors import CleanplateError, DecodeFailed, InputError, Truncated, UnsupportedFormat
from service.pipeline.io.decode import decode
from service.pipeline.io.pixels import planes_of
from service.pipeline.io.probe import probe
from service.pipeline.video import Frame, Limits
from tests.video.clips import Spec, child_processes, make_clip, read_pts

LIMITS = Limits()


def decoded(path: Path) -> list[Frame]:
    with decode(path, probe(path, LIMITS), LIMITS) as frames:
        return list(frames)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("clip.mp4", Spec(options=(("bf", "3"),), pts=range(30))),
        ("clip.mkv", Spec(codec="ffv1", width=65, height=63)),
        ("clip.mov", Spec(codec="prores_ks", pixel_format="yuv422p10le")),
        ("clip.webm", Spec(codec="libvpx-vp9", pixel_format="yuv444p")),
        ("clip.mkv", Spec(codec="ffv1", pixel_format="bgr0", pts=range(3))),
    ],
    ids=lambda value: value.codec if isinstance(value, Spec) else "",
)
def test_planes_and_pts_equal_those_of_the_file(tmp_path: Path, name: str, spec: Spec) -> None:
    path = make_clip(tmp_path / name, spec)
    info = probe(path, LIMITS)
    frames = decoded(path)
    with av.open(str(path)) as source:
        for index, (ours, theirs) in enumerate(zip(frames, source.decode(video=0), strict=True)):
            assert (ours.index, ours.pts) == (index, theirs.pts)
            for plane, expected in zip(ours.planes, planes_of(theirs, info.pixel_format), strict=True):
                np.testing.assert_array_equal(plane, expected)


def test_planes_belong_to_the_caller(tmp_path: Path) -> None:
    """More frames than slots: an early one must not change when its slot is used again."""
    path = make_clip(tmp_path / "clip.mp4", Spec(pts=range(30)))
    info = probe(path, LIMITS)
    with decode(path, info, LIMITS) as frames:
        first = next(frames)
        before = [plane.copy() for plane in first.planes]
        list(frames)
    for plane, copy in zip(first.planes, before, strict=True):
        np.testing.assert_array_equal(plane, copy)
        plane[...] = 0  # they are writable


@pytest.mark.parametrize("pts", [(0, 1, 2, 5, 6, 9, 20), (7, 8, 9, 10)])
def test_variable_frame_rate_and_start_offset(tmp_path: Path, pts: tuple[int, ...]) -> None:
    path = make_clip(tmp_path / "clip.mp4", Spec(pts=pts, time_base=Fraction(1, 30)))
    assert [frame.pts for frame in decoded(path)] == list(pts) == read_pts(path)


@pytest.mark.parametrize("options", [(), (("bf", "2"),)])
def test_avi_starts_at_zero_whatever_its_codecs_delay(tmp_path: Path, options: tuple[tuple[str, str], ...]) -> None:
    path = make_clip(tmp_path / "clip.avi", Spec(codec="mpeg4", options=options))
    assert [frame.pts for frame in decoded(path)] == list(range(12))


def test_a_killed_decoder_fails_only_its_job(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", Spec(pts=range(60)))
    info, others = probe(path, LIMITS), child_processes()
    with decode(path, info, LIMITS) as frames:
        next(frames)
        (decoder,) = child_processes() - others
        os.kill(decoder, signal.SIGKILL)
        with pytest.raises(DecodeFailed, match="signal 9"):
            list(frames)


def test_leaving_early_leaves_no_process(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", Spec(pts=range(60)))
    info, others = probe(path, LIMITS), child_processes()
    with decode(path, info, LIMITS) as frames:
        next(frames)
        assert child_processes() - others
    assert not child_processes() - others


def test_a_decoder_that_stalls(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    info = probe(path, LIMITS)
    with (
        decode(path, info, replace(LIMITS, decoder_stall_seconds=0.001)) as frames,
        pytest.raises(DecodeFailed, match=r"nothing for 0\.001 s"),
    ):
        next(frames)


def test_a_decoder_without_memory(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    info = probe(path, LIMITS)
    with decode(path, info, replace(LIMITS, decoder_memory_bytes=64 * 2**20)) as frames, pytest.raises(DecodeFailed):
        next(frames)


def test_a_file_cut_off_after_probing(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", Spec(pts=range(60), options=(("g", "5"),)))
    info = probe(path, LIMITS)
    os.truncate(path, path.stat().st_size // 2)
    with decode(path, info, LIMITS) as frames, pytest.raises(Truncated):
        list(frames)


def test_a_picture_of_another_size(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    info = replace(probe(path, LIMITS), width=64)
    with decode(path, info, LIMITS) as frames, pytest.raises(UnsupportedFormat, match="size"):
        next(frames)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_damaged_bytes_raise_only_our_errors(tmp_path: Path, name: str, seed: int) -> None:
    path = make_clip(tmp_path / name)
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 20):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    outcome = decoded_or_error(path)
    assert outcome
    if isinstance(outcome, CleanplateError):
        assert isinstance(outcome, (InputError, DecodeFailed))
        assert "\n" not in str(outcome)
        assert str(tmp_path) not in str(outcome)


def decoded_or_error(path: Path) -> list[Frame] | CleanplateError:
    try:
        return decoded(path)
    except CleanplateError as error:
        return error
