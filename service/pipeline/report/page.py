"""The report as an HTML page. It contains its pictures and drawings, runs no script and loads nothing."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import jinja2
import numpy as np
from PIL import Image

from models.arrays import Bytes
from service.errors import CleanplateError
from service.pipeline import report
from service.pipeline.report.chart import Bar, Chart, chart, clock, end_seconds
from service.pipeline.report.contact_sheet import PictureSet, Sample
from service.pipeline.report.intervals import Interval, intervals
from service.pipeline.report.report import FileResult, MarkSummary, Report, data_address, png_address
from service.pipeline.video import NotKept

TEMPLATE: Final = "page.html"
MAX_ROWS: Final = 60  # of the table of intervals
MAX_FILES_WITH_PICTURES: Final = 20  # their pictures take about 2 MB each
JPEG_QUALITY: Final = 82
STEPS: Final = {
    "locate": "finds where marks may be",
    "measure": "measures their pixels, opacity and colour",
    "bound": "finds their first and last frames",
    "remove": "restores what is behind them and encodes",
    "copy": "copies the streams untouched",
}
PICTURE_TEXTS: Final = {  # alternative texts of the pictures
    "marked": "before cleaning",
    "mask": "the pixels of the mark, in white",
    "opacity": "how much of each pixel the mark hid; white is fully hidden",
    "clean": "after cleaning",
}


def to_html(results: Sequence[FileResult]) -> str:
    """The page for the results of a command or a job: one section per input, in the given order."""
    return _template().render(files=[_section(result, number) for number, result in enumerate(results)], picture_texts=PICTURE_TEXTS)


@dataclass(frozen=True)
class _Row:
    """An interval in the table."""

    number: int
    kind: str
    first: str
    last: str
    frames: int
    position: str
    size: str
    placements: int
    opacity_percent: int
    colour: str  # #rrggbb
    confidence_percent: int


@dataclass(frozen=True)
class _Step:
    """A step, and its share of the time of all steps."""

    name: str
    description: str
    seconds: float
    frames_per_second: float
    share_percent: float


@dataclass(frozen=True)
class _SampleFigure:
    """A figure with one sample: rows of a label and its pictures, name to `data:` address."""

    caption: str
    rows: tuple[tuple[str, dict[str, str]], ...]


@dataclass(frozen=True)
class _Section:
    """One input, as the template displays it."""

    name: str
    target_name: str
    verdict: str
    failed: bool
    facts: tuple[str, ...] = ()
    figures: tuple[_SampleFigure, ...] = ()
    chart: Chart | None = None
    rows: tuple[_Row, ...] = ()
    hidden_rows: int = 0
    has_time: bool = True
    steps: tuple[_Step, ...] = ()
    versions: dict[str, str] | None = None
    not_kept: tuple[NotKept, ...] = ()

    def bar_title(self, bar: Bar) -> str:
        """The tooltip of a bar of the timeline."""
        first, last = min(bar.numbers), max(bar.numbers)
        if first != last or last > len(self.rows):
            return f"intervals {first} to {last}" if first != last else f"interval {first}"
        row = self.rows[first - 1]
        return f"interval {first}: {row.first} to {row.last}, at {row.position}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(resources.files(report).joinpath(TEMPLATE).read_text(encoding="utf-8"))


def _section(result: FileResult, number: int) -> _Section:
    report = result.outcome
    if isinstance(report, CleanplateError):
        return _Section(result.source_name, "", str(report), failed=True)
    found = intervals(report.placements)
    return _Section(
        name=result.source_name,
        target_name=result.target_name,
        verdict=_verdict(report, found),
        failed=False,
        facts=tuple(_facts(report)),
        figures=tuple(_sample_figure(sample, report) for sample in report.samples) if number < MAX_FILES_WITH_PICTURES else (),
        chart=chart(report) if found and report.frames > 1 else None,
        rows=tuple(_row(interval, row, report) for row, interval in enumerate(found[:MAX_ROWS], 1)),
        hidden_rows=max(0, len(found) - MAX_ROWS),
        has_time=report.frames > 1,
        steps=tuple(_steps(report)),
        versions=report.versions,
        not_kept=report.not_kept,
    )


def _verdict(report: Report, found: Sequence[Interval]) -> str:
    if not found:
        return "No mark was found; the streams were copied untouched. If you see one, point at it with a box or a mask."
    if report.frames == 1:
        return f"Removed {_counted(len(found), 'mark')}."
    marked = {index for interval in found for index in range(interval.first_frame, interval.last_frame + 1)}
    return f"Marks removed from {len(marked)} of {_counted(report.frames, 'frame')}, in {_counted(len(found), 'interval')}."


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _facts(report: Report) -> Iterator[str]:
    """What the file is, and how long the run took."""
    info = report.info
    yield f"{info.width} × {info.height} pixels"
    if report.frames > 1:
        yield f"{info.duration_seconds:.1f} s, {report.frames} frames, {float(info.fps):.4g} fps"
    yield f"{info.codec}, {info.pixel_format.name}" + ("" if info.container == "image" else f" in {info.container}")
    if report.copied_frames and report.mark_found:
        yield f"{report.copied_frames} of {report.frames} frames copied bit by bit"
    if report.provenance:
        yield f"credentials: {report.provenance.reason or f'signed by {report.provenance.signed_by}'}"
    yield f"cleaned in {report.seconds:.1f} s" + (f" ({report.frames_per_second:.1f} fps)" if report.frames > 1 else "")


def _steps(report: Report) -> Iterator[_Step]:
    for step in report.steps:
        share = 100 * step.seconds / report.seconds if report.seconds else 0.0
        yield _Step(step.name, STEPS.get(step.name, ""), step.seconds, step.frames_per_second, share)


def _row(interval: Interval, number: int, report: Report) -> _Row:
    """A row of the table. Opacity, colour and confidence are those of the interval's longest placement."""
    longest = max(interval.placements, key=lambda placement: placement.last_frame - placement.first_frame)
    box, summary = longest.box, MarkSummary.of(longest)
    red, green, blue = (round(255 * value) for value in summary.colour)
    return _Row(
        number=number,
        kind=longest.kind.replace("_", " "),
        first=clock(report.timeline.seconds(interval.first_frame)),
        last=clock(end_seconds(report, interval.last_frame)),
        frames=interval.frames,
        position=_position(interval),
        size=f"{box.width} × {box.height}",
        placements=len(interval.placements),
        opacity_percent=round(100 * summary.opacity),
        colour=f"#{red:02x}{green:02x}{blue:02x}",
        confidence_percent=round(100 * longest.confidence),
    )


def _position(interval: Interval) -> str:
    """The upper left corner of the mark; of one that moves, at first and at last."""
    ends = (interval.box_at(interval.first_frame), interval.box_at(interval.last_frame))
    return " to ".join(dict.fromkeys(f"{box.left}, {box.top}" for box in ends))


def _sample_figure(sample: Sample, report: Report) -> _SampleFigure:
    when = f"Frame {sample.frame_index}, at {clock(report.timeline.seconds(sample.frame_index))}" if report.frames > 1 else "The picture"
    return _SampleFigure(when, (("whole picture", _picture_addresses(sample.whole)), ("close up", _picture_addresses(sample.close))))


def _picture_addresses(pictures: PictureSet) -> dict[str, str]:
    return {name: _address(picture) for name, picture in pictures.by_name.items()}


def _address(picture: Bytes) -> str:
    """A picture as a `data:` address: grey (h, w) as PNG, RGB (h, w, 3) as JPEG."""
    if picture.ndim == 2:
        return png_address(np.ascontiguousarray(picture))
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return data_address("image/jpeg", data.getvalue())
