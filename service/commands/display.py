"""What `cleanplate clean` shows on a terminal: progress, and the marks of a file."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from service.pipeline import run
from service.pipeline.placement import Placement, marks_of
from service.pipeline.report.report import Report

MAX_MARKS = 20  # of one file


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[run.Progress], None]]:
    """One progress bar per step, with fps and remaining time; nothing if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield run.ignore
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        steps: dict[str, TaskID] = {}

        def show(progress: run.Progress) -> None:
            if progress.step not in steps:
                steps[progress.step] = bars.add_task(f"{name}: {progress.step}")
            bars.update(steps[progress.step], completed=progress.done_frames, total=max(progress.total_frames, progress.done_frames))

        yield show


class _Fps(ProgressColumn):
    """Frames per second of a step."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} fps", style="progress.data.speed")


def mark_lines(report: Report) -> Iterator[str]:
    """A line for each mark, as far as one screen holds them."""
    marks = marks_of(report.placements)
    yield from (f"  mark {mark[0].id}  {_place(mark, report)}" for mark in marks[:MAX_MARKS])
    if len(marks) > MAX_MARKS:
        yield f"  and {len(marks) - MAX_MARKS} more, which the JSON report lists"


def _place(mark: Sequence[Placement], report: Report) -> str:
    """Where and when a mark is, or from where to where it moves, and how sure that is."""
    first, last = (report.timeline.seconds(frame) for frame in (mark[0].first_frame, mark[-1].last_frame))
    where = "/".join(dict.fromkeys(f"{box.left},{box.top},{box.right},{box.bottom}" for box in (mark[0].box, mark[-1].box)))
    when = f", {first:.2f} to {last:.2f} s" if report.frames > 1 else ""
    return f"{where}{when}, confidence {mark[0].confidence:.0%}"
