"""The report as a page of its own: pictures and drawings are inside it, it runs no script and asks no host for anything."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import jinja2
import numpy as np
from PIL import Image

from service.errors import CleanplateError
from service.pipeline.picture.orientation import displayed_box, displayed_size
from service.pipeline.report.chart import Bar, Chart, chart, clock, end_seconds
from service.pipeline.report.contact_sheet import Picture, Sample, View
from service.pipeline.report.intervals import Interval, intervals
from service.pipeline.report.report import FileResult, MatteView, Report, data_address, png_address

PACKAGE: Final = "service.pipeline.report"
TEMPLATE: Final = "page.html"
MAX_ROWS: Final = 60  # of a table of stays
MAX_FILES_WITH_PICTURES: Final = 20  # some 2 MB each
JPEG_QUALITY: Final = 82
STEPS: Final = {
    "locate": "looks for marks",
    "measure": "reads their shape, opacity and colour",
    "bound": "finds their first and last frames",
    "remove": "restores what is behind them, and encodes",
    "copy": "copies the streams untouched",
}
VIEWS: Final = {  # what the pictures are, for those who cannot see them
    "marked": "as it came in",
    "mask": "where pixels changed, in white",
    "opacity": "how much the mark hid: white is all of it",
    "clean": "as it went out",
}


def to_html(results: Sequence[FileResult]) -> str:
    """The page of a command or a job: a part for each input, in the order given."""
    return _template().render(files=[_part(result, number) for number, result in enumerate(results)], views=VIEWS)


@dataclass(frozen=True)
class _Row:
    """A stay in the table."""

    number: int
    kind: str
    first: str
    last: str
    frames: int
    place: str
    size: str
    looks: int
    opacity_percent: int
    colour: str  # #rrggbb
    confidence_percent: int


@dataclass(frozen=True)
class _Step:
    """A step, and its share of the time of all."""

    name: str
    what: str
    seconds: float
    frames_per_second: float
    share_percent: float


@dataclass(frozen=True)
class _MarkView:
    """A frame in pictures: rows of name and address."""

    caption: str
    rows: tuple[tuple[str, dict[str, str]], ...]


@dataclass(frozen=True)
class _Part:
    """One input, as the template wants it."""

    name: str
    target_name: str
    verdict: str
    failed: bool
    facts: tuple[str, ...] = ()
    sights: tuple[_MarkView, ...] = ()
    drawn: Chart | None = None
    rows: tuple[_Row, ...] = ()
    hidden_rows: int = 0
    has_time: bool = True
    steps: tuple[_Step, ...] = ()
    versions: dict[str, str] | None = None

    def bar_title(self, bar: Bar) -> str:
        """What a bar of the timeline tells when it is pointed at."""
        first, last = min(bar.numbers), max(bar.numbers)
        if first != last or last > len(self.rows):
            return f"stays {first} to {last}" if first != last else f"stay {first}"
        row = self.rows[first - 1]
        return f"stay {first}: {row.first} to {row.last}, at {row.place}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(resources.files(PACKAGE).joinpath(TEMPLATE).read_text(encoding="utf-8"))


def _part(result: FileResult, number: int) -> _Part:
    report = result.outcome
    if isinstance(report, CleanplateError):
        return _Part(result.source_name, "", str(report), failed=True)
    found = intervals(report.placements)
    return _Part(
        name=result.source_name,
        target_name=result.target_name,
        verdict=_verdict(report, found),
        failed=False,
        facts=tuple(_facts(report)),
        sights=tuple(_mark_view(sample, report) for sample in report.samples) if number < MAX_FILES_WITH_PICTURES else (),
        drawn=chart(report) if found and report.frames > 1 else None,
        rows=tuple(_row(stay, place, report) for place, stay in enumerate(found[:MAX_ROWS], 1)),
        hidden_rows=max(0, len(found) - MAX_ROWS),
        has_time=report.frames > 1,
        steps=tuple(_steps(report)),
        versions=report.versions,
    )


def _verdict(report: Report, found: Sequence[Interval]) -> str:
    if not found:
        return "No mark was found; the streams were copied untouched."
    if report.frames == 1:
        return f"Removed {_counted(len(found), 'mark')}."
    marked = {index for stay in found for index in range(stay.first_frame, stay.last_frame + 1)}
    return f"Marks removed from {len(marked)} of {_counted(report.frames, 'frame')}, in {_counted(len(found), 'stay')}."


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _facts(report: Report) -> Iterator[str]:
    """What the file is, and how long it took."""
    info, (width, height) = report.info, displayed_size(report.info)
    yield f"{width} × {height} pixels"
    if report.frames > 1:
        yield f"{info.duration_seconds:.1f} s, {report.frames} frames, {float(info.fps):.4g} fps"
    yield f"{info.codec}, {info.pixel_format.name}" + ("" if info.container == "image" else f" in {info.container}")
    if report.provenance:
        yield f"credentials: {report.provenance.reason or f'signed by {report.provenance.signed_by}'}"
    yield f"cleaned in {report.seconds:.1f} s" + (f" ({report.frames_per_second:.1f} fps)" if report.frames > 1 else "")


def _steps(report: Report) -> Iterator[_Step]:
    for step in report.steps:
        share = 100 * step.seconds / report.seconds if report.seconds else 0.0
        yield _Step(step.name, STEPS.get(step.name, ""), step.seconds, step.frames_per_second, share)


def _row(stay: Interval, number: int, report: Report) -> _Row:
    """A stay; of an animated mark that look which stays longest speaks for all."""
    longest = max(stay.placements, key=lambda placement: placement.last_frame - placement.first_frame)
    box, look = displayed_box(stay.box, report.info), MatteView.of(longest)
    red, green, blue = (round(255 * value) for value in look.colour)
    return _Row(
        number=number,
        kind=longest.kind.replace("_", " "),
        first=clock(report.timeline.seconds(stay.first_frame)),
        last=clock(end_seconds(report, stay.last_frame)),
        frames=stay.frames,
        place=f"{box.left}, {box.top}",
        size=f"{box.width} × {box.height}",
        looks=len(stay.placements),
        opacity_percent=round(100 * look.opacity),
        colour=f"#{red:02x}{green:02x}{blue:02x}",
        confidence_percent=round(100 * longest.confidence),
    )


def _mark_view(sample: Sample, report: Report) -> _MarkView:
    when = f"Frame {sample.frame_index}, at {clock(report.timeline.seconds(sample.frame_index))}" if report.frames > 1 else "The picture"
    return _MarkView(when, (("whole picture", _addresses(sample.whole)), ("close up", _addresses(sample.close))))


def _addresses(view: View) -> dict[str, str]:
    return {name: _address(picture) for name, picture in view.pictures.items()}


def _address(picture: Picture) -> str:
    """A `data:` address: a grey picture exact, one in colours as a JPEG."""
    if picture.ndim == 2:
        return png_address(np.ascontiguousarray(picture))
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return data_address("image/jpeg", data.getvalue())
