"""What a result does not carry is said: in the report, on its page, and beforehand by `cleanplate inspect`."""

import json
from pathlib import Path

import av
import pytest

from service.api.native_report import ReportView
from service.cli import run_command
from service.inference import fake
from service.pipeline.io.not_kept import outcomes
from service.pipeline.io.probe import probe
from service.pipeline.placement import Box
from service.pipeline.report.page import to_html
from service.pipeline.report.report import FileResult, to_json
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Limits
from tests import photos
from tests.footage import FPS, marked, scene

NETWORKS = fake.networks()
PICTURES = [marked(scene(index), Box(40, 32, 72, 56)) for index in range(6)]


def with_second_video(path: Path) -> Path:
    """A Matroska file with two video streams, both of which show the mark, and a font."""
    with av.open(str(path), "w") as target:
        target.add_attachment("font.ttf", "application/x-truetype-font", b"font")
        streams = [target.add_stream("libx264", rate=FPS, options={"threads": "1"}) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = *PICTURES[0].shape[:2], "yuv420p"
        for picture in [*PICTURES, None]:
            for stream in streams:
                target.mux(stream.encode(None if picture is None else av.VideoFrame.from_ndarray(picture, format="rgb24")))
    return path


def test_streams_that_are_not_copied_are_named(tmp_path: Path) -> None:
    source, target = with_second_video(tmp_path / "a.mkv"), tmp_path / "b.mp4"
    report = clean(source, target, Request(), NETWORKS)
    assert [lost.what.split(" (")[0] for lost in report.not_kept] == ["further video stream", "attachment"]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert len(after.streams) == len(before.streams) - len(report.not_kept)
    (entry,) = json.loads(to_json((result := FileResult("a.mkv", "b.mp4", report),)))["files"]
    ReportView.model_validate({"files": [entry]}, strict=True)
    assert entry["not_kept"][1] == {"what": report.not_kept[1].what, "reason": ".mp4 files have no attachments"}
    assert "it still shows the mark, and only the first video stream is cleaned" in to_html([result])


def test_a_font_stays_in_matroska(tmp_path: Path) -> None:
    info = probe(with_second_video(tmp_path / "a.mkv"), Limits())
    found = {each.what.split(" (")[0]: each.fate for each in outcomes(info, ".mkv")}
    assert found == {"attachment": "kept", "further video stream": "not kept"}
    assert {each.fate for each in outcomes(info, ".mp4", encoded=False)} == {"kept", "not kept"}


def test_inspect_says_what_would_become_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = b"\0\0\0\x14ftypisom\0\0\0\0isom" + bytes(50)
    block = b"Exif\0\0" + photos.exif(photos.small())
    (path := tmp_path / "a.jpg").write_bytes(photos.encoded(photos.photo(), exif=block, dpi=(72, 72)) + film)
    assert run_command(["inspect", str(path), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["output_suffix"], entry["video"]["codec"], entry["video"]["width"]) == (".jpg", "mjpeg", photos.WIDTH)
    fates = [(each["what"].split(" (")[0], each["fate"]) for each in entry["carries"]]
    assert fates == [("density", "kept"), ("EXIF", "kept"), ("small picture", "converted"), ("film", "not kept")]
    assert run_command(["inspect", str(path), "--to", "webp"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a.jpg: mjpeg, 128x96, 8 bit, ")
    assert "  not kept   density (72x72 per inch): .webp files have no place for it" in lines


def test_inspect_refuses_what_clean_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path := tmp_path / "a.gif").write_bytes(photos.encoded(photos.photo(), "GIF"))
    assert run_command(["inspect", str(path)]) == 3
    assert "GIF files are not supported" in capsys.readouterr().err


def test_what_the_encoder_writes_into_new_pictures_is_kept(tmp_path: Path) -> None:
    """HDR10's light level goes into HEVC, and is lost where the pictures become VP9."""
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as target:
        stream = target.add_stream("libx265", rate=FPS, options={"x265-params": "log-level=none:max-cll=1000,400"})
        stream.height, stream.width, stream.pix_fmt = *PICTURES[0].shape[:2], "yuv420p"
        for picture in [*PICTURES, None]:
            target.mux(stream.encode(None if picture is None else av.VideoFrame.from_ndarray(picture, format="rgb24")))
    info = probe(source, Limits())
    for suffix, fate in ((".mp4", "kept"), (".webm", "not kept")):
        assert {each.what: each.fate for each in outcomes(info, suffix)}["HDR10 light level"] == fate
