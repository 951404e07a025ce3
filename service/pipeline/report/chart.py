"""The intervals of marks as rows of bars over the time of the video; the page and the picture of a report draw them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.pipeline.report.intervals import Interval, intervals, lanes
from service.pipeline.report.report import Report

MAX_LANES: Final = 8
MAX_BARS: Final = 300  # of a lane; a lane with more joins bars that are too close to distinguish
MAX_TICK_STEPS: Final = 6  # between the ticks of the time axis
NICE_SECONDS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True)
class Bar:
    """A bar of a lane. start, end: in [0, 1] of the video's length. numbers: of its intervals, counted from 1 by first frame."""

    start: float
    end: float
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Tick:
    """A tick of the time axis. position: in [0, 1] of the video's length."""

    position: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Rows of bars, and the axis below them. hidden_intervals: how many did not fit into MAX_LANES rows."""

    lanes: tuple[tuple[Bar, ...], ...]
    ticks: tuple[Tick, ...]
    hidden_intervals: int


def chart(report: Report) -> Chart:
    """The intervals of a run over the time of its video."""
    found = intervals(report.placements)
    numbers = {id(interval): number for number, interval in enumerate(found, 1)}
    seconds = length_seconds(report)
    rows = lanes(found)
    drawn = [[_bar(interval, numbers[id(interval)], report, seconds) for interval in row] for row in rows[:MAX_LANES]]
    return Chart(tuple(map(_limit_bars, drawn)), _ticks(seconds), sum(map(len, rows[MAX_LANES:])))


def length_seconds(report: Report) -> float:
    """Seconds from the first frame to the end of the last one."""
    return end_seconds(report, report.frames - 1)


def end_seconds(report: Report, frame_index: int) -> float:
    """When a frame ends, in seconds from the first frame."""
    if frame_index + 1 < report.frames:
        return report.timeline.seconds(frame_index + 1)
    return report.timeline.seconds(frame_index) + float(1 / report.info.fps)


def clock(seconds: float) -> str:
    """Seconds as minutes, seconds and hundredths, such as `0:04.25`."""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"


def _bar(interval: Interval, number: int, report: Report, seconds: float) -> Bar:
    return Bar(report.timeline.seconds(interval.first_frame) / seconds, end_seconds(report, interval.last_frame) / seconds, (number,))


def _limit_bars(row: Sequence[Bar]) -> tuple[Bar, ...]:
    """The same bars; if there are more than MAX_BARS, those too close to distinguish are joined."""
    if len(row) <= MAX_BARS:
        return tuple(row)
    joined: list[Bar] = []
    for bar in row:
        if joined and int(bar.start * MAX_BARS) <= int(joined[-1].end * MAX_BARS):
            joined[-1] = Bar(joined[-1].start, bar.end, joined[-1].numbers + bar.numbers)
        else:
            joined.append(bar)
    return tuple(joined)


def _ticks(seconds: float) -> tuple[Tick, ...]:
    step = next((candidate for candidate in NICE_SECONDS if seconds / candidate <= MAX_TICK_STEPS), seconds)
    return tuple(Tick(index * step / seconds, _label(index * step, step)) for index in range(int(seconds / step) + 1))


def _label(seconds: float, step: float) -> str:
    return clock(seconds) if step < 1 else clock(seconds).partition(".")[0]
