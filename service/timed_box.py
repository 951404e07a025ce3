"""A box that a person points at, for an interval of time. The command line, the API, the jobs and the pipeline all use it."""

import math
import re
from dataclasses import dataclass

from service.errors import RequestError

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_BOX = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}(?:@{_NUMBER}?-{_NUMBER}?)?")


@dataclass(frozen=True)
class TimedBox:
    """The corners x1, y1 (top left) and x2, y2 (bottom right), and the interval in seconds; None means no bound.

    Corners refer to the displayed picture, after rotation. If all are <= 1 they are fractions of it, else pixels.
    Raises RequestError for an empty or negative box, and for an interval that ends before it begins.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    first_seconds: float | None = None
    last_seconds: float | None = None

    def __post_init__(self) -> None:
        corners = (self.x1, self.y1, self.x2, self.y2)
        if not all(math.isfinite(value) and value >= 0 for value in corners) or self.x2 <= self.x1 or self.y2 <= self.y1:
            raise RequestError(f"box {self} is empty or negative; its corners are left,top,right,bottom")
        if self.first_seconds is not None and self.last_seconds is not None and self.last_seconds < self.first_seconds:
            raise RequestError(f"box {self} ends before it begins")

    def __str__(self) -> str:
        corners = ",".join(f"{value:g}" for value in (self.x1, self.y1, self.x2, self.y2))
        if self.first_seconds is None and self.last_seconds is None:
            return corners
        first, last = ("" if value is None else f"{value:g}" for value in (self.first_seconds, self.last_seconds))
        return f"{corners}@{first}-{last}"

    def covers(self, seconds: float) -> bool:
        """Whether the interval includes this time; both ends belong to it."""
        return (self.first_seconds is None or self.first_seconds <= seconds) and (self.last_seconds is None or seconds <= self.last_seconds)


def parse_box(text: str) -> TimedBox:
    """Read `x1,y1,x2,y2` or `x1,y1,x2,y2@t1-t2`, times in seconds; t1 or t2 may be missing. Raises RequestError."""
    match = _BOX.fullmatch(text.replace(" ", ""))
    if match is None:
        raise RequestError(f"box '{text}' is not x1,y1,x2,y2 or x1,y1,x2,y2@t1-t2")
    x1, y1, x2, y2 = map(float, match.groups()[:4])
    first, last = (None if seconds is None else float(seconds) for seconds in match.groups()[4:])
    return TimedBox(x1, y1, x2, y2, first, last)
