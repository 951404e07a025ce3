"""`cleanplate clean`: parses options, runs the pipeline and prints the outcome."""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from service import settings
from service.certificate import command_signer
from service.commands.display import mark_lines, progress_bar
from service.commands.failure import fail
from service.commands.look import detect_all
from service.commands.report_file import check_report, write_report
from service.commands.targets import target_files
from service.errors import CleanplateError, RequestError
from service.library import Tools, clean_file, load_networks, request_of
from service.pipeline.placement import marks_of
from service.pipeline.report import contact_sheet
from service.pipeline.report.report import FileResult, Report
from service.pipeline.request import CLASSES, Request, parse_classes, parse_part
from service.pipeline.video import Part
from service.timed_box import parse_box

Inputs = Annotated[list[Path], typer.Argument(metavar="INPUT", help="Videos, and images (png, jpg, webp).", show_default=False)]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="OUTPUT_OR_DIR", help="A file, or a folder that keeps the inputs' names.", show_default=False),
]
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
DetectOnly = Annotated[
    bool,
    typer.Option("--detect-only", help="Remove nothing: say what would be removed and how long that takes; -o DIR gets mask pictures."),
]
Classes = Annotated[str, typer.Option(help=f"What to detect: {','.join(CLASSES)}.")]
Preview = Annotated[
    str | None, typer.Option("--preview", metavar="SECONDS[@FROM]", help="Clean only so many seconds of a video, from a time: 3@12.5.")
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write a report: .html, .json, or .png (one input only)."),
]
Debug = Annotated[Path | None, typer.Option(metavar="DIR", help="Write a contact sheet, a before/after picture and decisions.json here.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print timings even if the output is not a terminal, and a traceback for errors.")
]
NOTHING = "no mark found, streams copied untouched; if you see one, point at it with --box or --mask"


def clean(
    inputs: Inputs,
    output: Output = None,
    device: Device = None,
    box: Boxes = None,
    mask: Mask = None,
    detect: Detect = False,
    keep: Keep = None,
    reject: Reject = None,
    detect_only: DetectOnly = False,
    preview: Preview = None,
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
    if detect_only and (report or debug or preview):
        raise RequestError("--report, --debug and --preview do not go with --detect-only; with -o DIR it writes detection.json")
    if detect_only:
        return detect_all(inputs, Path(output) if output else None, request, device)
    if output is None:
        raise RequestError("missing option '-o' / '--output'")
    part = parse_part(preview) if preview else None
    targets = target_files(inputs, output, report)
    check_report(report, inputs)
    tools, results = _tools(device), []
    for source, target in zip(inputs, targets, strict=True):
        debug_folder = debug / source.name if debug and len(inputs) > 1 else debug
        outcome = _clean_file(source, target, request, tools, debug_folder, part, verbose)
        results.append(FileResult(source.name, target.name, outcome))
        _print_outcome(results[-1], target, debug_folder, verbose)
    if report:
        write_report(report, tuple(results))
    return next((result.exit_code for result in results if result.exit_code), 0)


def _tools(device: settings.Device | None) -> Tools:
    """The networks on the device, and what the settings say."""
    chosen = settings.read()
    return Tools(load_networks(device), chosen.limits, command_signer(chosen))


def _clean_file(
    source: Path, target: Path, request: Request, tools: Tools, debug_folder: Path | None, part: Part | None, verbose: bool
) -> Report | CleanplateError:
    """Clean one input. Its own error is returned, so that the command goes on with the next input."""
    try:
        if not source.is_file():
            raise RequestError("no such file")
        with progress_bar(source.name) as on_progress:
            return clean_file(source, target, request, tools, on_progress, debug_folder, part)
    except CleanplateError as error:
        if verbose:
            traceback.print_exc()
        return error


def _print_outcome(result: FileResult, target: Path, debug_folder: Path | None, verbose: bool) -> None:
    """Print the outcome of one input: errors always, timings on a terminal or with --verbose."""
    if isinstance(result.outcome, CleanplateError):
        fail(f"{result.source_name}: {result.outcome}", result.exit_code)
    elif verbose or sys.stdout.isatty():
        typer.echo("\n".join(_summary(result.outcome, result.source_name, target, debug_folder)))


def _summary(report: Report, name: str, target: Path, debug_folder: Path | None) -> Iterator[str]:
    count = len(marks_of(report.placements))
    yield f"{name}: {f'mark removed, placements: {count}' if count else NOTHING}"
    yield from mark_lines(report)
    for step in report.steps:
        yield f"  {step.name:<15}{step.seconds:8.2f} s {step.frames_per_second:8.1f} fps"
    yield f"  {'end to end':<15}{report.seconds:8.2f} s {report.frames_per_second:8.1f} fps"
    yield f"  clean file     {target}"
    if report.provenance:
        yield f"  {'credentials':<15}{report.provenance.reason or f'signed by {report.provenance.signed_by}'}"
    yield from (f"  {'not kept':<15}{each.what}: {each.reason}" for each in report.not_kept)
    pictures = (("before/after", contact_sheet.BEFORE_AFTER), ("contact sheet", contact_sheet.SHEET))
    yield from (f"  {what:<15}{debug_folder / file}" for what, file in pictures if debug_folder and (debug_folder / file).is_file())
