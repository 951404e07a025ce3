"""A preview: a part of a video, cleaned as a file of its own."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from service.errors import RequestError
from service.inference import fake
from service.pipeline.request import Request, parse_part, within
from service.pipeline.run import clean
from service.pipeline.video import Part
from service.timed_box import parse_box
from tests.footage import Box, marked, read_film, scene, write_film
from tests.service_process import file, running
from tests.video.clips import Spec, make_clip, read_packets, read_times

NETWORKS = fake.networks()
MARK = Box(20, 20, 60, 36)
FPS = 24


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, marked from 1.5 s on."""
    pictures = [scene(i) if i < 36 else marked(scene(i), MARK) for i in range(72)]
    return write_film(tmp_path_factory.mktemp("preview") / "in.mp4", pictures)


def test_the_part_is_cleaned_and_begins_at_zero(source: Path, tmp_path: Path) -> None:
    report = clean(source, tmp_path / "out.mp4", Request(), NETWORKS, part=Part(1.0, 1.0))
    (mark,) = report.placements
    assert (report.frames, mark.first_frame, mark.last_frame) == (24, 12, 23)
    assert read_times(tmp_path / "out.mp4") == [Fraction(i, FPS) for i in range(24)]
    for before, after in zip(read_film(source)[24:48], read_film(tmp_path / "out.mp4"), strict=True):
        assert np.abs(after[60:].astype(int) - before[60:]).mean() < 3
        assert after[MARK.top + 2 : MARK.bottom - 2, MARK.left + 2 : MARK.right - 2].max() < 200


def test_a_part_without_a_mark_is_that_part_all_the_same(source: Path, tmp_path: Path) -> None:
    report = clean(source, tmp_path / "out.mp4", Request(), NETWORKS, part=Part(0.25, 0.5))
    assert (report.mark_found, report.frames) == (False, 12)
    assert len(read_film(tmp_path / "out.mp4")) == 12


def test_sound_goes_along(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Spec(pts=tuple(range(50)), audio="aac"))
    clean(source, tmp_path / "out.mp4", Request(), NETWORKS, part=Part(0.8, 0.4))
    whole, part = read_packets(source, "audio"), read_packets(tmp_path / "out.mp4", "audio")
    assert [content for content, _ in part] == [content for content, time in whole if Fraction(8, 10) <= time < Fraction(12, 10)]
    assert 0 <= part[0][1] < Fraction(1, 20)
    assert len(read_times(tmp_path / "out.mp4")) == 10


def test_boxes_keep_the_times_of_the_whole_video() -> None:
    boxes = tuple(map(parse_box, ("0,0,9,9", "1,0,9,9@0-1", "2,0,9,9@2-3", "3,0,9,9@4-", "4,0,9,9@-2.5")))
    request = within(Request(boxes=boxes, keep=boxes[2:3]), Part(2.0, 1.0))
    assert [str(box) for box in request.boxes] == ["0,0,9,9@0-", "2,0,9,9@0-1", "4,0,9,9@0-0.5"]
    assert [str(box) for box in request.keep] == ["2,0,9,9@0-1"]


def test_through_the_native_api_as_its_document_says(tmp_path: Path) -> None:
    """The example of the OpenAPI document, for a video of half a second."""
    with running(tmp_path, c2pa__enabled="false", price_video_credits="3", price_preview_seconds="1") as service:
        account = service.account(credits=2)  # too few for the whole
        body = service.client.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
        (example,) = body["application/json"]["schema"]["properties"]["preview"]["examples"]
        sent = {"files": {"file": ("a.mp4", file("marked")[0])}, "data": {"options": json.dumps({"preview": example})}}
        answer = service.client.post("/v1/jobs", headers=account.bearer, **sent)
        assert answer.status_code == 201, answer.text
        service.wait(account, answer.json()["id"])
        job = service.client.get(f"/v1/jobs/{answer.json()['id']}", headers=account.bearer).json()
        assert (job["state"], job["credits_used"], job["result"]["frames"]) == ("succeeded", 2, 5)
        (tmp_path / "clean.mp4").write_bytes(service.client.get(job["result"]["url"]).content)
        assert read_times(tmp_path / "clean.mp4") == [Fraction(i, 25) for i in range(5)]


@pytest.mark.parametrize(("text", "part"), [("3", Part(0, 3)), ("3@12.5", Part(12.5, 3)), (" .5@0 ", Part(0, 0.5))])
def test_a_part_is_read(text: str, part: Part) -> None:
    assert parse_part(text) == part


@pytest.mark.parametrize("text", ["", "0", "0@3", "-3", "3@", "3@-1", "3@1@2", "three", "inf", "nan"])
def test_a_malformed_part_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not SECONDS or SECONDS@FROM"):
        parse_part(text)


def test_a_part_after_the_end_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"begins after the end of the video, which lasts 3\.00 s"):
        clean(source, tmp_path / "out.mp4", Request(), NETWORKS, part=Part(3.0, 1.0))
    assert not (tmp_path / "out.mp4").exists()


def test_a_mask_video_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="an image as its mask"):
        clean(source, tmp_path / "out.mp4", Request(mask=source, detect=False), NETWORKS, part=Part(1.0, 1.0))
