"""Placements as a person counts them: an animated mark has a placement for each of its looks, and yet stays once. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from service.pipeline.placement import Box, Placement

MAX_MOMENTS: Final = 6  # of a run are shown in pictures
MAX_MOMENTS_OF_AN_INTERVAL: Final = 3


@dataclass(frozen=True)
class Interval:
    """A mark at one place from its first to its last frame: the placements of one box whose frames overlap or touch."""

    first_frame: int
    last_frame: int  # inclusive
    placements: tuple[Placement, ...] = field(repr=False)

    @property
    def box(self) -> Box:
        return self.placements[0].box

    @property
    def frames(self) -> int:
        return self.last_frame - self.first_frame + 1


def intervals(placements: Iterable[Placement]) -> tuple[Interval, ...]:
    """All stays, in the order in which they begin."""
    of_box: dict[Box, list[Placement]] = defaultdict(list)
    for placement in placements:
        of_box[placement.box].append(placement)
    found = [stay for group in of_box.values() for stay in _intervals_at(group)]
    return tuple(sorted(found, key=lambda stay: (stay.first_frame, stay.last_frame)))


def _intervals_at(placements: Iterable[Placement]) -> Iterator[Interval]:
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
    """Stays, given as they begin, in as few rows as let no two of a row overlap."""
    rows: list[list[Interval]] = []
    for stay in found:
        free = next((row for row in rows if row[-1].last_frame < stay.first_frame), None)
        if free is None:
            rows.append(free := [])
        free.append(stay)
    return rows


def key_moments(placements: Iterable[Placement]) -> dict[int, list[Box]]:
    """Frames that show the marks best, and what is to be looked at in each: evenly out of the longest stay at each of the places."""
    longest: dict[Box, Interval] = {}
    for stay in sorted(intervals(placements), key=lambda stay: -stay.frames):
        longest.setdefault(stay.box, stay)
    chosen = list(longest.values())[:MAX_MOMENTS]
    of_each = min(MAX_MOMENTS_OF_AN_INTERVAL, MAX_MOMENTS // max(1, len(chosen)))
    found: dict[int, list[Box]] = defaultdict(list)
    for stay in chosen:
        for index in sorted({stay.first_frame + stay.frames * (2 * k + 1) // (2 * of_each) for k in range(of_each)}):
            found[index].append(stay.box)
    return dict(found)
