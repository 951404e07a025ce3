"""What the project set out to reach on clips, per kind of mark, and whether a row of the table does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.rows import CleanRow, Figure, Row


@dataclass(frozen=True)
class Goal:
    """`ours` reaches the named figure of the row plus some dB, and the mark is found in this share of the frames."""

    reference: Literal["envelope", "best_baseline"]
    more_db: float
    found_share: float


GOALS = {
    "moving": Goal("envelope", 0.5, 0.99),
    "moving_name": Goal("envelope", 0.5, 0.99),
    "corner": Goal("best_baseline", 2.0, 0.99),
    "faint": Goal("envelope", 0.0, 0.97),
    "tiled": Goal("envelope", 0.5, 0.97),
    "subtitle": Goal("best_baseline", 6.0, 0.99),
    "subtitle_chinese": Goal("best_baseline", 6.0, 0.99),
}
WORST_GAIN_DB = 0.0  # on no clip worse than the best classical fill
GHOST = 0.05  # below it
FLICKER = (0.9, 1.15)
LONGEST_MISS_FRAMES = 0
CLEAN_SHARE = 5e-5  # of the pixels of clean clips: fewer are masked


def goal_db(row: Row) -> Figure:
    """The PSNR inside the mark that is asked for; None of photos and of given regions, for which nothing was."""
    if not has_goal(row):
        return None
    reference = getattr(row, GOALS[row.kind].reference)
    return None if reference is None else reference + GOALS[row.kind].more_db


def has_goal(row: Row) -> bool:
    """Whether the project set out to reach something for rows of this kind."""
    return not row.photos and not row.given and row.kind in GOALS


def missed(row: Row) -> list[str]:
    """The goals that a row of clips does not reach; one whose figure is missing has a question mark."""
    return [name if reached is False else f"{name}?" for name, reached in _checks(row) if not reached]


def _checks(row: Row) -> Iterator[tuple[str, bool | None]]:
    goal = goal_db(row)
    yield "PSNR", None if row.ours is None or goal is None else row.ours >= goal
    yield "worst clip", None if row.worst_gain is None else row.worst_gain >= WORST_GAIN_DB
    yield "found", None if row.f1_share is None else row.f1_share >= GOALS[row.kind].found_share
    yield "misses", None if row.longest_miss_frames is None else row.longest_miss_frames <= LONGEST_MISS_FRAMES
    yield "flicker", None if row.flicker is None else FLICKER[0] <= row.flicker <= FLICKER[1]
    yield "ghost", None if row.ghost is None else row.ghost < GHOST
    yield "streams", row.streams_equal


def clean_reached(row: CleanRow) -> bool:
    """Whether few enough pixels of clean material are masked."""
    return row.masked_share < CLEAN_SHARE
