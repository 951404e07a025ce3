"""`cleanplate clean --detect-only`: says what would be removed, and how long that takes; removes nothing."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from service import settings
from service.commands.display import Display, mark_lines, title_of
from service.commands.failure import fail
from service.commands.inputs import Input
from service.errors import CleanplateError, RequestError
from service.library import Tools, load_networks
from service.pipeline import run
from service.pipeline.estimate import removal_seconds
from service.pipeline.placement import marks_of
from service.pipeline.report.detection_report import detection_entry, detection_json, mask_picture
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.settings import Device

DETECTION = "detection.json"


def detect_all(inputs: Sequence[Input], folder: Path | None, request: Request, device: Device | None, display: Display) -> int:
    """Print the marks of each input, and write them below the folder if there is one; returns the exit code.

    Several inputs have a folder each, which has the input's name.
    """
    limits, codes = settings.read().limits, list[int]()
    with display.waiting("loading the networks"):
        networks = load_networks(device)
    for number, source in enumerate(inputs, 1):
        title = title_of(source.name, number, len(inputs))
        own = folder / source.place if folder and len(inputs) > 1 else folder
        codes.append(_detect(source, title, own, request, Tools(networks, limits, None), display))
    return next((code for code in codes if code), 0)


def _detect(source: Input, title: str, folder: Path | None, request: Request, tools: Tools, display: Display) -> int:
    """Its own error is reported, so that the command goes on with the next input."""
    try:
        if not source.path.is_file():
            raise RequestError("no such file")
        with display.progress(title) as on_progress:
            report = run.detect(source.path, request, tools.networks, tools.limits, on_progress)
        removal = removal_seconds(source.path, report, tools.networks, tools.limits)
        if folder:
            _write(report, removal, folder)
    except CleanplateError as error:
        if display.as_json:
            display.show([], {"input": source.name, "error": type(error).__name__, "message": str(error)})
        return fail(f"{source.name}: {error}", error.exit_code)
    if display.as_json:
        display.show([], {"input": source.name} | detection_entry(report, removal, [None] * len(marks_of(report.placements))))
    display.say("\n".join([f"{source.name}: {_verdict(report, removal)}", *mark_lines(report)]))
    return 0


def _verdict(report: Report, removal_seconds: float) -> str:
    if not report.placements:
        return "no mark found; if you see one, point at it with --box or --mask"
    return f"placements: {len(marks_of(report.placements))}; to clean it takes about {report.seconds + removal_seconds:.0f} s"


def _write(report: Report, removal_seconds: float, folder: Path) -> None:
    """Write detection.json and a mask picture for each mark. Raises RequestError if the folder cannot be written."""
    marks = marks_of(report.placements)
    names = [f"mask_{mark[0].id}.png" for mark in marks]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, mark in zip(names, marks, strict=True):
            Image.fromarray(mask_picture(mark, report)).save(folder / name)
        (folder / DETECTION).write_text(detection_json(report, removal_seconds, names), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot write into {folder.name}: {(error.strerror or 'unknown').lower()}") from error
