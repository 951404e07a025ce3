"""How long jobs will take: by the last ones that succeeded here, by those ahead of them, and by their own pace."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Final

import sqlalchemy as sa

from service.jobs.job import Job, JobSpec, Kind, Media, State
from service.jobs.metrics import LIVE_WORKERS
from service.jobs.progress import COSTS, steps_of
from service.jobs.tables import JOBS

LAST_JOBS: Final = 200
TELLING_PERCENT: Final = 5  # from here on a job's own pace says more than that of the last ones
OWN_PERCENT: Final = 4  # of a step; of this many its pace says nothing yet, and from three times as many on all
USUAL_FRAMES: Final = 300  # of a video of which nothing else is known: ten seconds of 720 lines
USUAL_PIXELS: Final = 1280 * 720
LEAST_SECONDS: Final = 1.0  # said of a job that takes longer than the last ones did
CLEANED: Final = (State.CLEANING, State.PUBLISHING)
KIND: Final = sa.func.coalesce(JOBS.c.wish["kind"].as_string(), "clean")
MEDIA: Final = JOBS.c.wish["media"].as_string()

LAST: Final = (
    sa.select(KIND, MEDIA, JOBS.c.finished_ms - JOBS.c.started_ms, JOBS.c.result["frames"].as_integer())
    .where(JOBS.c.state == State.SUCCEEDED, JOBS.c.started_ms.is_not(None))
    .order_by(JOBS.c.finished_ms.desc())
    .limit(LAST_JOBS)
)
UNFINISHED: Final = sa.select(JOBS.c.created_ms, KIND, MEDIA).where(sa.not_(JOBS.c.ended)).order_by(JOBS.c.created_ms)

Sort = tuple[Kind, Media]


@dataclass(frozen=True)
class Pace:
    """What the last jobs of a sort took, as medians: in seconds, and in seconds per picture. `jobs`: how many there were."""

    seconds: float
    frame_seconds: float
    jobs: int

    @classmethod
    def of(cls, spans: Sequence[tuple[float, int]]) -> "Pace":
        """`spans`: seconds and pictures of each job."""
        return cls(median(seconds for seconds, _ in spans), median(seconds / max(1, frames) for seconds, frames in spans), len(spans))


@dataclass(frozen=True)
class Begun:
    """When a step of a job was first seen, and how far the job was then."""

    step: str | None
    percent: int
    at_ms: int

    @classmethod
    def of(cls, job: Job, now_ms: int, before: "Begun | None") -> "Begun":
        """`before`: what was known when the job was last seen."""
        return before if before and before.step == job.step else cls(job.step, job.progress_percent, now_ms)

    def percent_seconds(self, percent: int, now_ms: int, of_all: float) -> float:
        """What a percent takes: like those of this step, the more of them there are, and like `of_all` before."""
        done = percent - self.percent
        trust = min(1.0, max(0, done - OWN_PERCENT) / (2 * OWN_PERCENT))
        return of_all if trust == 0 else trust * (now_ms - self.at_ms) / 1000 / done + (1 - trust) * of_all


@dataclass(frozen=True)
class Forecast:
    """`created_ms`: of the unfinished jobs, oldest first; `work_seconds`: what those before each of them take, and in the end all."""

    paces: Mapping[Sort, Pace]
    jobs_at_once: int
    created_ms: Sequence[int] = ()
    work_seconds: Sequence[float] = (0.0,)

    @classmethod
    def of(cls, last: Iterable[tuple[Sort, float, int]], unfinished: Sequence[tuple[int, Sort]], jobs_at_once: int) -> "Forecast":
        """`last`: sort, seconds and pictures of the last jobs; `unfinished`: when each was created and its sort, oldest first."""
        spans: dict[Sort, list[tuple[float, int]]] = defaultdict(list)
        for sort, seconds, frames in last:
            spans[sort].append((seconds, frames))
        paces = {sort: Pace.of(each) for sort, each in spans.items()}
        work = accumulate((paces[sort].seconds if sort in paces else 0.0 for _, sort in unfinished), initial=0.0)
        return cls(paces, jobs_at_once, [created_ms for created_ms, _ in unfinished], list(work))

    def seconds(self, sort: Sort, frames: int | None = None, pixels: int | None = None) -> float | None:
        """How long such a job takes, of so many pictures of so many pixels if that is known; None if none like it was seen yet.

        Until a file was cleaned here, cleaning takes so much longer than detection did as it does elsewhere.
        """
        kind, media = sort
        pace, longer = self.paces.get(sort), 1.0
        if pace is None and kind == "clean" and ("detect", media) in self.paces:
            pace, longer = self.paces["detect", media], _cleaning_per_detection(media, frames or USUAL_FRAMES, pixels or USUAL_PIXELS)
        return None if pace is None else longer * (pace.frame_seconds * frames if frames else pace.seconds)

    def wait_seconds(self, created_ms: int | None = None) -> float | None:
        """How long a job waits that was created then, or is created now; None while there is no worker."""
        if not self.jobs_at_once:
            return None
        ahead = len(self.created_ms) if created_ms is None else bisect_left(self.created_ms, created_ms)
        return self.work_seconds[ahead] / self.jobs_at_once

    def remaining_seconds(self, job: Job, now_ms: int, begun: "Begun | None" = None) -> float | None:
        """How long until an unfinished job has ended; None for an ended one, and if it cannot be known yet.

        begun: when its step was first seen, which says more of the last step than all before it.
        """
        if job.ended:
            return None
        spent_seconds = None if job.state not in CLEANED or job.started_ms is None else (now_ms - job.started_ms) / 1000
        if spent_seconds is not None and job.progress_percent >= TELLING_PERCENT:
            percent_seconds = spent_seconds / job.progress_percent
            if begun is not None and job.step == steps_of(job.spec)[-2]:
                percent_seconds = begun.percent_seconds(job.progress_percent, now_ms, percent_seconds)
            return max(0.0, percent_seconds * (100 - job.progress_percent))
        seconds, wait_seconds = self.seconds((job.spec.kind, job.spec.media)), self.wait_seconds(job.created_ms)
        if seconds is None or wait_seconds is None:
            return None
        return wait_seconds + seconds if spent_seconds is None else max(LEAST_SECONDS, seconds - spent_seconds)


def _cleaning_per_detection(media: Media, frames: int, pixels: int) -> float:
    """How many times as long as a detection its cleaning takes, the search for marks included."""
    clean, detect = (
        sum(COSTS[step].seconds(frames, pixels) for step in steps_of(JobSpec(media, kind=kind))) for kind in ("clean", "detect")
    )
    return clean / detect


def read(connection: sa.Connection, worker_jobs: int) -> Forecast:
    """The forecast now. `worker_jobs`: how many jobs a worker runs at once."""
    last = [((kind, media), span_ms / 1000, frames or 1) for kind, media, span_ms, frames in connection.execute(LAST)]
    unfinished = [(created_ms, (kind, media)) for created_ms, kind, media in connection.execute(UNFINISHED)]
    return Forecast.of(last, unfinished, worker_jobs * int(connection.execute(LIVE_WORKERS).scalar_one()))
