"""Temporary files of one process, in a folder named after it. The next process on this machine removes what a killed one left."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from service.errors import SettingsError
from service.jobs.fleet import is_running, start_ticks

SCRATCH_FOLDER: Final = "scratch"  # within the data folder
SEPARATOR: Final = "+"


class Scratch:
    """The process's folder below `root`, which all processes of a data folder share."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.own = root / SEPARATOR.join((platform.node(), str(os.getpid()), str(start_ticks(os.getpid()))))

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Sweep, and make this the folder of all temporary files of this process, the libraries' included; remove it at the end.

        Raises SettingsError if it cannot be created.
        """
        try:
            self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "unknown").lower()
            raise SettingsError(f"CLEANPLATE_DATA_DIR: no folder for temporary files can be created there: {reason}") from None
        tempfile.tempdir = str(self.own)
        self.sweep()
        try:
            yield self
        finally:
            tempfile.tempdir = None
            shutil.rmtree(self.own, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the folders of processes on this machine that have ended."""
        for folder in self._root.iterdir():
            host, _, rest = folder.name.partition(SEPARATOR)
            process_id, _, started_ticks = rest.partition(SEPARATOR)
            if host == platform.node() and not is_running(int(process_id), int(started_ticks)):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A temporary folder, removed at the end of the block."""
        path = Path(tempfile.mkdtemp(dir=self.own))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
