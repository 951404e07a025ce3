"""`cleanplate clean --detect-only`: says what would be removed, and how long that takes; removes nothing."""

from collections.abc import Sequence
from pathlib import Path

import typer
from PIL import Image

from service import settings
from service.commands.display import mark_lines, progress_bar
from service.commands.failure import fail
from service.errors import CleanplateError, RequestError
from service.inference.session import Networks
from service.library import load_networks
from service.pipeline import run
from service.pipeline.estimate import removal_seconds
from service.pipeline.placement import marks_of
from service.pipeline.report.detection_report import detection_json, mask_picture
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.video import Limits
from service.settings import Device

DETECTION = "detection.json"


def detect_all(inputs: Sequence[Path], folder: Path | None, request: Request, device: Device | None) -> int:
    """Print the marks of each input, and write them below the folder if there is one; returns the exit code.

    Several inputs have a folder each, which has the input's name.
    """
    networks, limits = load_networks(device), settings.read().limits
    folders = [folder / source.name if folder and len(inputs) > 1 else folder for source in inputs]
    codes = [_detect(source, own, request, networks, limits) for source, own in zip(inputs, folders, strict=True)]
    return next((code for code in codes if code), 0)


def _detect(source: Path, folder: Path | None, request: Request, networks: Networks, limits: Limits) -> int:
    """Its own error is reported, so that the command goes on with the next input."""
    try:
        if not source.is_file():
            raise RequestError("no such file")
        with progress_bar(source.name) as on_progress:
            report = run.detect(source, request, networks, limits, on_progress)
        removal = removal_seconds(source, report, networks, limits)
        if folder:
            _write(report, removal, folder)
    except CleanplateError as error:
        return fail(f"{source.name}: {error}", error.exit_code)
    typer.echo(f"{source.name}: {_verdict(report, removal)}")
    for line in mark_lines(report):
        typer.echo(line)
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
