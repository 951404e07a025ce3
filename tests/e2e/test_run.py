"""A run from file to file with fake networks: every bright pixel is a mark and becomes grey."""

import json
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.errors import LimitExceeded, RequestError
from service.inference import fake
from service.inference.batcher import Arrays, Batcher
from service.pipeline.placement import Box
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import Progress, clean
from service.pipeline.video import Limits
from service.timed_box import parse_box
from tests.footage import FPS, Picture, marked, read_film, scene, write_film

WIDTH, HEIGHT = 128, 96
SQUARE = Box(40, 32, 72, 56)
NETWORKS = fake.networks()
FOUND, BY_HAND = Request(), Request(detect=False)


def story(total: int, first: int = 0, last: int | None = None) -> list[Picture]:
    """A white square from the first to the last frame."""
    last = total - 1 if last is None else last
    pictures = [scene(i, WIDTH, HEIGHT) for i in range(total)]
    return [marked(picture, SQUARE) if first <= i <= last else picture for i, picture in enumerate(pictures)]


def differences(one: list[Picture], other: list[Picture], box: Box | None = None) -> list[float]:
    """Mean absolute difference of each pair of pictures, inside the box or all over."""
    where = box.slices if box else (slice(None), slice(None))
    return [float(np.abs(a[where].astype(float) - b[where]).mean()) for a, b in zip(one, other, strict=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder for outputs; it may contain nothing else afterwards."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def cleaned(source: Path, folder: Path, request: Request = FOUND) -> tuple[Report, Path]:
    target = folder / source.name
    report = clean(source, target, request, NETWORKS)
    assert list(folder.iterdir()) == [target]
    return report, target


def test_a_mark_in_part_of_the_video_is_removed_and_the_rest_is_unchanged(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(54, 13, 37))
    report, target = cleaned(source, folder)
    (placement,) = report.placements
    assert (placement.first_frame, placement.last_frame) == (13, 37)
    assert [step.name for step in report.steps] == ["locate", "measure", "bound", "remove"]
    assert report.frames == 54
    assert 10 <= report.copied_frames <= 13
    before, after = read_film(source), read_film(target)
    inner = Box(SQUARE.left + 2, SQUARE.top + 2, SQUARE.right - 2, SQUARE.bottom - 2)
    changes = differences(after, before, inner)
    assert min(changes[13:38]) > 100
    assert max(changes[:13] + changes[38:]) < 4
    assert max(differences(after, [np.full_like(picture, 128) for picture in after], inner)[13:38]) < 4
    border = Box(0, 0, WIDTH, 24)
    assert max(differences(after, before, border)) < 4


def test_no_mark_is_a_copy(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(30, 1, 0))
    report, target = cleaned(source, folder)
    assert target.read_bytes() == source.read_bytes()
    assert not report.mark_found
    assert [step.name for step in report.steps] == ["locate", "copy"]


def test_a_video_of_one_frame(tmp_path: Path, folder: Path) -> None:
    report, target = cleaned(write_film(tmp_path / "in.mp4", story(1)), folder)
    assert [(p.first_frame, p.last_frame) for p in report.placements] == [(0, 0)]
    (picture,) = read_film(target)
    assert np.abs(picture[40:50, 46:66].astype(int) - 128).max() < 12


def test_a_picture_changes_in_the_mark_only(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(story(1)[0]).save(source)
    report, target = cleaned(source, folder)
    assert report.mark_found
    before, after = np.asarray(Image.open(source)), np.asarray(Image.open(target))
    changed = (before != after).any(2)
    rows, columns = np.nonzero(changed)
    assert (after[SQUARE.slices] == 128).all()
    margin = 2
    assert SQUARE.top - margin <= rows.min() <= rows.max() <= SQUARE.bottom - 1 + margin
    assert SQUARE.left - margin <= columns.min() <= columns.max() <= SQUARE.right - 1 + margin


def test_a_box_for_some_seconds(tmp_path: Path, folder: Path) -> None:
    """Without detection only the box is cleaned, and only in its seconds."""
    source = write_film(tmp_path / "in.mp4", story(FPS * 2))
    request = replace(BY_HAND, boxes=(parse_box("36,28,76,60@0.5-1"),))
    report, target = cleaned(source, folder, request)
    (placement,) = report.placements
    assert (placement.first_frame, placement.last_frame, placement.kind) == (FPS // 2, FPS, "user")
    changes = differences(read_film(target), read_film(source), SQUARE)
    assert [index for index, change in enumerate(changes) if change > 60] == list(range(FPS // 2, FPS + 1))


def test_a_box_is_cleaned_in_addition_to_detected_marks(tmp_path: Path, folder: Path) -> None:
    pictures = [marked(picture, Box(96, 70, 120, 90)) for picture in story(24)]
    source = write_film(tmp_path / "in.mp4", pictures)
    report, _ = cleaned(source, folder, Request(boxes=(parse_box("0.7,0.7,1,1@0-0.5"),)))
    assert sorted(p.kind for p in report.placements) == ["overlay", "overlay", "user"]


def test_a_mask_picture_selects_exactly_what_to_remove(tmp_path: Path, folder: Path) -> None:
    source, mask = write_film(tmp_path / "in.mp4", story(12, 1, 0)), np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[16:40, 64:112] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    report, target = cleaned(source, folder, replace(BY_HAND, mask=tmp_path / "mask.png"))
    (placement,) = report.placements
    assert (placement.first_frame, placement.last_frame) == (0, 11)
    for picture in read_film(target):
        assert np.abs(picture[20:36, 68:108].astype(int) - 128).max() < 12


def test_a_mask_video_selects_the_frames(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(16, 1, 0))
    white = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    white[16:40, 64:112] = 255
    mask = write_film(tmp_path / "mask.mp4", [np.zeros_like(white)] * 6 + [white] * 5 + [np.zeros_like(white)] * 5)
    report, target = cleaned(source, folder, replace(BY_HAND, mask=mask))
    assert [(p.first_frame, p.last_frame) for p in report.placements] == [(6, 10)]
    changes = differences(read_film(target), read_film(source), Box(68, 20, 108, 36))
    assert [index for index, change in enumerate(changes) if change > 15] == list(range(6, 11))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (replace(BY_HAND, boxes=(parse_box("200,10,220,20"),)), "outside the picture"),
        (replace(BY_HAND, boxes=(parse_box("10,10,20,20@7-8"),)), "after the end"),
        (replace(FOUND, keep=(parse_box("200,10,220,20"),)), "outside the picture"),
        (replace(FOUND, keep=(parse_box("10,10,20,20@7-8"),)), "after the end"),
        (replace(BY_HAND, mask=Path("mask.png")), "the mask is 64x64, the picture 128x96"),
    ],
)
def test_an_invalid_request_leaves_no_files(tmp_path: Path, folder: Path, request_: Request, message: str) -> None:
    source = write_film(tmp_path / "in.mp4", story(8))
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    given = replace(request_, mask=tmp_path / request_.mask) if request_.mask else request_
    with pytest.raises(RequestError, match=message):
        clean(source, folder / "out.mp4", given, NETWORKS)
    assert not list(folder.iterdir())


def test_an_exceeded_limit_leaves_no_files(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(30))
    with pytest.raises(LimitExceeded):
        clean(source, folder / "out.mp4", FOUND, NETWORKS, Limits(duration_seconds=0.5))
    assert not list(folder.iterdir())


class Broken:
    """An inpainter that fails in the middle of the video."""

    calls = 0

    def run(self, inputs: Arrays) -> Arrays:
        self.calls += 1
        if self.calls > 3:
            raise MemoryError
        return fake.FakeInpainter().run(inputs)


def test_a_failure_in_the_middle_leaves_no_files(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(60))
    with pytest.raises(MemoryError):
        clean(source, folder / "out.mp4", FOUND, replace(NETWORKS, inpainter=Batcher(Broken())))
    assert not list(folder.iterdir())


def test_progress_goes_through_each_step_and_frame_by_frame_where_all_are_read(tmp_path: Path, folder: Path) -> None:
    progress: list[Progress] = []
    clean(write_film(tmp_path / "in.mp4", story(20)), folder / "out.mp4", FOUND, NETWORKS, on_progress=progress.append)
    for step in ("locate", "remove"):
        assert [p.done_frames for p in progress if p.step == step] == list(range(1, 21))
    for step in ("measure", "bound"):
        done = [p.done_frames for p in progress if p.step == step]
        assert done == sorted(set(done))
        assert done[-1] == 20
    assert all(p.done_frames <= p.total_frames for p in progress)
    assert list(dict.fromkeys(p.step for p in progress)) == ["locate", "measure", "bound", "remove"]


def test_a_further_reading_can_be_ended_like_the_first(tmp_path: Path, folder: Path) -> None:
    """One is made where marks take turns at one place."""
    pictures, other = story(60, 0, 15), Box(36, 32, 100, 56)
    pictures[32:48] = [marked(picture, other) for picture in pictures[32:48]]
    source, told = write_film(tmp_path / "in.mp4", pictures), list[int]()

    class Ended(Exception):
        """The job was cancelled."""

    def listen(progress: Progress) -> None:
        told.append(progress.done_frames)
        if told.count(60) == 2:
            raise Ended

    with pytest.raises(Ended):
        clean(source, folder / "out.mp4", FOUND, NETWORKS, on_progress=listen)
    assert told == [*range(1, 61), 60]
    assert not list(folder.iterdir())


def test_debug_pictures_are_written(tmp_path: Path, folder: Path) -> None:
    source = write_film(tmp_path / "in.mp4", story(20))
    clean(source, folder / "out.mp4", FOUND, NETWORKS, debug=tmp_path / "look")
    assert {path.name for path in (tmp_path / "look").iterdir()} == {"contact_sheet.png", "before_after.png", "decisions.json"}
    with Image.open(tmp_path / "look" / "contact_sheet.png") as sheet:
        assert sheet.width > WIDTH


def test_decisions_explain_a_kept_mark_and_dropped_candidates(tmp_path: Path, folder: Path) -> None:
    """A square is kept; four by four pixels are none in a closer look, where they blur, nor are many of them for four frames."""
    small = Box(200, 40, 204, 44)
    brief = [Box(left, top, left + 4, top + 4) for left in (240, 246) for top in range(150, 230, 6)]
    pictures = [marked(marked(scene(i, 320, 240), SQUARE), small) for i in range(40)]
    pictures[18:22] = [reduce(marked, brief, picture) for picture in pictures[18:22]]
    report = clean(write_film(tmp_path / "in.mp4", pictures), folder / "out.mp4", FOUND, NETWORKS, debug=tmp_path / "look")
    assert len(report.placements) == 1
    document = json.loads((tmp_path / "look" / "decisions.json").read_text())
    assert document["version"] == 1
    decisions = {subject["id"]: {d["question"]: d for d in subject["decisions"]} for subject in document["subjects"]}
    closer = [found["confidence in closer looks"] for found in decisions.values() if "confidence in closer looks" in found]
    assert sorted(look["measured"] > look["threshold"] for look in closer) == [False, False, True]
    (kept,) = (name for name, found in decisions.items() if "frames with the mark" in found)
    assert decisions[kept]["frames with the mark"]["outcome"] == "kept: frames 0 to 39"
    level = decisions[kept.replace("candidate", "mark")]["fitted opacity level"]
    assert (level["measured"], level["outcome"]) == (1, "filled: it is opaque")
    (unmatched,) = (found for found in decisions.values() if "matches a confirmed mark" in found)
    assert unmatched["matches a confirmed mark"]["outcome"].startswith("dropped")
    correlation = unmatched["correlation of its shape with a mark's"]
    assert correlation["measured"] < correlation["threshold"]
