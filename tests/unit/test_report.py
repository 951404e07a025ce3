"""The report as a value and as the JSON that `--report` writes."""

import base64
import io
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.api.native_report import ReportView
from service.errors import Truncated
from service.pipeline.placement import Box, Placement
from service.pipeline.report.report import MAX_MATTE_BYTES, MAX_MATTES, FileResult, Report, StepMetrics, to_json
from service.pipeline.video import Colour, PixelFormat, Timeline, VideoInfo

INFO = VideoInfo(
    width=64,
    height=48,
    orientation=1,
    pixel_format=PixelFormat("yuv420p", 8, 1, 1),
    colour=Colour(full_range=False, matrix=1, primaries=1, transfer=1),
    time_base=Fraction(1, 90000),
    fps=Fraction(30000, 1001),
    duration_seconds=2.0,
    frames_estimate=60,
    codec="h264",
    container="mp4",
    file_bytes=1000,
    video_bit_rate=4000,
)
TIMELINE = Timeline(range(900, 900 + 60 * 3003, 3003), INFO.time_base)
NOISE = np.random.default_rng(1).random((10, 20), np.float32)
STEPS = (StepMetrics("locate", 1.0, 60), StepMetrics("measure", 0.5, 60), StepMetrics("remove", 2.5, 60))


def placement(mask_pixels: int) -> Placement:
    """A red mark of opacity 0.75 on its first `mask_pixels` pixels."""
    mask, opacity = np.zeros((10, 20), np.float32), np.zeros((10, 20), np.float32)
    mask.ravel()[:mask_pixels] = 1
    opacity.ravel()[:mask_pixels] = 0.75
    colour = np.zeros((3, 10, 20), np.float32)
    colour[0] = 1.0
    return Placement(3, 12, Box(4, 5, 24, 15), mask, opacity, colour, confidence=0.9)


def test_metrics_are_frames_by_seconds() -> None:
    report = Report(INFO, (), TIMELINE, STEPS, {})
    assert report.seconds == 4.0
    assert report.frames_per_second == 15.0
    assert [step.frames_per_second for step in STEPS] == [60.0, 120.0, 24.0]
    assert StepMetrics("locate", 0.0, 0).frames_per_second == 0.0


def test_json_has_placements_steps_and_versions() -> None:
    report = Report(INFO, (placement(50),), TIMELINE, STEPS, {"segmenter": "1"})
    (entry,) = json.loads(to_json((FileResult("in.mp4", "out.mp4", report),)))["files"]
    assert (entry["input"], entry["output"], entry["mark_found"]) == ("in.mp4", "out.mp4", True)
    ReportView.model_validate({"files": [entry]}, strict=True)
    (item,) = entry["placements"]
    assert (item["first_seconds"], item["last_seconds"]) == (0.1, 0.4)
    assert (item["first_frame"], item["last_frame"], item["box"], item["kind"]) == (3, 12, [4, 5, 24, 15], "overlay")
    assert (item["mask_pixels"], item["confidence"]) == (50, 0.9)
    assert item["opacity"] == pytest.approx(0.75)
    assert item["colour"] == [1.0, 0.0, 0.0]
    assert [step["name"] for step in entry["steps"]] == ["locate", "measure", "remove"]
    assert entry["versions"] == {"segmenter": "1"}
    assert entry["video"]["frames"] == 60
    assert entry["video"]["frames_per_second"] == pytest.approx(29.97)


def moving(pieces: int) -> tuple[Placement, ...]:
    """A mark that moves right by two pixels every five frames, from frame 3 on."""
    one = replace(placement(50), path="a path")
    return tuple(
        replace(one, first_frame=3 + 5 * k, last_frame=7 + 5 * k, box=Box(4 + 2 * k, 5, 24 + 2 * k, 15), mask=np.roll(one.mask, k, 1))
        for k in range(pieces)
    )


def test_a_mark_that_moves_is_one_entry_with_its_path() -> None:
    pieces, still = moving(4), placement(60)
    entry = entry_of(*pieces[:2], still, *pieces[2:])
    ReportView.model_validate({"files": [entry]}, strict=True)
    one, other = entry["placements"]
    assert (one["id"], other["id"]) == (pieces[3].id, still.id)
    assert (one["first_frame"], one["last_frame"], one["box"], one["matte"]) == (3, 22, [4, 5, 30, 15], None)
    assert [(step["first_frame"], step["last_frame"], step["box"][0]) for step in one["path"]] == [
        (3, 7, 4), (8, 12, 6), (13, 17, 8), (18, 22, 10)
    ]  # fmt: skip
    assert [step["matte"] for step in one["path"]] == [0, 1, 2, 3]
    assert (other["path"], other["matte"]) == ([], 4)


def test_the_id_of_a_mark_that_moves_is_that_of_its_path() -> None:
    pieces = moving(3)
    assert len({piece.id for piece in pieces}) == 1
    assert len({piece.id for piece in (pieces[0], replace(pieces[0], path="another"), replace(pieces[0], path=""))}) == 3


def test_the_mean_colour_weighs_by_opacity() -> None:
    mask, opacity = np.ones((1, 2), np.float32), np.array([[0.9, 0.1]], np.float32)
    colour = np.array([[[1.0, 0.0]]] * 3, np.float32)
    mark = Placement(0, 0, Box(0, 0, 2, 1), mask, opacity, colour, confidence=1.0)
    (entry,) = json.loads(to_json((FileResult("a", "b", Report(INFO, (mark,), TIMELINE, STEPS, {})),)))["files"]
    assert entry["placements"][0]["colour"] == [0.9, 0.9, 0.9]


def test_an_empty_mask_gives_numbers_not_nan() -> None:
    text = to_json((FileResult("a.mp4", "b.mp4", Report(INFO, (placement(0),), TIMELINE, STEPS, {})),))
    assert "NaN" not in text
    assert json.loads(text)["files"][0]["placements"][0]["mask_pixels"] == 0


def test_a_failed_input_has_its_error_and_no_output() -> None:
    results = (
        FileResult("good.mp4", "good.mp4", Report(INFO, (), TIMELINE, STEPS, {})),
        FileResult("bad.mp4", "bad.mp4", Truncated("ends after 3 of 60 frames")),
    )
    good, bad = json.loads(to_json(results))["files"]
    assert good["mark_found"] is False
    assert bad == {"input": "bad.mp4", "error": "Truncated", "message": "ends after 3 of 60 frames"}
    assert [result.exit_code for result in results] == [0, 3]


def entry_of(*placements: Placement, orientation: int = 1) -> dict[str, Any]:
    report = Report(replace(INFO, orientation=orientation), placements, TIMELINE, STEPS, {})
    (entry,) = json.loads(to_json((FileResult("in.mp4", "out.mp4", report),)))["files"]
    return entry  # type: ignore[no-any-return]


def picture_at(address: str) -> NDArray[np.uint8]:
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


def test_a_matte_is_what_the_mark_hides_and_is_written_once() -> None:
    entry = entry_of(placement(50), replace(placement(50), first_frame=20, last_frame=30), placement(60))
    assert [item["matte"] for item in entry["placements"]] == [0, 0, 1]
    expected = np.zeros((10, 20), np.uint8)
    expected.ravel()[:50] = 191  # 0.75 of 255
    np.testing.assert_array_equal(picture_at(entry["mattes"][0]), expected)


def test_the_report_says_how_the_picture_is_stored() -> None:
    entry = entry_of(placement(50), orientation=5)
    assert (entry["video"]["width"], entry["video"]["height"]) == (64, 48)
    assert (entry["video"]["rotation_degrees"], entry["video"]["mirrored"]) == (90, True)
    assert entry["placements"][0]["box"] == [4, 5, 24, 15]


def test_mattes_are_not_too_many() -> None:
    entry = entry_of(
        *(placement(pixels) for pixels in range(MAX_MATTES)), placement(3), *(placement(1), replace(placement(1), opacity=NOISE))
    )
    assert [item["matte"] for item in entry["placements"]] == [*range(MAX_MATTES), 3, 1, None]


def test_mattes_are_not_too_large() -> None:
    rng = np.random.default_rng(1)
    size = (1000, 1000)  # about a megabyte each
    marks = [
        Placement(0, 9, Box(0, 0, *size), np.ones(size, np.float32), rng.random(size, np.float32), np.ones((3, *size), np.float32), 1.0)
        for _ in range(3)
    ]
    entry = entry_of(*marks, placement(50))
    assert [item["matte"] for item in entry["placements"]] == [0, None, None, 1]
    assert sum(map(len, entry["mattes"])) <= MAX_MATTE_BYTES
