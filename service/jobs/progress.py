"""How far a job is: what share of its time is over, by what its steps took on this machine."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from service.jobs.job import JobSpec

LAST_JOBS: Final = 9  # whose steps say how fast this machine is
MEGA: Final = 1_000_000
MOST_PERCENT: Final = 99  # of a job that has not ended


@dataclass(frozen=True)
class Cost:
    """Seconds of a step: of a job, of each of its frames, and of each million pixels of them."""

    job: float = 0.0
    frame: float = 0.0
    megapixel: float = 0.0

    def seconds(self, frames: int, pixels: int) -> float:
        """Of so many frames with so many pixels each."""
        return self.job + frames * (self.frame + self.megapixel * pixels / MEGA)


# Fitted to the clips of 480 and 720 lines in benchmarks/results/speed.jsonl; `locate`, `start` and `finish`, in which much does not depend
# on the number of frames, to clips of 3, 10 and 30 s that benchmarks/time_left.py had cleaned on an idle machine (2026-11-29).
# Only their ratios matter, until this machine has its own.
COSTS: Final = {
    "start": Cost(job=0.3),
    "locate": Cost(job=1.6, frame=0.031),
    "measure": Cost(megapixel=0.018),
    "bound": Cost(frame=0.0025, megapixel=0.0035),
    "remove": Cost(frame=0.013, megapixel=0.046),
    "finish": Cost(job=0.8, megapixel=0.003),
}


class Pace:
    """How much longer than `COSTS` each step takes here, by the last jobs of this process. Shared by threads."""

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=LAST_JOBS))
        self._lock = threading.Lock()

    def learn(self, step: str, frames: int, pixels: int, seconds: float) -> None:
        """Remember what a step of a video took."""
        with self._lock:
            self._ratios[step].append(seconds / COSTS[step].seconds(frames, pixels))

    def seconds(self, step: str, frames: int, pixels: int) -> float:
        """How long a step will take."""
        with self._lock:
            ratios = self._ratios.get(step) or [r for known in self._ratios.values() for r in known]
            return COSTS[step].seconds(frames, pixels) * (median(ratios) if ratios else 1.0)


def steps_of(spec: JobSpec) -> tuple[str, ...]:
    """The steps of a job, in order, with what comes before and after those of the pipeline."""
    found = ("remove",) if spec.detection_key else ("locate", "measure", "bound")
    last = () if spec.detection_key or spec.kind == "detect" else ("remove",)
    return ("start", *found, *last, "finish")


@dataclass
class Course:
    """The course of one job. `clock`: seconds, steadily."""

    spec: JobSpec
    pace: Pace
    clock: Callable[[], float] = time.monotonic
    step: str = "start"
    _since: float = field(init=False)
    _frames: int = 0
    _pixels: int = 0
    _took: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def percent(self, step: str, done_frames: int, frames: int, pixels: int) -> int:
        """The share of the job's time that is over when so many frames of a step are done, each of so many pixels; below 100."""
        self._frames, self._pixels = max(1, frames), pixels
        self._enter(step)
        costs = {each: self.pace.seconds(each, self._frames, pixels) for each in steps_of(self.spec)}
        steps = [*costs]
        before = sum(costs[each] for each in steps[: steps.index(step)])
        done = before + costs[step] * min(1.0, done_frames / self._frames)
        if done_frames >= self._frames and steps.index(step) == len(steps) - 2:
            self._enter("finish")
        return min(MOST_PERCENT, int(100 * done / sum(costs.values())))

    def end(self) -> None:
        """The job's files are stored: learn what its steps took; of an image and without a mark, which say little of others, nothing."""
        if self.step != "finish" or self._frames == 1:
            return
        self._enter("")
        for step, seconds in self._took.items():
            self.pace.learn(step, self._frames, self._pixels, seconds)

    def _enter(self, step: str) -> None:
        if step == self.step or (self.step, step) == ("finish", steps_of(self.spec)[-2]):
            return
        now = self.clock()
        self._took[self.step] = now - self._since
        self.step, self._since = step, now
