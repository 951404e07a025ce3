"""A file that arrives in pieces. What is on the disk is what has arrived, whatever became of the process that wrote it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from service.disk import naming_full_disks
from service.errors import ServiceError

UNVERIFIED: Final = ".unverified"  # beside the file, while a piece with a checksum arrives: the size before it


class UploadInUse(ServiceError):
    """Another request is writing the file."""


class HalfFile:
    """An open file that grows. Raises StorageFull where the disk is full."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self._note = path.with_name(path.name + UNVERIFIED)
        self.discard_unverified()  # of a process that died

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["HalfFile"]:
        """The file, created if it is missing, for this process alone; on the disk at the end of the block. Raises UploadInUse."""
        with naming_full_disks(), open(path, "a+b", buffering=0, opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadInUse("another request is writing this file") from None
            half = cls(path, file)
            try:
                yield half
            finally:
                half.discard_unverified()
                os.fsync(file.fileno())

    @property
    def arrived_bytes(self) -> int:
        """How much has arrived."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, data: bytes) -> None:
        """Write more."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def begin_unverified(self) -> None:
        """What follows counts only after `verified`: otherwise it is gone, also if this process dies."""
        self._note.write_text(str(self.arrived_bytes), encoding="ascii")

    def verified(self) -> None:
        """What was written since `begin_unverified` stays."""
        self._note.unlink(missing_ok=True)

    def discard_unverified(self) -> None:
        """Remove what was written since `begin_unverified`, if anything."""
        with suppress(FileNotFoundError, ValueError):  # an unfinished note: nothing was written after it yet
            self._file.truncate(int(self._note.read_text(encoding="ascii")))
        self._note.unlink(missing_ok=True)


def delete(path: Path) -> None:
    """Delete the file, if there is one."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + UNVERIFIED).unlink(missing_ok=True)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
