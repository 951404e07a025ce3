"""Temporary files of one process, in a folder named after it. The next process on this machine removes what a killed one left."""

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from service.disk import free_bytes
from service.errors import SettingsError
from service.jobs.fleet import is_running, start_ticks

SCRATCH_FOLDER: Final = "scratch"  # within the data folder
SEPARATOR: Final = "+"
MEMORY_FOLDER: Final = Path("/dev/shm")
MEMORY_BYTES: Final = 16 * 2**20  # free there at least, for it to be used


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
        with self.made():
            tempfile.tempdir = str(self.own)
            try:
                yield self
            finally:
                tempfile.tempdir = None

    @contextmanager
    def made(self) -> Iterator[Self]:
        """Sweep, and make the folder; remove it at the end. Raises SettingsError if it cannot be created."""
        try:
            self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "unknown").lower()
            raise SettingsError(f"CLEANPLATE_DATA_DIR: no folder for temporary files can be created there: {reason}") from None
        self.sweep()
        try:
            yield self
        finally:
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


def folder_in_memory(within: Path = MEMORY_FOLDER) -> Path | None:
    """A folder of this user that no other file on the disks can fill; None where the system has none."""
    folder = within / f"cleanplate-{os.getuid()}"
    try:
        if free_bytes(within) < MEMORY_BYTES:
            return None
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if is_ours else None
