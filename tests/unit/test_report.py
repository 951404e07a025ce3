"""The report as a value and as the JSON that `--report` writes."""

import json
from fractions import Fraction

import numpy as np
import pytest

from service.errors import Truncated
from service.pipeline.placement import Box, Placement
from service.pipeline.report import FileResult, Report, StepFigures, to_json
from service.pipeline.video import Colour, PixelFormat, VideoInfo

INFO = VideoInfo(
    width=64,
    height=48,
    rotation_degrees=90,
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
STEPS = (StepFigures("locate", 1.0, 60), StepFigures("measure", 0.5, 60), StepFigures("remove", 2.5, 60))


def placement(mask_pixels: int) -> Placement:
    """A red mark, 0.75 opaque at its core; its edge is faint and of another colour, which must hardly count."""
    mask, opacity = np.zeros((10, 20), np.float32), np.zeros((10, 20), np.float32)
    mask.ravel()[:mask_pixels] = 1
    opacity.ravel()[:mask_pixels] = 0.75
    colour = np.zeros((3, 10, 20), np.float32)
    colour[0] = 1.0
    return Placement(3, 12, Box(4, 5, 24, 15), mask, opacity, colour, confidence=0.9)


def test_figures_are_frames_by_seconds() -> None:
    report = Report(INFO, (), 60, STEPS, {})
    assert report.seconds == 4.0
    assert report.frames_per_second == 15.0
    assert [step.frames_per_second for step in STEPS] == [60.0, 120.0, 24.0]
    assert StepFigures("locate", 0.0, 0).frames_per_second == 0.0


def test_json_tells_placements_steps_and_versions() -> None:
    report = Report(INFO, (placement(50),), 60, STEPS, {"segmenter": "1"})
    (told,) = json.loads(to_json((FileResult("in.mp4", "out.mp4", report),)))["files"]
    assert (told["input"], told["output"], told["mark_found"]) == ("in.mp4", "out.mp4", True)
    (stay,) = told["placements"]
    assert (stay["first_frame"], stay["last_frame"], stay["box"], stay["kind"]) == (3, 12, [4, 5, 24, 15], "overlay")
    assert (stay["mask_pixels"], stay["confidence"]) == (50, 0.9)
    assert stay["opacity"] == pytest.approx(0.75)
    assert stay["colour"] == [1.0, 0.0, 0.0]
    assert [step["name"] for step in told["steps"]] == ["locate", "measure", "remove"]
    assert told["versions"] == {"segmenter": "1"}
    assert told["video"]["frames"] == 60
    assert told["video"]["frames_per_second"] == pytest.approx(29.97)


def test_the_mean_colour_weighs_by_opacity() -> None:
    mask, opacity = np.ones((1, 2), np.float32), np.array([[0.9, 0.1]], np.float32)
    colour = np.array([[[1.0, 0.0]]] * 3, np.float32)
    mark = Placement(0, 0, Box(0, 0, 2, 1), mask, opacity, colour, confidence=1.0)
    (told,) = json.loads(to_json((FileResult("a", "b", Report(INFO, (mark,), 1, STEPS, {})),)))["files"]
    assert told["placements"][0]["colour"] == [0.9, 0.9, 0.9]


def test_an_empty_mask_gives_numbers_not_nan() -> None:
    text = to_json((FileResult("a.mp4", "b.mp4", Report(INFO, (placement(0),), 60, STEPS, {})),))
    assert "NaN" not in text
    assert json.loads(text)["files"][0]["placements"][0]["mask_pixels"] == 0


def test_a_failed_input_tells_its_error_and_names_no_output() -> None:
    results = (
        FileResult("good.mp4", "good.mp4", Report(INFO, (), 60, STEPS, {})),
        FileResult("bad.mp4", "bad.mp4", Truncated("ends after 3 of 60 frames")),
    )
    good, bad = json.loads(to_json(results))["files"]
    assert good["mark_found"] is False
    assert bad == {"input": "bad.mp4", "error": "Truncated", "message": "ends after 3 of 60 frames"}
    assert [result.exit_code for result in results] == [0, 3]
