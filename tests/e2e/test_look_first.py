"""Look first: what is found is shown, priced, and removed later without looking again, to the same bytes."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.inference import fake
from service.pipeline.estimate import removal_seconds
from service.pipeline.report.detection import Detection
from service.pipeline.request import Request
from service.pipeline.run import clean, detect
from service.pipeline.video import Limits
from service.timed_box import parse_box
from tests.footage import Box, marked, scene, write_film
from tests.service_process import Service, TestAccount, file, running

FIRST, SECOND = Box(20, 20, 60, 36), Box(80, 60, 110, 80)
NETWORKS = fake.networks()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with two marks, one of them in its second half."""
    pictures = [marked(scene(i), FIRST) for i in range(30)]
    pictures[15:] = [marked(picture, SECOND) for picture in pictures[15:]]
    return write_film(tmp_path_factory.mktemp("look") / "in.mp4", pictures)


def test_a_detection_reused_gives_the_same_bytes_as_one_run(source: Path, tmp_path: Path) -> None:
    report = detect(source, Request(), NETWORKS)
    Detection.of(report).save(tmp_path / "detection.npz")
    found = Detection.load(tmp_path / "detection.npz")
    whole = clean(source, tmp_path / "whole.mp4", Request(), NETWORKS)
    later = clean(source, tmp_path / "later.mp4", Request(), NETWORKS, detection=found)
    assert (tmp_path / "later.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert [mark.id for mark in later.placements] == [mark.id for mark in whole.placements] == [mark.id for mark in report.placements]
    assert len(whole.placements) == 2
    assert [step.name for step in report.steps] == ["locate", "measure", "bound"]
    assert [step.name for step in later.steps] == ["remove"]


def test_the_request_chooses_among_the_marks(source: Path, tmp_path: Path) -> None:
    found = Detection.of(detect(source, Request(), NETWORKS))
    first, second = (mark.id for mark in found.marks)
    target = tmp_path / "clean.mp4"
    one = clean(source, target, Request(only=frozenset({second})), NETWORKS, detection=found)
    assert [mark.id for mark in one.placements] == [second]
    other = clean(source, target, Request(reject=frozenset({second})), NETWORKS, detection=found)
    assert [mark.id for mark in other.placements] == [first]
    box = found.marks[1].box
    kept = parse_box(f"{box.left},{box.top},{box.right},{box.bottom}")
    kept_out = clean(source, target, Request(keep=(kept,)), NETWORKS, detection=found)
    assert [mark.id for mark in kept_out.placements] == [first]


def test_the_estimate_covers_reading_and_removal(source: Path) -> None:
    report = detect(source, Request(), NETWORKS)
    assert removal_seconds(source, report, NETWORKS, Limits()) > 0
    assert removal_seconds(source, replace(report, placements=()), NETWORKS, Limits()) == 0


# Through the native API.


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), c2pa__enabled="false", price_detection_credits="0") as service:
        yield service


@pytest.fixture(scope="module")
def account(service: Service) -> TestAccount:
    return service.account(credits=20)


def submitted(service: Service, account: TestAccount, name: str = "picture.png", data: bytes = b"", **options: Any) -> dict[str, Any]:
    """The job at its end."""
    if data:
        body: dict[str, Any] = {"files": {"file": (name, data)}, "data": {"options": json.dumps(options)}}
    else:
        body = {"json": options}
    answer = service.client.post("/v1/jobs", headers=account.bearer, **body)
    assert answer.status_code == 201, answer.text
    service.wait(account, answer.json()["id"])
    found: dict[str, Any] = service.client.get(f"/v1/jobs/{answer.json()['id']}", headers=account.bearer).json()
    return found


def picture_with_two_marks() -> bytes:
    data = io.BytesIO()
    Image.fromarray(marked(marked(scene(0), FIRST), SECOND)).save(data, "PNG")
    return data.getvalue()


def content(service: Service, job: dict[str, Any]) -> bytes:
    return service.client.get(job["result"]["url"]).content


@pytest.fixture(scope="module")
def detection(service: Service, account: TestAccount) -> dict[str, Any]:
    return submitted(service, account, data=picture_with_two_marks(), kind="detect")


def test_a_detection_is_free_and_shows_each_mark(service: Service, detection: dict[str, Any]) -> None:
    assert (detection["state"], detection["kind"], detection["credits_used"]) == ("succeeded", "detect", 0)
    assert (detection["result"]["content_type"], detection["result"]["mark_found"]) == ("application/json", True)
    found = json.loads(content(service, detection))
    assert len(found["marks"]) == 2
    assert found["estimate_seconds"] + 0.05 >= found["seconds"] > 0  # it is rounded to tenths
    for mark in found["marks"]:
        with Image.open(io.BytesIO(base64.b64decode(mark["mask"].partition(",")[2]))) as image:
            mask = np.asarray(image)
        left, top, right, bottom = mark["box"]
        assert mask.shape == (96, 128)
        assert mask[top:bottom, left:right].sum() == mask.sum() == 255 * mark["mask_pixels"] > 0
        assert 0 < mark["confidence"] <= 1
    assert service.client.get(detection["result"]["thumbnail_url"]).status_code == 200


def test_the_chosen_marks_are_removed_without_looking_again(service: Service, account: TestAccount, detection: dict[str, Any]) -> None:
    marks = json.loads(content(service, detection))["marks"]
    whole = submitted(service, account, data=picture_with_two_marks())
    everything = submitted(service, account, detection=detection["id"])
    assert content(service, everything) == content(service, whole)
    assert everything["credits_used"] == 1
    report = service.client.get(f"/v1/jobs/{everything['id']}/report", headers=account.bearer).json()["files"][0]
    assert [step["name"] for step in report["steps"]] == ["remove"]
    one = submitted(service, account, detection=detection["id"], marks=[marks[1]["id"]])
    rejected = submitted(service, account, data=picture_with_two_marks(), reject=[marks[0]["id"]])
    assert content(service, one) == content(service, rejected) != content(service, whole)


def test_keep_through_the_native_api(service: Service, account: TestAccount, detection: dict[str, Any]) -> None:
    box = {"x1": 0, "y1": 0, "x2": 40, "y2": 96}
    for options in ({"detection": detection["id"]}, {"data": picture_with_two_marks()}):
        job = submitted(service, account, **options, keep=[box])
        with Image.open(io.BytesIO(content(service, job))) as after, Image.open(io.BytesIO(picture_with_two_marks())) as before:
            changed = (np.asarray(after) != np.asarray(before)).any(2)
        assert not changed[:, :40].any()
        assert changed[SECOND.slices].mean() > 0.9


def test_unknown_marks_fail_and_are_refunded(service: Service, account: TestAccount, detection: dict[str, Any]) -> None:
    before = service.context.job_service.balance(account.id)
    job = submitted(service, account, detection=detection["id"], marks=["00000000"])
    assert (job["state"], job["credits_used"]) == ("failed", 0)
    assert "no mark has the id 00000000" in job["error"]["detail"]
    assert service.context.job_service.balance(account.id) == before


def test_a_detection_that_finds_nothing_is_no_mark_found(service: Service, account: TestAccount) -> None:
    job = submitted(service, account, data=file("clean_image")[0], kind="detect")
    assert (job["result"]["mark_found"], json.loads(content(service, job))["marks"]) == (False, [])
    after = submitted(service, account, detection=job["id"])
    assert (after["state"], after["result"]["mark_found"], after["credits_used"]) == ("succeeded", False, 0)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"source_url": "http://example.com/clip.mp4"}, "source_url"),
        ({"boxes": [{"x1": 0, "y1": 0, "x2": 1, "y2": 1}]}, "boxes"),
        ({"kind": "detect"}, "kind"),
        ({"preview": {"seconds": 1}}, "preview"),
        ({"detect": True}, "detect"),
        ({"marks": ["xyz"]}, "marks.0"),
        ({"detection": "job_1_of_nobody"}, "detection"),
        ({"detection": "../x"}, "detection"),
        ({"detection": None}, "source_url"),
        ({"detection": None, "source_url": "http://example.com/clip.mp4", "marks": ["3f9a1c07"]}, "marks"),
    ],
)
def test_what_does_not_go_together(
    service: Service, account: TestAccount, detection: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    answer = service.client.post("/v1/jobs", headers=account.bearer, json={"detection": detection["id"]} | more)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_only_a_detection_of_the_account_is_one(service: Service, account: TestAccount, detection: dict[str, Any]) -> None:
    stranger = service.account()
    answer = service.client.post("/v1/jobs", headers=stranger.bearer, json={"detection": detection["id"]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "detection")
    cleaned = submitted(service, account, data=file("clean_image")[0])
    answer = service.client.post("/v1/jobs", headers=account.bearer, json={"detection": cleaned["id"]})
    assert "its kind is clean" in answer.text


def test_a_detection_can_have_a_price(tmp_path: Path) -> None:
    with running(tmp_path, price_detection_credits="2", worker=False) as service:
        account = service.account(credits=3)
        answer = service.client.post(
            "/v1/jobs", headers=account.bearer, files={"file": ("a.png", file("image")[0])}, data={"options": '{"kind": "detect"}'}
        )
        assert answer.status_code == 201
        assert service.context.job_service.balance(account.id).held_credits == 2
