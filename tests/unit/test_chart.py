"""The timeline of a report: bars where the intervals are, few enough to draw."""

from itertools import pairwise

import pytest

from service.pipeline.placement import Box, Placement
from service.pipeline.report.chart import MAX_BARS, MAX_LANES, chart, clock
from service.pipeline.report.report import Report
from service.pipeline.video import Timeline
from tests.footage import described, placement

FRAMES, FPS = 48, 24


def box_at(left: int) -> Box:
    return Box(left, 10, left + 20, 20)


def report(*placements: Placement, frames: int = FRAMES) -> Report:
    info = described(480, 270, FPS, frames)
    return Report(info, placements, Timeline(range(frames), info.time_base), (), {})


def test_bars_are_where_the_intervals_are() -> None:
    drawn = chart(report(placement(0, 11, box_at(0)), placement(12, 47, box_at(60)), placement(6, 17, box_at(120))))
    assert [[(bar.start, bar.end, bar.numbers) for bar in row] for row in drawn.lanes] == [
        [(0, 0.25, (1,)), (0.25, 1, (3,))],
        [(0.125, 0.375, (2,))],
    ]
    assert [(tick.position, tick.label) for tick in drawn.ticks] == [(k / 4, f"0:0{k // 2}.{k % 2 * 5}0") for k in range(5)]


def test_a_timeline_stays_small() -> None:
    at_once = chart(report(*(placement(0, 47, box_at(k)) for k in range(MAX_LANES + 5))))
    assert (len(at_once.lanes), at_once.hidden_intervals) == (MAX_LANES, 5)
    (lane,) = chart(report(*(placement(2 * k, 2 * k, box_at(0)) for k in range(4500)), frames=9000)).lanes
    assert len(lane) <= MAX_BARS + 1
    assert sum(len(bar.numbers) for bar in lane) == 4500
    assert all(one.end < other.start for one, other in pairwise(lane))


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00.00"), (59.996, "1:00.00"), (61.237, "1:01.24"), (3599.9, "59:59.90")])
def test_a_clock_counts_minutes_seconds_and_hundredths(seconds: float, text: str) -> None:
    assert clock(seconds) == text
