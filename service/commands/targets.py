"""Chooses a command's output files: one per input, never an input itself."""

from collections.abc import Sequence
from pathlib import Path

from service.errors import RequestError


def target_files(inputs: Sequence[Path], output: str, report: Path | None = None) -> tuple[Path, ...]:
    """The output file of each input. Raises RequestError for a conflict.

    `output` is a folder if it exists as one, ends in `/`, has no suffix, or there are several inputs; otherwise it is the file.
    """
    path = Path(output)
    folder = len(inputs) > 1 or path.is_dir() or output.endswith("/") or not path.suffix
    if folder and path.exists() and not path.is_dir():
        raise RequestError(f"{path.name} is a file; {len(inputs)} inputs need a folder")
    targets = tuple(path / source.name for source in inputs) if folder else (path,)
    _refuse_duplicates(targets)
    for written in (*targets, *([report] if report else [])):
        if any(_same(written, source) for source in inputs):
            raise RequestError(f"{written.name} would overwrite an input; choose another output")
    if report and any(_same(report, target) for target in targets):
        raise RequestError(f"{report.name} is both the report and a clean file; choose another name")
    return targets


def _refuse_duplicates(targets: Sequence[Path]) -> None:
    names = [target.resolve() for target in targets]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise RequestError(f"two inputs are called {duplicate.name}; clean them into different folders")


def _same(one: Path, other: Path) -> bool:
    """Whether both are the same file, also through links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
