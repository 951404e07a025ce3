"""Finds the files that the inputs of a command stand for: files, folders, and patterns that the shell has left alone."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.pipeline.io import still
from service.pipeline.io.container import MUXERS

SUFFIXES: Final = frozenset({*MUXERS, *still.FORMATS})
PATTERN: Final = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Input:
    """A file to work on. folder: the one that stands for it among the inputs; None: it was named itself."""

    path: Path
    folder: Path | None = None

    @property
    def place(self) -> Path:
        """Where its result lies below the output folder: in the same place as the input below its own."""
        return self.path.relative_to(self.folder) if self.folder else Path(self.path.name)

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.place)


def find_inputs(words: Sequence[Path], recursive: bool, output: Path | None) -> tuple[Input, ...]:
    """The inputs that the words stand for, each file once. Raises RequestError for a folder or a pattern that stands for none.

    A folder stands for the videos and images in it, by their names; with `recursive` for those in its folders too. What is hidden is left
    out, and what is below an output folder in it. A word that names no file may be a pattern, such as `clips/*.mp4` or `**/*.mov`.
    """
    found: dict[Path, Input] = {}
    for word in words:
        for each in _meant_by(word, recursive, output):
            found.setdefault(each.path.resolve(), each)
    return tuple(found.values())


def _meant_by(word: Path, recursive: bool, output: Path | None) -> Iterator[Input]:
    if word.is_dir():
        yield from _within(word, recursive, output)
    elif word.exists() or not PATTERN.search(str(word)):
        yield Input(word)
    else:
        fixed = Path(*takewhile(lambda part: not PATTERN.search(part), word.parts))  # the folder in which it is searched
        matches = [Path(match) for match in sorted(glob(str(word), recursive=True))]
        files = [path for path in matches if path.is_file() and not _is_result(path, fixed, output)]
        if not files:
            raise RequestError(f"no file matches {word}")
        yield from map(Input, files)


def _within(folder: Path, recursive: bool, output: Path | None) -> Iterator[Input]:
    paths = sorted(path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.suffix.lower() in SUFFIXES)
    shown = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    files = [path for path in shown if path.is_file() and not _is_result(path, folder, output)]
    if not files:
        hint = "" if recursive else "; --recursive looks into its folders too"
        raise RequestError(f"{folder.name or folder}: no video or image in this folder{hint}")
    yield from (Input(path, folder) for path in files)


def _is_result(path: Path, folder: Path, output: Path | None) -> bool:
    """Whether a file found in the folder is one of those that the command writes in there."""
    return output is not None and _lies_in(output, folder) and _lies_in(path, output)


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether it is below the folder, also through links."""
    return folder.resolve() in path.resolve().parents
