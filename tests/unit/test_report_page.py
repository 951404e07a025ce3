"""The report as an HTML page: what a reader finds, and that the page loads and runs nothing."""

from html.parser import HTMLParser

import numpy as np

from service.errors import Truncated
from service.pipeline.placement import Box, Placement
from service.pipeline.report.contact_sheet import PictureSet, Sample
from service.pipeline.report.page import MAX_ROWS, to_html
from service.pipeline.report.report import FileResult, Report, StepMetrics
from service.pipeline.video import Timeline
from tests.footage import described, placement

FRAMES, FPS = 48, 24
STEPS = (StepMetrics("locate", 1.0, FRAMES), StepMetrics("remove", 3.0, FRAMES))
EMPTY = {"meta", "img", "rect", "link", "br", "hr", "input"}


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


class Page(HTMLParser):
    """A page as a browser parses it: its tags and text; asserts that every tag is closed."""

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


def test_the_page_shows_what_was_done() -> None:
    found = page(report(placement(6, 17, box_at(30)), placement(30, 41, box_at(90))))
    assert "Marks removed from 24 of 48 frames, in 2 intervals." in found.text
    assert "1 0:00.25 0:00.75 12 30, 10 20 × 10 1 100% #ffffff overlay 100%" in found.text
    assert "locate finds where marks may be 1.00 48.0 25%" in found.text
    assert "cleanplate 1.2.3" in found.text
    assert [image["alt"].partition(": ")[0] for image in found.all("img")[:4]] == ["Frame 6, at 0:00.25, whole picture"] * 4
    bars = found.all("rect", **{"class": "bar"}) + found.all("rect", **{"class": "bar next"})
    assert ("12.500%", "25.000%") in {(bar["x"], bar["width"]) for bar in bars}


def test_the_page_loads_and_runs_nothing() -> None:
    html = to_html((FileResult("in.mp4", "out.mp4", report(placement(0, 9, box_at(0)))),))
    found = Page(html)
    assert not found.all("script")
    assert not found.all("link")
    assert {image["src"].partition(";")[0] for image in found.all("img")} == {"data:image/jpeg", "data:image/png"}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert not [found for _, attributes in found.tags for found in attributes.values() if found.startswith(("http", "//"))]
    assert "url(" not in html
    assert found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"].startswith("default-src 'none'")


def test_untrusted_names_are_escaped() -> None:
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
    """A frame-by-frame mask of two minutes: each frame has its own box."""
    frames = 3000
    found = report(*(placement(k, k, box_at(k % 400)) for k in range(frames)), frames=frames)
    html = to_html((FileResult("in.mp4", "out.mp4", found),))
    assert f"And {frames - MAX_ROWS} more" in html
    assert len(html) < 200_000
