"""`cleanplate clean`: the options, and what they may not be given with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from service import settings
from service.commands.batch import Batch, Work
from service.commands.display import Display
from service.commands.inputs import Input, find_inputs
from service.commands.look import detect_all
from service.commands.pipes import PIPE, pipes_as_files
from service.commands.report_file import check_report, write_report
from service.commands.targets import target_files
from service.errors import RequestError
from service.library import request_of
from service.pipeline.report.report import FileResult
from service.pipeline.request import CLASSES, parse_classes, parse_encoding, parse_part, part_between
from service.pipeline.video import Part
from service.timed_box import parse_box

Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT",
        help="Videos and images (png, jpg, webp, avif), folders of them, patterns such as 'clips/*.mp4', or - for standard input.",
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUTPUT_OR_DIR",
        help="A file, a folder that keeps the inputs' names, or - for standard output.",
        show_default=False,
    ),
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Look into the folders of a folder too.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave inputs whose clean file is there: goes on with a batch.")]
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
Start = Annotated[
    str | None, typer.Option("--start", metavar="TIME", help="Begin the clean video here and leave out what is before: 12.5 or 1:02:03.")
]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="End the clean video here, at a time of the whole video.")]
Quality = Annotated[
    str | None,
    typer.Option(
        "--quality",
        metavar="CRF|RATE",
        help="Of videos: a constant quality, lower is better, such as 20, or a bit rate, such as 4M. Default: the source's quality.",
    ),
]
Codec = Annotated[
    Literal["h264", "hevc", "vp9", "av1", "vp8", "mpeg4"] | None, typer.Option("--codec", help="Of videos. Default: the source's.")
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", metavar="NAME", help="How much time the encoder takes: ultrafast to placebo; of av1 0 to 13, of vp8 and vp9 0 to 8."
    ),
]
Deinterlace = Annotated[
    bool, typer.Option("--deinterlace", help="Of interlaced videos: let each picture show one moment. Others stay as they are.")
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
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON for each file.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print timings even if the output is not a terminal, and a traceback for errors.")
]


def clean(
    inputs: Inputs,
    output: Output = None,
    recursive: Recursive = False,
    skip_existing: SkipExisting = False,
    device: Device = None,
    box: Boxes = None,
    mask: Mask = None,
    detect: Detect = False,
    keep: Keep = None,
    reject: Reject = None,
    detect_only: DetectOnly = False,
    start: Start = None,
    end: End = None,
    preview: Preview = None,
    quality: Quality = None,
    codec: Codec = None,
    preset: Preset = None,
    deinterlace: Deinterlace = False,
    classes: Classes = "overlay",
    report: ReportFile = None,
    debug: Debug = None,
    quiet: Quiet = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Remove visible marks from videos and images. An existing OUTPUT is replaced; an INPUT never is."""
    boxes, kept = ([parse_box(text) for text in texts or []] for texts in (box, keep))
    request = request_of(boxes, mask, parse_classes(classes), True if detect else None, kept, reject or [])
    work = Work(request, _part(preview, start, end), parse_encoding(quality, codec, preset, deinterlace), debug)
    display = _display(quiet, as_json, verbose, output == PIPE)
    if detect_only:
        _refuse_for_detection(work, report, output == PIPE, skip_existing)
    elif output is None:
        raise RequestError("missing option '-o' / '--output'")
    with pipes_as_files(inputs, output, settings.read().limits.file_bytes) as (words, place):
        found = _few_enough(find_inputs(words, recursive, Path(place) if place else None), bool(reject), output == PIPE)
        if detect_only:
            return detect_all(found, Path(place) if place else None, request, device, display)
        return _clean_all(found, place, work, display, report, device, skip_existing)


def _clean_all(
    inputs: Sequence[Input],
    output: str | None,
    work: Work,
    display: Display,
    report: Path | None,
    device: settings.Device | None,
    skip_existing: bool,
) -> int:
    """Clean the inputs, write the report, and return the exit code."""
    assert output is not None
    targets = target_files(inputs, output, report)
    check_report(report, [each.path for each in inputs])
    outcomes = Batch(inputs, targets, work, display).run(device, skip_existing)
    results = tuple(outcome for outcome in outcomes if isinstance(outcome, FileResult))
    if report and results:
        write_report(report, results)
    return next((result.exit_code for result in results if result.exit_code), 0)


def _part(preview: str | None, start: str | None, end: str | None) -> Part | None:
    if preview and (start or end):
        raise RequestError("--preview does not go with --start and --end, which say the same")
    return parse_part(preview) if preview else part_between(start, end)


def _display(quiet: bool, as_json: bool, verbose: bool, beside_output: bool) -> Display:
    if quiet and (as_json or verbose):
        raise RequestError("--quiet goes neither with --json nor with --verbose")
    return Display(quiet, as_json, verbose, beside_output)


def _refuse_for_detection(work: Work, report: Path | None, to_stdout: bool, skip_existing: bool) -> None:
    """Raise RequestError for options of a clean file where none is made."""
    given: dict[str, object] = {
        "--report": report,
        "--debug": work.debug,
        "--preview, --start and --end": work.part,
        "--skip-existing": skip_existing,
        "--quality, --codec, --preset and --deinterlace": work.encoding,
        "-o -": to_stdout,
    }
    if option := next((name for name, value in given.items() if value), None):
        raise RequestError(f"{option} does not go with --detect-only, which makes no clean file; with -o DIR it writes detection.json")


def _few_enough(inputs: Sequence[Input], rejects: bool, to_stdout: bool) -> Sequence[Input]:
    """The inputs. Raises RequestError for several where one is taken."""
    if rejects and len(inputs) > 1:
        raise RequestError("--reject goes with one input: a mark's id is that of one file")
    if to_stdout and len(inputs) > 1:
        raise RequestError(f"standard output takes one clean file, but there are {len(inputs)} inputs")
    return inputs
