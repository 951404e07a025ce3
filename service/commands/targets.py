"""Chooses a command's output files: one per input, never an input itself."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from service.commands.inputs import Input
from service.errors import RequestError

Identity = tuple[int, int] | Path


def target_files(inputs: Sequence[Input], output: str, report: Path | None = None) -> tuple[Path, ...]:
    """The output file of each input. Raises RequestError for a conflict.

    `output` is a folder if it exists as one, ends in `/`, has no suffix, or there are several inputs or a folder of them; otherwise it is
    the file.
    """
    path = Path(output)
    several = len(inputs) > 1 or any(each.folder for each in inputs)
    folder = several or path.is_dir() or output.endswith("/") or not path.suffix
    if folder and path.exists() and not path.is_dir():
        raise RequestError(f"{path.name} is a file; {len(inputs)} inputs need a folder")
    targets = tuple(path / each.place for each in inputs) if folder else (path,)
    _refuse_duplicates(targets)
    sources = {_identity(each.path) for each in inputs}
    for written in (*targets, *([report] if report else [])):
        if _identity(written) in sources:
            raise RequestError(f"{written.name} would overwrite an input; choose another output")
    if report and _identity(report) in map(_identity, targets):
        raise RequestError(f"{report.name} is both the report and a clean file; choose another name")
    return targets


def _refuse_duplicates(targets: Sequence[Path]) -> None:
    name, times = Counter(target.resolve() for target in targets).most_common(1)[0]
    if times > 1:
        raise RequestError(f"two inputs are called {name.name}; clean them into different folders")


def _identity(path: Path) -> Identity:
    """Equal for two paths of the same file, also through links."""
    path = path.resolve()
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino
