"""Positions in lists of jobs, newest first, which a client hands back to get the next page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from fastapi import Query

from service.jobs.job import Job

CURSOR: Final = r"^\d{1,15}-\d{1,4}$"
After = Annotated[str | None, Query(pattern=CURSOR, description="`next_cursor` of the previous page.")]


@dataclass(frozen=True)
class Cursor:
    """A position in the account's jobs, newest first: before this millisecond, after the first `seen` jobs in it."""

    before_ms: int | None = None
    seen: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        before_ms, _, seen = text.partition("-")
        return cls(int(before_ms), int(seen))

    def after(self, page: Sequence[Job]) -> "Cursor":
        """The position after these jobs, which follow this position."""
        before_ms = page[-1].created_ms + 1
        seen = sum(job.created_ms + 1 == before_ms for job in page)
        return Cursor(before_ms, seen + (self.seen if before_ms == self.before_ms else 0))

    def __str__(self) -> str:
        return f"{self.before_ms}-{self.seen}"
