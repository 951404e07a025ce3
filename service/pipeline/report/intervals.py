"""Placements as a person counts them: an animated or moving mark has many, but is one mark in one interval. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from service.pipeline.placement import Box, Placement, hull

MAX_MOMENTS: Final = 6  # of a run that pictures show
MAX_MOMENTS_OF_AN_INTERVAL: Final = 3


@dataclass(frozen=True)
class Interval:
    """A mark at one place, or along its path, from its first to its last frame, both included: placements whose frames overlap or touch."""

    first_frame: int
    last_frame: int
    placements: tuple[Placement, ...] = field(repr=False)

    @property
    def box(self) -> Box:
        """The mark's box; of one that moves, that around its path."""
        return reduce(hull, (placement.box for placement in self.placements))

    def box_at(self, frame_index: int) -> Box:
        """Where the mark is in one of its frames."""
        return next(placement.box for placement in self.placements if placement.covers(frame_index))

    @property
    def frames(self) -> int:
        return self.last_frame - self.first_frame + 1


def intervals(placements: Iterable[Placement]) -> tuple[Interval, ...]:
    """The intervals of all placements, in the order of their first frames."""
    groups: dict[Box | str, list[Placement]] = defaultdict(list)
    for placement in placements:
        groups[placement.path or placement.box].append(placement)
    found = [interval for group in groups.values() for interval in _intervals_of(group)]
    return tuple(sorted(found, key=lambda interval: (interval.first_frame, interval.last_frame)))


def _intervals_of(placements: Iterable[Placement]) -> Iterator[Interval]:
    """The intervals of placements that have the same box or path."""
    joined: list[Placement] = []
    last_frame = -1
    for placement in sorted(placements, key=lambda p: p.first_frame):
        if joined and placement.first_frame > last_frame + 1:
            yield Interval(joined[0].first_frame, last_frame, tuple(joined))
            joined = []
        last_frame = max(last_frame, placement.last_frame) if joined else placement.last_frame
        joined.append(placement)
    yield Interval(joined[0].first_frame, last_frame, tuple(joined))


def lanes(found: Sequence[Interval]) -> list[list[Interval]]:
    """Intervals, sorted by first frame, in as few rows as possible so that no two of a row overlap."""
    rows: list[list[Interval]] = []
    for interval in found:
        free_row = next((row for row in rows if row[-1].last_frame < interval.first_frame), None)
        if free_row is None:
            rows.append(free_row := [])
        free_row.append(interval)
    return rows


def key_moments(placements: Iterable[Placement]) -> dict[int, list[Box]]:
    """The frames that show the marks best, by index, and the boxes to show in each: spread evenly over a mark's longest interval."""
    longest: dict[Box, Interval] = {}
    for interval in sorted(intervals(placements), key=lambda interval: -interval.frames):
        longest.setdefault(interval.box, interval)
    chosen = list(longest.values())[:MAX_MOMENTS]
    frames_each = min(MAX_MOMENTS_OF_AN_INTERVAL, MAX_MOMENTS // max(1, len(chosen)))
    found: dict[int, list[Box]] = defaultdict(list)
    for interval in chosen:
        for index in sorted({interval.first_frame + interval.frames * (2 * k + 1) // (2 * frames_each) for k in range(frames_each)}):
            found[index].append(interval.box_at(index))
    return dict(found)
