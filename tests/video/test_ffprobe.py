"""FFprobe, a program of its own, lists the same streams of a result as of its source, but for those that are named as not kept."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from service.inference import fake
from service.pipeline.io.not_kept import outcomes
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.timed_box import parse_box
from tests.e2e.test_not_kept import with_second_video
from tests.formats.films import Film, Sound

NETWORKS = fake.networks()
BOX = Request(detect=False, boxes=(parse_box("16,16,32,32"),))
SRT = "1\n00:00:00,000 --> 00:00:00,100\nHello\n"
VTT = "WEBVTT\n\n00:00.000 --> 00:00.100\nHello\n"
FILMS = {
    "a.mp4": Film(sounds=(Sound("aac"), Sound("ac3")), texts=(("mov_text", "one two"),)),
    "a.mov": Film("libx265", sounds=(Sound("pcm_s16le"),)),
    "a.mkv": Film(sounds=(Sound("flac"), Sound("aac"), Sound("libopus")), texts=(("srt", SRT), ("srt", SRT))),
    "a.webm": Film("libvpx-vp9", sounds=(Sound("libopus"),), texts=(("webvtt", VTT),)),
    "a.avi": Film("mpeg4", sounds=(Sound("mp3"),)),
    "fragmented.mp4": Film(muxer_options={"movflags": "frag_keyframe+empty_moov"}, sounds=(Sound("aac"), Sound("libopus"))),
    "a.m4v": Film(muxer="mp4", sounds=(Sound("alac"),), texts=(("mov_text", "one two"),)),
    "a.3gp": Film("h263", sounds=(Sound("libopencore_amrnb"),)),
}
MOVED = {  # into another container; each codec that becomes another one is said
    "a.mkv": (".mp4", {"subrip": "mov_text"}),
    "a.mp4": (".mkv", {"mov_text": "subrip"}),
    "a.mov": (".mkv", {}),
    "a.webm": (".mkv", {}),
    "a.3gp": (".mov", {"h263": "h264"}),
}

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed: see .ci/servers")


def streams(path: Path) -> list[tuple[str, str]]:
    """Type and codec of each stream, in any order."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "json", str(path)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return sorted((stream["codec_type"], stream.get("codec_name", "")) for stream in shown["streams"])


@pytest.mark.parametrize("name", FILMS)
def test_all_streams_are_there(name: str, tmp_path: Path) -> None:
    film, source, target = FILMS[name], tmp_path / name, tmp_path / f"clean-{name}"
    film.write(source)
    assert clean(source, target, BOX, NETWORKS).not_kept == ()
    assert len(streams(source)) == 1 + len(film.sounds) + len(film.texts)
    assert streams(target) == [(kind, "h264" if codec == "h263" else codec) for kind, codec in streams(source)]  # no encoder here writes it


@pytest.mark.parametrize("name", MOVED)
def test_all_streams_are_there_in_another_container(name: str, tmp_path: Path) -> None:
    suffix, converted = MOVED[name]
    FILMS[name].write(source := tmp_path / name)
    report = clean(source, target := tmp_path / f"b{suffix}", BOX, NETWORKS)
    assert streams(target) == sorted((kind, converted.get(codec, codec)) for kind, codec in streams(source))
    said = [each.fate for each in outcomes(report.info, suffix)]
    assert ("converted" in said) is bool(converted)


def test_those_that_are_not_are_named(tmp_path: Path) -> None:
    source, target = with_second_video(tmp_path / "a.mkv"), tmp_path / "b.mp4"
    report = clean(source, target, BOX, NETWORKS)
    assert [lost.what.split(" (")[0] for lost in report.not_kept] == ["further video stream", "attachment"]
    assert sorted([*streams(target), ("video", "h264"), ("attachment", "ttf")]) == streams(source)
