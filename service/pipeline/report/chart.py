"""When marks are there, as rows of bars over the time of the video: what the page and the picture of a report draw. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.pipeline.report.intervals import Interval, intervals, lanes
from service.pipeline.report.report import Report

MOST_LANES: Final = 8
MOST_BARS: Final = 300  # of a lane; bars are drawn as one where there would be more
MOST_STEPS: Final = 6  # of the time axis
NICE_SECONDS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True)
class Bar:
    """From `start` to `end`, in parts of the video's length; `numbers`: of the stays in it, from 1, as they begin."""

    start: float
    end: float
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Tick:
    """A place on the time axis, in parts of the video's length, and its words."""

    place: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Rows of bars, and the axis below them. `hidden_stays`: for which there was no row left."""

    lanes: tuple[tuple[Bar, ...], ...]
    ticks: tuple[Tick, ...]
    hidden_stays: int


def chart(report: Report) -> Chart:
    """The stays of a run over its time."""
    found = intervals(report.placements)
    numbers = {id(stay): number for number, stay in enumerate(found, 1)}
    seconds = length_seconds(report)
    rows = lanes(found)
    drawn = [[_bar(stay, numbers[id(stay)], report, seconds) for stay in row] for row in rows[:MOST_LANES]]
    return Chart(tuple(map(_coarse, drawn)), _ticks(seconds), sum(map(len, rows[MOST_LANES:])))


def length_seconds(report: Report) -> float:
    """From the first frame to the end of the last one."""
    return end_seconds(report, report.frames - 1)


def end_seconds(report: Report, frame_index: int) -> float:
    """When a frame ceases to be shown."""
    if frame_index + 1 < report.frames:
        return report.timeline.seconds(frame_index + 1)
    return report.timeline.seconds(frame_index) + float(1 / report.info.fps)


def clock(seconds: float) -> str:
    """`0:04.25`, as players tell time, but exact to a frame."""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"


def _bar(stay: Interval, number: int, report: Report, seconds: float) -> Bar:
    return Bar(report.timeline.seconds(stay.first_frame) / seconds, end_seconds(report, stay.last_frame) / seconds, (number,))


def _coarse(row: Sequence[Bar]) -> tuple[Bar, ...]:
    """The same bars; where they are too many, those that no picture could tell apart are one."""
    if len(row) <= MOST_BARS:
        return tuple(row)
    joined: list[Bar] = []
    for bar in row:
        if joined and int(bar.start * MOST_BARS) <= int(joined[-1].end * MOST_BARS):
            joined[-1] = Bar(joined[-1].start, bar.end, joined[-1].numbers + bar.numbers)
        else:
            joined.append(bar)
    return tuple(joined)


def _ticks(seconds: float) -> tuple[Tick, ...]:
    step = next((nice for nice in NICE_SECONDS if seconds / nice <= MOST_STEPS), seconds)
    return tuple(Tick(index * step / seconds, _label(index * step, step)) for index in range(int(seconds / step) + 1))


def _label(seconds: float, step: float) -> str:
    return clock(seconds) if step < 1 else clock(seconds).partition(".")[0]
