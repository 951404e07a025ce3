"""`cleanplate clean`: parses options, runs the pipeline and prints the outcome."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from service import settings
from service.certificate import command_signer
from service.commands.failure import fail
from service.commands.report_file import check_report, write_report
from service.commands.targets import target_files
from service.errors import CleanplateError, RequestError
from service.library import Tools, clean_file, load_networks, request_of
from service.pipeline import run
from service.pipeline.placement import Placement
from service.pipeline.report import contact_sheet
from service.pipeline.report.report import FileResult, Report
from service.pipeline.request import CLASSES, Request, parse_classes
from service.timed_box import parse_box

Inputs = Annotated[list[Path], typer.Argument(metavar="INPUT", help="Videos, and images (png, jpg, webp).", show_default=False)]
Output = Annotated[str, typer.Option("-o", "--output", metavar="OUTPUT_OR_DIR", help="A file, or a folder that keeps the inputs' names.")]
Device = Annotated[settings.Device | None, typer.Option(help="Device for the networks. Default: CLEANPLATE_DEVICE, else auto.")]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="x1,y1,x2,y2[/x1,y1,x2,y2][@t1-t2]",
        help="Remove what is in this box, which may move to a second place, instead of detecting marks. Pixels or 0..1; seconds.",
    ),
]
Mask = Annotated[Path | None, typer.Option(help="Image or video mask, white = remove, instead of detecting marks.")]
Keep = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="x1,y1,x2,y2[@t1-t2]", help="Change nothing in this box, whatever is found. Pixels or 0..1; seconds."),
]
Reject = Annotated[
    list[str] | None,
    typer.Option("--reject", metavar="ID", help="Leave the mark that has this id in an earlier report (one input only)."),
]
Detect = Annotated[bool, typer.Option("--detect", help="Detect marks in addition to --box and --mask.")]
Classes = Annotated[str, typer.Option(help=f"What to detect: {','.join(CLASSES)}.")]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write a report: .html, .json, or .png (one input only)."),
]
Debug = Annotated[Path | None, typer.Option(metavar="DIR", help="Write a contact sheet, a before/after picture and decisions.json here.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print timings even if the output is not a terminal, and a traceback for errors.")
]


MAX_MARKS = 20  # of one file, as printed


def clean(
    inputs: Inputs,
    output: Output,
    device: Device = None,
    box: Boxes = None,
    mask: Mask = None,
    detect: Detect = False,
    keep: Keep = None,
    reject: Reject = None,
    classes: Classes = "overlay",
    report: ReportFile = None,
    debug: Debug = None,
    verbose: Verbose = False,
) -> int:
    """Remove visible marks from videos and images. An existing OUTPUT is replaced; an INPUT never is."""
    boxes, kept = ([parse_box(text) for text in texts or []] for texts in (box, keep))
    request = request_of(boxes, mask, parse_classes(classes), True if detect else None, kept, reject or [])
    if reject and len(inputs) > 1:
        raise RequestError("--reject goes with one input: a mark's id is that of one file")
    targets = target_files(inputs, output, report)
    if report:
        check_report(report, inputs)
    chosen = settings.read()
    tools = Tools(load_networks(device), chosen.limits, command_signer(chosen))
    results = []
    for source, target in zip(inputs, targets, strict=True):
        debug_folder = debug / source.name if debug and len(inputs) > 1 else debug
        outcome = _clean_file(source, target, request, tools, debug_folder, verbose)
        results.append(FileResult(source.name, target.name, outcome))
        _print_outcome(results[-1], target, debug_folder, verbose)
    if report:
        write_report(report, tuple(results))
    return next((result.exit_code for result in results if result.exit_code), 0)


def _clean_file(
    source: Path, target: Path, request: Request, tools: Tools, debug_folder: Path | None, verbose: bool
) -> Report | CleanplateError:
    """Clean one input. Its own error is returned, so that the command goes on with the next input."""
    try:
        if not source.is_file():
            raise RequestError("no such file")
        with _progress_bar(source.name) as on_progress:
            return clean_file(source, target, request, tools, on_progress, debug_folder)
    except CleanplateError as error:
        if verbose:
            traceback.print_exc()
        return error


@contextmanager
def _progress_bar(name: str) -> Iterator[Callable[[run.Progress], None]]:
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


def _print_outcome(result: FileResult, target: Path, debug_folder: Path | None, verbose: bool) -> None:
    """Print the outcome of one input: errors always, timings on a terminal or with --verbose."""
    if isinstance(result.outcome, CleanplateError):
        fail(f"{result.source_name}: {result.outcome}", result.exit_code)
    elif verbose or sys.stdout.isatty():
        typer.echo("\n".join(_summary(result.outcome, result.source_name, target, debug_folder)))


def _summary(report: Report, name: str, target: Path, debug_folder: Path | None) -> Iterator[str]:
    count = len(report.placements)
    yield f"{name}: {f'mark removed, placements: {count}' if count else 'no mark found, streams copied untouched'}"
    yield from (f"  mark {mark.id}  {_place(mark, report)}" for mark in report.placements[:MAX_MARKS])
    if count > MAX_MARKS:
        yield f"  and {count - MAX_MARKS} more; --report lists all"
    for step in report.steps:
        yield f"  {step.name:<15}{step.seconds:8.2f} s {step.frames_per_second:8.1f} fps"
    yield f"  {'end to end':<15}{report.seconds:8.2f} s {report.frames_per_second:8.1f} fps"
    yield f"  clean file     {target}"
    if report.provenance:
        yield f"  {'credentials':<15}{report.provenance.reason or f'signed by {report.provenance.signed_by}'}"
    pictures = (("before/after", contact_sheet.BEFORE_AFTER), ("contact sheet", contact_sheet.SHEET))
    yield from (f"  {what:<15}{debug_folder / file}" for what, file in pictures if debug_folder and (debug_folder / file).is_file())


def _place(mark: Placement, report: Report) -> str:
    """Where and when a mark is, and how sure that is."""
    box, first, last = mark.box, report.timeline.seconds(mark.first_frame), report.timeline.seconds(mark.last_frame)
    when = f", {first:.2f} to {last:.2f} s" if report.frames > 1 else ""
    return f"{box.left},{box.top},{box.right},{box.bottom}{when}, confidence {mark.confidence:.0%}"
