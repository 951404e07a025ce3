"""The report as a page and as a picture: what a reader finds, and that a page asks nobody for anything."""

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.commands.report_file import check_report, write_report
from service.errors import RequestError, Truncated
from service.pipeline.locate.candidates import Timeline
from service.pipeline.placement import Box, Placement
from service.pipeline.report.chart import MOST_BARS, MOST_LANES, chart, clock
from service.pipeline.report.contact_sheet import Sample, View
from service.pipeline.report.page import MAX_ROWS, to_html
from service.pipeline.report.picture import BARS
from service.pipeline.report.report import FileResult, Report, StepMetrics
from tests.footage import described, placement

FRAMES, FPS = 48, 24
STEPS = (StepMetrics("locate", 1.0, FRAMES), StepMetrics("remove", 3.0, FRAMES))
EMPTY = {"meta", "img", "rect", "link", "br", "hr", "input"}


def box_at(left: int) -> Box:
    return Box(left, 10, left + 20, 20)


def sample(frame_index: int = 6) -> Sample:
    grey, colour = np.full((27, 48), 128, np.uint8), np.full((27, 48, 3), 90, np.uint8)
    view = View(colour, grey, grey, colour)
    return Sample(frame_index, view, view)


def report(*placements: Placement, frames: int = FRAMES, samples: int = 1) -> Report:
    info = described(480, 270, FPS, frames)
    timeline = Timeline(range(frames), info.time_base)
    return Report(info, placements, timeline, STEPS, {"cleanplate": "1.2.3"}, (sample(),) * samples)


class Page(HTMLParser):
    """A page as a browser takes it apart: what it holds, and whether what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style",):
            self.words.append(data)

    def all(self, tag: str, **has: str) -> list[dict[str, str]]:
        return [found for name, found in self.tags if name == tag and has.items() <= found.items()]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(*outcomes: Report | Truncated, name: str = "in.mp4") -> Page:
    return Page(to_html(tuple(FileResult(name, "out.mp4", outcome) for outcome in outcomes)))


def test_the_page_tells_what_was_done() -> None:
    found = page(report(placement(6, 17, box_at(30)), placement(30, 41, box_at(90))))
    assert "Marks removed from 24 of 48 frames, in 2 stays." in found.text
    assert "1 0:00.25 0:00.75 12 30, 10 20 × 10 1 100% #ffffff overlay 100%" in found.text
    assert "locate looks for marks 1.00 48.0 25%" in found.text
    assert "cleanplate 1.2.3" in found.text
    assert [image["alt"].partition(": ")[0] for image in found.all("img")[:4]] == ["Frame 6, at 0:00.25, whole picture"] * 4
    bars = found.all("rect", **{"class": "bar"}) + found.all("rect", **{"class": "bar next"})
    assert ("12.500%", "25.000%") in {(bar["x"], bar["width"]) for bar in bars}


def test_the_page_asks_no_host_and_runs_nothing() -> None:
    html = to_html((FileResult("in.mp4", "out.mp4", report(placement(0, 9, box_at(0)))),))
    found = Page(html)
    assert not found.all("script")
    assert not found.all("link")
    assert {image["src"].partition(";")[0] for image in found.all("img")} == {"data:image/jpeg", "data:image/png"}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert not [found for _, attributes in found.tags for found in attributes.values() if found.startswith(("http", "//"))]
    assert "url(" not in html
    assert found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"].startswith("default-src 'none'")


def test_names_of_strangers_are_words() -> None:
    name = "<script>alert(1)</script>.mp4"
    found = page(Truncated("a <b>message</b>"), name=name)
    assert not found.all("script")
    assert not found.all("b")
    assert name in found.text
    assert "Not cleaned: a <b>message</b>" in found.text


def test_several_inputs_are_listed() -> None:
    found = page(report(), Truncated("ends early"), report(placement(0, 9, box_at(0))))
    assert [link["href"] for link in found.all("a")] == ["#part-1", "#part-2", "#part-3"]
    assert {"part-1", "part-2", "part-3"} <= {part.get("id") for part in found.all("section")}
    assert "No mark was found; the streams were copied untouched." in found.text


def test_an_image_has_no_time() -> None:
    found = page(report(placement(0, 0, box_at(0)), frames=1))
    assert "Removed 1 mark." in found.text
    assert not found.all("svg", **{"class": "timeline"})
    assert "From" not in found.text


def test_long_lists_are_cut() -> None:
    """A frame-by-frame mask of two minutes: each frame has a place of its own."""
    frames = 3000
    found = report(*(placement(k, k, box_at(k % 400)) for k in range(frames)), frames=frames)
    html = to_html((FileResult("in.mp4", "out.mp4", found),))
    assert f"And {frames - MAX_ROWS} more" in html
    assert len(html) < 200_000


# The timeline.


def test_bars_are_where_the_stays_are() -> None:
    drawn = chart(report(placement(0, 11, box_at(0)), placement(12, 47, box_at(60)), placement(6, 17, box_at(120))))
    assert [[(bar.start, bar.end, bar.numbers) for bar in row] for row in drawn.lanes] == [
        [(0, 0.25, (1,)), (0.25, 1, (3,))],
        [(0.125, 0.375, (2,))],
    ]
    assert [(tick.place, tick.label) for tick in drawn.ticks] == [(k / 4, f"0:0{k // 2}.{k % 2 * 5}0") for k in range(5)]


def test_a_timeline_stays_small() -> None:
    at_once = chart(report(*(placement(0, 47, box_at(k)) for k in range(MOST_LANES + 5))))
    assert (len(at_once.lanes), at_once.hidden_stays) == (MOST_LANES, 5)
    (lane,) = chart(report(*(placement(2 * k, 2 * k, box_at(0)) for k in range(4500)), frames=9000)).lanes
    assert len(lane) <= MOST_BARS + 1
    assert sum(len(bar.numbers) for bar in lane) == 4500
    assert all(one.end < other.start for one, other in pairwise(lane))


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00.00"), (59.996, "1:00.00"), (61.237, "1:01.24"), (3599.9, "59:59.90")])
def test_a_clock_is_told_as_players_do(seconds: float, said: str) -> None:
    assert clock(seconds) == said


# The files.


def test_a_picture_has_the_timeline_below_the_sheet(tmp_path: Path) -> None:
    result = FileResult("in.mp4", "out.mp4", report(placement(0, 23, box_at(0)), samples=2))
    write_report(tmp_path / "new" / "report.PNG", (result,))
    with Image.open(tmp_path / "new" / "report.PNG") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    blue = np.argwhere((pixels == BARS[0]).all(axis=2))
    assert blue[:, 0].min() > 0.8 * len(pixels)
    assert blue[:, 1].max() == pytest.approx(pixels.shape[1] / 2, abs=3)


def test_a_picture_of_a_failure_and_of_nothing_are_drawn_too(tmp_path: Path) -> None:
    for name, outcome in (("failed.png", Truncated("ends early")), ("nothing.png", report(samples=0))):
        write_report(tmp_path / name, (FileResult("in.mp4", "out.mp4", outcome),))
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(2**16)) > 2


@pytest.mark.parametrize(("name", "inputs"), [("report.txt", 1), ("report", 1), ("report.png", 2)])
def test_a_report_that_cannot_be_is_refused(name: str, inputs: int) -> None:
    with pytest.raises(RequestError, match=name):
        check_report(Path(name), [Path("in.mp4")] * inputs)


@pytest.mark.parametrize(("name", "inputs"), [("a.json", 3), ("a.HTML", 3), ("a.png", 1)])
def test_a_report_that_can_be_is_not(name: str, inputs: int) -> None:
    check_report(Path(name), [Path("in.mp4")] * inputs)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"report\.html"):
        write_report(tmp_path / "file" / "report.html", (FileResult("in.mp4", "out.mp4", replace(report(), samples=())),))
