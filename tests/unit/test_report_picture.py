"""The report as a picture, and the file that `--report` writes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.commands.report_file import check_report, write_report
from service.errors import RequestError, Truncated
from service.pipeline.placement import Box, Placement
from service.pipeline.report.contact_sheet import PictureSet, Sample
from service.pipeline.report.picture import BAR_COLOURS
from service.pipeline.report.report import FileResult, Report, StepMetrics
from service.pipeline.video import Timeline
from tests.footage import described, placement

FRAMES, FPS = 48, 24
STEPS = (StepMetrics("locate", 1.0, FRAMES), StepMetrics("remove", 3.0, FRAMES))


def box_at(left: int) -> Box:
    return Box(left, 10, left + 20, 20)


def sample(frame_index: int = 6) -> Sample:
    grey, colour = np.full((27, 48), 128, np.uint8), np.full((27, 48, 3), 90, np.uint8)
    pictures = PictureSet(colour, grey, grey, colour)
    return Sample(frame_index, pictures, pictures)


def report(*placements: Placement, frames: int = FRAMES, samples: int = 1) -> Report:
    info = described(480, 270, FPS, frames)
    timeline = Timeline(range(frames), info.time_base)
    return Report(info, placements, timeline, STEPS, {"cleanplate": "1.2.3"}, (sample(),) * samples)


def test_a_picture_has_the_timeline_below_the_sheet(tmp_path: Path) -> None:
    result = FileResult("in.mp4", "out.mp4", report(placement(0, 23, box_at(0)), samples=2))
    write_report(tmp_path / "new" / "report.PNG", (result,))
    with Image.open(tmp_path / "new" / "report.PNG") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    blue = np.argwhere((pixels == BAR_COLOURS[0]).all(axis=2))
    assert blue[:, 0].min() > 0.8 * len(pixels)
    assert blue[:, 1].max() == pytest.approx(pixels.shape[1] / 2, abs=3)


def test_a_failure_and_a_run_without_marks_are_drawn_too(tmp_path: Path) -> None:
    for name, outcome in (("failed.png", Truncated("ends early")), ("nothing.png", report(samples=0))):
        write_report(tmp_path / name, (FileResult("in.mp4", "out.mp4", outcome),))
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(2**16)) > 2


@pytest.mark.parametrize(("name", "inputs"), [("report.txt", 1), ("report", 1), ("report.png", 2)])
def test_a_report_that_cannot_be_written_is_refused(name: str, inputs: int) -> None:
    with pytest.raises(RequestError, match=name):
        check_report(Path(name), [Path("in.mp4")] * inputs)


@pytest.mark.parametrize(("name", "inputs"), [("a.json", 3), ("a.HTML", 3), ("a.png", 1)])
def test_a_report_that_can_be_written_is_accepted(name: str, inputs: int) -> None:
    check_report(Path(name), [Path("in.mp4")] * inputs)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"report\.html"):
        write_report(tmp_path / "file" / "report.html", (FileResult("in.mp4", "out.mp4", replace(report(), samples=())),))
