"""Writes the file that `--report` names, in the format of its suffix."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.pipeline.report.page import to_html
from service.pipeline.report.picture import write_png
from service.pipeline.report.report import FileResult, to_json

Results = tuple[FileResult, ...]

WRITERS: Final[dict[str, Callable[[Path, Results], object]]] = {
    ".json": lambda path, results: path.write_text(to_json(results), encoding="utf-8"),
    ".html": lambda path, results: path.write_text(to_html(results), encoding="utf-8"),
    ".png": lambda path, results: write_png(results[0], path),
}


def check_report(path: Path | None, inputs: Sequence[Path]) -> None:
    """Raise RequestError if the report could not be written later: unknown suffix, or a picture of several inputs."""
    if path is None:
        return
    if path.suffix.lower() not in WRITERS:
        raise RequestError(f"--report {path.name}: a report must be one of {', '.join(WRITERS)}")
    if path.suffix.lower() == ".png" and len(inputs) > 1:
        raise RequestError(f"--report {path.name}: a picture shows one input, but there are {len(inputs)}; use .html or .json")


def write_report(path: Path, results: Results) -> None:
    """Write the report. Raises RequestError if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path.suffix.lower()](path, results)
    except OSError as error:
        raise RequestError(f"cannot write {path.name}: {(error.strerror or 'unknown').lower()}") from error
