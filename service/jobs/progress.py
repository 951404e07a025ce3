"""How far a job is: its steps, and what share of its time each takes. Pure."""

from collections.abc import Mapping
from typing import Final

from service.jobs.job import Job, Kind, State

# Progress in percent at each step's start and end, by its share of the time of a 720p clip in benchmarks/results/speed.jsonl.
SHARES: Final[Mapping[str, tuple[int, int]]] = {"locate": (0, 12), "measure": (12, 20), "bound": (20, 24), "remove": (24, 99)}
DETECTION_SCALE: Final = 99 / 24  # of the progress of a job that ends before its marks are removed


def percent_at(kind: Kind, step: str, share: float) -> int:
    """The progress of a job of this kind when so much of a step is done, 0 to 1."""
    first, last = SHARES[step]
    percent = first + (last - first) * share
    return int(percent * DETECTION_SCALE if kind == "detect" else percent)


def step_of(job: Job) -> str | None:
    """The step that a job is at, by its progress; None while it is not being cleaned."""
    if job.state is not State.CLEANING:
        return None
    percent = job.progress_percent / (DETECTION_SCALE if job.spec.kind == "detect" else 1)
    return next(step for step, (_, last) in SHARES.items() if percent < last or step == "remove")
