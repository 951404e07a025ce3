"""Positions in lists of jobs or callbacks, newest first, which a client hands back to get the next page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from fastapi import Query

CURSOR: Final = r"^\d{1,15}-\d{1,4}$"
After = Annotated[str | None, Query(pattern=CURSOR, description="`next_cursor` of the previous page.")]


@dataclass(frozen=True)
class Cursor:
    """A position in a list, newest first: before this millisecond, after the first `seen` entries in it."""

    before_ms: int | None = None
    seen: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        before_ms, _, seen = text.partition("-")
        return cls(int(before_ms), int(seen))

    def after(self, page_ms: Sequence[int]) -> "Cursor":
        """The position after entries of these times, which follow this position."""
        before_ms = page_ms[-1] + 1
        seen = sum(at_ms + 1 == before_ms for at_ms in page_ms)
        return Cursor(before_ms, seen + (self.seen if before_ms == self.before_ms else 0))

    def __str__(self) -> str:
        return f"{self.before_ms}-{self.seen}"
