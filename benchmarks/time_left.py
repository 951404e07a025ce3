"""How true the time left is that the page says: clips are cleaned by a real service, and what it says is compared with what was left.

    python -m benchmarks.time_left --seconds 3,10,30,60          # one after the other
    python -m benchmarks.time_left --seconds 3,10 --at-once 2    # two jobs at once

Appends a line per job to results/time_left.jsonl. The first job of a service is measured by another machine's rule, the later ones by this
one's. `climb`: the most that what was said rose above what had been said before; `soon`: how long the end took from "a few seconds left".
"""

import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Annotated

import cv2
import numpy as np
import typer

from benchmarks import results
from benchmarks.fleet import Fleet
from benchmarks.machine import RESULTS, ROOT, stamp
from benchmarks.media import Timing, pictures_of, write_video
from benchmarks.orders import Customer

SAMPLE = ROOT / "samples" / "marked.mp4"
FPS = Fraction(30)
SIZE = (640, 360)
CREDITS = 1000
TICK_SECONDS = 0.5
FEW_SECONDS = 3.0  # `FEW_SECONDS` of service/web/page/work.js
MOST_RISE = 1.1  # `MAX_RISE` of service/web/page/follow.js
LEAST_SECONDS = 2.0  # and its
TELLING = 0.1  # of the job: from here on what is said counts
JOB_SECONDS = 3600.0


@dataclass(frozen=True)
class Truth:
    """How true what was said of a job was; errors relative to what was left, from a tenth of the job on."""

    seconds: float
    median_error: float
    worst_error: float
    climb: float
    soon_seconds: float | None


def truth(estimates: Sequence[tuple[float, float | None]], end: float) -> Truth:
    """`estimates`: when the service said what (None: nothing), in seconds since the job's start; `end`: when it ended."""
    said = list(_said(estimates, end))
    errors = [abs(seconds - (end - at)) / (end - at) for at, seconds in said if at >= TELLING * end]
    climbs = [after / before for (_, before), (_, after) in itertools.pairwise(said) if before > 0]
    soon = next((at for at, seconds in said if seconds < FEW_SECONDS), None)
    return Truth(
        seconds=round(end, 1),
        median_error=round(median(errors), 3),
        worst_error=round(max(errors), 3),
        climb=round(max(0.0, max(climbs, default=1.0) - 1), 3),
        soon_seconds=None if soon is None else round(end - soon, 1),
    )


def _said(estimates: Sequence[tuple[float, float | None]], end: float) -> Iterator[tuple[float, float]]:
    """What the page shows, twice a second: as `Countdown` in service/web/page/follow.js has it."""
    waiting = list(estimates)
    countdown = Countdown()
    for tick in range(int(end / TICK_SECONDS)):
        now = tick * TICK_SECONDS
        while waiting and waiting[0][0] <= now:
            at, seconds = waiting.pop(0)
            countdown.take(seconds, at)
        left = countdown.left(now)
        if left is not None:
            yield now, left


@dataclass
class Countdown:
    """The page's, in seconds."""

    seconds: float | None = None
    at: float = 0.0
    is_behind: bool = False

    def take(self, estimate: float | None, now: float) -> None:
        """Take an estimate; None: there is none."""
        before = self.left(now)
        self.is_behind = estimate is not None and before is not None and estimate > before * MOST_RISE
        self.seconds = before if estimate is None else before * MOST_RISE if self.is_behind and before is not None else estimate
        self.at = now

    def left(self, now: float) -> float | None:
        """What is said to be left; None: nothing is said."""
        if not self.seconds or self.is_behind:
            return self.seconds
        return max(self.seconds * math.exp(-(now - self.at) / self.seconds), min(self.seconds, LEAST_SECONDS))


def follow(fleet: Fleet, customer: Customer, clip: Path) -> Truth:
    """Have a clip cleaned, and listen to what is said. Raises RuntimeError if the job fails."""
    bearer = {"Authorization": f"Bearer {customer.key}"}
    answer = fleet.client.post("/v1/jobs", headers=bearer, files={"file": (clip.name, clip.read_bytes())})
    job = answer.raise_for_status().json()
    estimates: list[tuple[float, float | None]] = []
    began, state = time.monotonic(), ""
    with fleet.client.stream("GET", f"/v1/jobs/{job['id']}/events", headers=bearer, timeout=JOB_SECONDS) as events:
        for line in events.iter_lines():
            if not line.startswith("data: "):
                continue
            data = json.loads(line.removeprefix("data: "))
            state = data.get("state", state)
            if data.get("state") == "cleaning":
                began, estimates = time.monotonic(), []
            elif "eta_seconds" in data and state == "cleaning":
                estimates.append((time.monotonic() - began, data["eta_seconds"] if data["progress_percent"] >= 5 else None))
    if state != "succeeded":
        raise RuntimeError(f"{clip.name}: the job has {state}")
    return truth(estimates, time.monotonic() - began)


def write_clips(folder: Path, seconds: Sequence[int]) -> list[Path]:
    """Clips of 360 lines: the project's sample, over and over."""
    pictures = [np.ascontiguousarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)) for picture in pictures_of(SAMPLE)]
    paths = [folder / f"{length}.mp4" for length in seconds]
    for path, length in zip(paths, seconds, strict=True):
        frames = int(length * FPS)
        write_video(path, itertools.islice(itertools.cycle(pictures), frames), SIZE, Timing(range(frames), 1 / FPS, FPS))
    return paths


def main(
    seconds: Annotated[str, typer.Option(help="Lengths of the clips, separated by commas.")] = "3,10,30,60",
    at_once: Annotated[int, typer.Option(min=1, help="Jobs that run at the same time.")] = 1,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "time_left.jsonl",
) -> None:
    """Clean the clips, each as often as jobs run at once, and say how true the time left was."""
    lengths = [int(each) for each in seconds.split(",")]
    more = {"networks": "shipped", "worker_jobs": str(at_once), "account_jobs": str(at_once)}
    with tempfile.TemporaryDirectory(prefix="time-left-") as folder:
        clips = write_clips(Path(folder), lengths)
        with Fleet.running(Path(folder) / "data", **more) as fleet, ThreadPoolExecutor(at_once) as threads:
            customer = Customer.new(fleet.core, "time left", CREDITS)
            for number, (length, clip) in enumerate(zip(lengths, clips, strict=True)):
                case: dict[str, object] = {"seconds": length, "at_once": at_once, "earlier_jobs": number * at_once}
                stamped = stamp()
                for found in threads.map(lambda given: follow(fleet, customer, given), [clip] * at_once):
                    results.append(path, case, asdict(found), stamped)
                    print(case, asdict(found), flush=True)


if __name__ == "__main__":
    typer.run(main)
