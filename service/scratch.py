"""Temporary files of one process, below a folder of its own: what a killed process leaves, the next one on this machine removes."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from service.jobs.fleet import is_running, started

SCRATCH_FOLDER: Final = "scratch"  # of a data folder
SEPARATOR: Final = "+"


class Scratch:
    """`root`: shared by all processes of a data folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.own = root / SEPARATOR.join((platform.node(), str(os.getpid()), str(started(os.getpid()))))

    @contextmanager
    def begun(self) -> Iterator[Self]:
        """Remove what the dead left, and let all temporary files of this process come here, the libraries' too; none is left in the end."""
        self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.tempdir = str(self.own)
        self.sweep()
        try:
            yield self
        finally:
            tempfile.tempdir = None
            shutil.rmtree(self.own, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the folders of processes of this machine that run no more."""
        for folder in self._root.iterdir():
            host, _, rest = folder.name.partition(SEPARATOR)
            process_id, _, began = rest.partition(SEPARATOR)
            if host == platform.node() and not is_running(int(process_id), int(began)):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for the length of a block."""
        path = Path(tempfile.mkdtemp(dir=self.own))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
