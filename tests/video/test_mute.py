"""A file without its sound: no byte, time or tag of the other streams changes."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

from service.errors import EncodeFailed, NotMedia, RequestError, Truncated
from service.pipeline.io.mute import mute
from tests.video.clips import Spec, child_processes, make_clip, read_first_frame, read_packets, read_pts

CLIPS = {
    ".mp4": Spec(audio="aac", subtitles="mov_text", rotation_degrees=90, colour=(1, 1, 1, 1), options=(("bf", "3"), ("b_strategy", "0"))),
    ".mov": Spec(audio="aac", pts=(37, 38, 40, 51), options=(("bf", "2"),)),
    ".mkv": Spec(audio="libopus", subtitles="subrip", pts=(100, 140, 200, 233), time_base=Fraction(1, 1000)),
    ".webm": Spec(audio="libopus", codec="libvpx-vp9", pts=(0, 40, 90, 120), time_base=Fraction(1, 1000)),
    ".avi": Spec(audio="mp3", codec="mpeg4"),
}


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as source:
        return [stream.type for stream in source.streams]


@pytest.mark.parametrize("suffix", CLIPS)
def test_only_the_sound_is_gone(tmp_path: Path, suffix: str) -> None:
    spec = CLIPS[suffix]
    source, target = make_clip(tmp_path / f"source{suffix}", spec), tmp_path / f"target{suffix}"
    mute(source, target)
    assert kinds(source) == ["video", "audio"] + ["subtitle"] * bool(spec.subtitles)
    assert kinds(target) == ["video"] + ["subtitle"] * bool(spec.subtitles)
    for kind in ["video", *["subtitles"] * bool(spec.subtitles)]:
        assert read_packets(target, kind) == read_packets(source, kind)
    assert read_pts(target) == read_pts(source)
    before, after = read_first_frame(source), read_first_frame(target)
    assert (after.rotation, after.colorspace, after.color_range) == (before.rotation, before.colorspace, before.color_range)
    assert os.listdir(tmp_path).count(target.name) == len(os.listdir(tmp_path)) - 1


def test_titles_chapters_and_the_index_in_front(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    with av.open(str(make_clip(tmp_path / "plain.mp4", Spec(audio="aac")))) as plain, av.open(str(source), "w") as tagged:
        copies = {stream.index: tagged.add_stream_from_template(stream) for stream in plain.streams}
        copies[0].metadata["language"] = "deu"
        tagged.metadata["title"] = "A title"
        tagged.set_chapters([{"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}])
        for packet in plain.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                tagged.mux(packet)
    mute(source, target)
    with av.open(str(target)) as silent:
        assert silent.metadata["title"] == "A title"
        assert silent.streams.video[0].language == "deu"
        assert [chapter["metadata"]["title"] for chapter in silent.chapters()] == ["One"]
    data = target.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", ["source.mp4", "source.webm"])
def test_a_file_without_sound_is_copied(tmp_path: Path, name: str) -> None:
    spec = Spec(codec="libvpx-vp9") if name.endswith("webm") else Spec()
    source, target = make_clip(tmp_path / name, spec), tmp_path / f"target{Path(name).suffix}"
    mute(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_an_image_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    mute(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_into_another_container(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "source.mov", Spec(audio="aac")), tmp_path / "target.mkv"
    mute(source, target)
    assert kinds(target) == ["video"]
    assert len(read_pts(target)) == len(read_pts(source))


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:200])
    return path


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [("cut.mp4", "target.mp4", Truncated), ("text.mp4", "target.mp4", NotMedia), ("whole.mp4", "target.webm", RequestError)],
)
def test_a_failure_leaves_nothing(tmp_path: Path, source: str, target: str, error: type[Exception]) -> None:
    make_clip(tmp_path / "whole.mp4", Spec(audio="aac"))
    cut(make_clip(tmp_path / "cut.mp4", Spec(audio="aac")))
    (tmp_path / "text.mp4").write_text("a text")
    before, others = sorted(os.listdir(tmp_path)), child_processes()
    with pytest.raises(error):
        mute(tmp_path / source, tmp_path / target)
    assert sorted(os.listdir(tmp_path)) == before
    assert not child_processes() - others


@pytest.mark.parametrize("audio", ["aac", None])
def test_a_folder_that_is_not_there(tmp_path: Path, audio: str | None) -> None:
    source = make_clip(tmp_path / "source.mp4", Spec(audio=audio))
    with pytest.raises(EncodeFailed, match="cannot be written: No such file or directory"):
        mute(source, tmp_path / "nowhere" / "target.mp4")


def test_an_earlier_target_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    source, target = cut(make_clip(tmp_path / "source.mp4", Spec(audio="aac"))), tmp_path / "target.mp4"
    target.write_bytes(b"the old one")
    with pytest.raises(Truncated):
        mute(source, target)
    assert target.read_bytes() == b"the old one"


def test_sound_that_starts_first_does_not_move_the_pictures(tmp_path: Path) -> None:
    late: Sequence[int] = range(25, 37)  # a second after the sound
    source, target = make_clip(tmp_path / "source.mp4", Spec(audio="aac", pts=late)), tmp_path / "target.mp4"
    mute(source, target)
    assert read_pts(target) == read_pts(source) == list(late)
