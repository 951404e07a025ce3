"""What `cleanplate clean` shows: progress on a terminal, and the outcome of each file."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from service.commands.sign_of_life import sign_of_life
from service.pipeline import run
from service.pipeline.placement import Placement, marks_of
from service.pipeline.report.report import Report

MAX_MARKS = 20  # of one file


@dataclass(frozen=True)
class Display:
    """How much a command says, and where: its results on stdout unless a file goes there, the rest on stderr.

    verbose: what a terminal shows is printed anywhere.
    """

    quiet: bool = False
    as_json: bool = False
    verbose: bool = False
    beside_output: bool = False

    @property
    def full(self) -> bool:
        """Whether all lines of a file's outcome are shown, not its first alone."""
        return self.verbose or (sys.stderr if self.beside_output else sys.stdout).isatty()

    def show(self, lines: Sequence[str], entry: dict[str, object]) -> None:
        """Show the outcome of a file: its lines, or its entry as one line of JSON."""
        if self.as_json:
            typer.echo(json.dumps(entry), err=self.beside_output)
        elif not self.quiet:
            typer.echo("\n".join(lines if self.full else lines[:1]), err=self.beside_output)

    def say(self, line: str) -> None:
        """Show a line for people only."""
        if not (self.quiet or self.as_json):
            typer.echo(line, err=self.beside_output)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """For the length of the block, say on a terminal what takes so long."""
        if self.quiet:
            yield
        else:
            with sign_of_life(what):
                yield

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[run.Progress], None]]:
        """A progress bar for each step of a file, with fps and remaining time; nothing if stderr is not a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield run.ignore
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            steps: dict[str, TaskID] = {}
            opening = bars.add_task(f"{title}: opening", total=None)

            def show(progress: run.Progress) -> None:
                if progress.step not in steps:
                    bars.update(opening, visible=False)
                    steps[progress.step] = bars.add_task(f"{title}: {progress.step}")
                bars.update(steps[progress.step], completed=progress.done_frames, total=max(progress.total_frames, progress.done_frames))

            yield show


class _Fps(ProgressColumn):
    """Frames per second of a step."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} fps", style="progress.data.speed")


def title_of(name: str, number: int, count: int) -> str:
    """A file's name, and which of several it is: `2 of 3  a.mp4`."""
    return f"{number} of {count}  {name}" if count > 1 else name


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
