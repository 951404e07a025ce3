"""A box that a person points at, for an interval of time. The command line, the API, the jobs and the pipeline all use it."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from service.errors import RequestError

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_CORNERS = ",".join([_NUMBER] * 4)
_BOX = re.compile(rf"{_CORNERS}(?:/{_CORNERS})?(?:@{_NUMBER}?-{_NUMBER}?)?")

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class TimedBox:
    """The corners x1, y1 (top left) and x2, y2 (bottom right), and the interval in seconds; None means no bound.

    Corners refer to the displayed picture, after rotation. If all are <= 1 they are fractions of it, else pixels. With `end`, the box moves
    evenly: it has its own corners at the first second, and those of `end` at the last, which must then both be given.
    Raises RequestError for an empty or negative box, for an interval that ends before it begins, and for a motion without one.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    first_seconds: float | None = None
    last_seconds: float | None = None
    end: Corners | None = None

    def __post_init__(self) -> None:
        if not all(map(_is_box, self.ends)):
            raise RequestError(f"box {self} is empty or negative; its corners are left,top,right,bottom")
        if self.end and (self.first_seconds is None or self.last_seconds is None):
            raise RequestError(f"box {self} moves, so it needs a first and a last second")
        if self.first_seconds is not None and self.last_seconds is not None and self.last_seconds < self.first_seconds:
            raise RequestError(f"box {self} ends before it begins")

    def to_json(self) -> dict[str, Any]:
        """JSON values; of a box that stays, those that version 0.2 knows."""
        return {name: value for name, value in asdict(self).items() if name != "end" or value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**data, "end": tuple(data["end"]) if data.get("end") else None})

    @property
    def corners(self) -> Corners:
        """Where it is at first."""
        return self.x1, self.y1, self.x2, self.y2

    @property
    def ends(self) -> tuple[Corners, ...]:
        """Where it is at first, and at last if it moves."""
        return (self.corners, self.end) if self.end else (self.corners,)

    @property
    def in_fractions(self) -> bool:
        """Whether its corners are fractions of the picture."""
        return max(map(max, self.ends)) <= 1.0

    def corners_at(self, seconds: float) -> Corners:
        """Where it is at a time that it covers; if it stays, at any."""
        if self.end is None or self.first_seconds is None or self.last_seconds is None or self.last_seconds == self.first_seconds:
            return self.corners
        share = (seconds - self.first_seconds) / (self.last_seconds - self.first_seconds)
        x1, y1, x2, y2 = (start + share * (stop - start) for start, stop in zip(self.corners, self.end, strict=True))
        return x1, y1, x2, y2

    def __str__(self) -> str:
        corners = "/".join(",".join(f"{value:g}" for value in ends) for ends in self.ends)
        if self.first_seconds is None and self.last_seconds is None:
            return corners
        first, last = ("" if value is None else f"{value:g}" for value in (self.first_seconds, self.last_seconds))
        return f"{corners}@{first}-{last}"

    def covers(self, seconds: float) -> bool:
        """Whether the interval includes this time; both ends belong to it."""
        return (self.first_seconds is None or self.first_seconds <= seconds) and (self.last_seconds is None or seconds <= self.last_seconds)


def parse_box(text: str) -> TimedBox:
    """Read `x1,y1,x2,y2` or `x1,y1,x2,y2@t1-t2`, times in seconds, of which one may be missing; or, moving, `CORNERS/CORNERS@t1-t2`.

    Raises RequestError.
    """
    match = _BOX.fullmatch(text.replace(" ", ""))
    if match is None:
        raise RequestError(f"box '{text}' is not x1,y1,x2,y2 or x1,y1,x2,y2@t1-t2 or x1,y1,x2,y2/x1,y1,x2,y2@t1-t2")
    x1, y1, x2, y2, *rest = (None if number is None else float(number) for number in match.groups())
    end = (rest[0], rest[1], rest[2], rest[3]) if rest[0] is not None else None
    return TimedBox(x1, y1, x2, y2, rest[4], rest[5], end)  # type: ignore[arg-type]  # the corners are there where the text matches


def _is_box(corners: Corners) -> bool:
    x1, y1, x2, y2 = corners
    return all(math.isfinite(value) and value >= 0 for value in corners) and x1 < x2 and y1 < y2
