"""A mark that moves is one mark: in the report, in a detection, and when it is rejected. Fake networks."""

import json
from pathlib import Path

import numpy as np
import pytest

from service.errors import RequestError
from service.inference import fake
from service.pipeline.estimate import removal_seconds
from service.pipeline.placement import Box
from service.pipeline.report.detection_report import detection_json, mask_addresses
from service.pipeline.report.page import to_html
from service.pipeline.report.report import FileResult, to_json
from service.pipeline.request import Request
from service.pipeline.run import clean, detect
from service.pipeline.video import Limits
from service.timed_box import parse_box
from tests.footage import marked, read_film, scene, write_film

NETWORKS = fake.networks()
FRAMES = 48
PATH = Request(boxes=tuple(map(parse_box, ("8,18,36,34/54,18,82,34@0-1", "54,18,82,34/100,18,127,34@1-2"))), detect=False)


def square(index: int) -> Box:
    return Box(10 + 2 * index, 20, min(126, 34 + 2 * index), 32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("moving") / "in.mp4", [marked(scene(i), square(i)) for i in range(FRAMES)])


def test_a_path_of_two_boxes_is_one_entry_and_one_row(source: Path, tmp_path: Path) -> None:
    report = clean(source, tmp_path / "out.mp4", PATH, NETWORKS)
    assert len(report.placements) > 10
    results = (FileResult("in.mp4", "out.mp4", report),)
    (entry,) = json.loads(to_json(results))["files"]
    (mark,) = entry["placements"]
    assert (mark["first_frame"], mark["last_frame"], len(mark["path"])) == (0, FRAMES - 1, len(report.placements))
    assert f"Marks removed from {FRAMES} of {FRAMES} frames, in 1 interval." in to_html(results)
    for index, picture in enumerate(read_film(tmp_path / "out.mp4")):
        box = square(index)
        assert picture[box.top + 2 : box.bottom - 2, box.left + 2 : box.right - 2].max() < 200


def test_it_is_rejected_by_one_id(source: Path, tmp_path: Path) -> None:
    (name,) = {placement.id for placement in detect(source, PATH, NETWORKS).placements}
    rejected = Request(PATH.boxes, detect=False, reject=frozenset({name}))
    assert not clean(source, tmp_path / "out.mp4", rejected, NETWORKS).mark_found
    unknown = Request(PATH.boxes, detect=False, reject=frozenset({"00000000"}))
    with pytest.raises(RequestError, match=f"the marks found are {name}$"):
        clean(source, tmp_path / "out.mp4", unknown, NETWORKS)


def test_a_detection_has_one_mark_with_the_mask_of_one_frame(source: Path) -> None:
    report = detect(source, PATH, NETWORKS)
    masks = mask_addresses(report)
    found = json.loads(detection_json(report, removal_seconds(source, report, NETWORKS, Limits()), masks))
    (mark,) = found["marks"]
    assert mark["mask"] == masks[0]
    assert len(mark["path"]) == len(report.placements)
    assert np.diff([step["box"][0] for step in mark["path"]]).min() >= 0
