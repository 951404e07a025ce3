"""Free space: whether there is room to write, and which errors mean that there is none."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from service.errors import DecodeFailed, EncodeFailed, StorageFull

T = TypeVar("T")

FULL_SECONDS: Final = 2.0  # between two tries on a full disk
CHECK_BYTES: Final = 4 * 2**20  # between two looks at the free space, while something is written
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
# How child processes report it: in these words, as other errors repeat what stands in a client's file.
REPORTED: Final = tuple(f" cannot be written: {os.strerror(number)}" for number in FULL)
REPORTED_BY_STORAGE: Final = tuple(f"(os error {number})" for number in FULL)
SQLITE_FULL: Final = 13
POSTGRES_DISK_FULL: Final = "53100"


@dataclass(frozen=True)
class DiskGuard:
    """Keeps `floor_bytes` of the disks of these folders free, for what must always be written: the database and the logs."""

    folders: tuple[Path, ...] = ()
    floor_bytes: int = 0

    def require(self, more_bytes: int = 0) -> None:
        """Raise StorageFull unless so many bytes fit on each disk above the floor."""
        for folder in self.folders:
            if free_bytes(folder) < self.floor_bytes + more_bytes:
                raise StorageFull("there is not enough free space on the disk")


def once_there_is_room(action: Callable[[], T]) -> T:
    """Do something that would otherwise have to be done all over again; wait while it raises StorageFull."""
    while True:
        try:
            return action()
        except StorageFull:
            time.sleep(FULL_SECONDS)


def free_bytes(folder: Path) -> int:
    """Free space on the disk of a folder, for a user without special rights, in bytes."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def is_full(error: BaseException) -> bool:
    """Whether a full disk, or a quota of the system, caused this error or is behind it."""
    seen: BaseException | None = error
    while seen is not None:
        if _says_full(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _says_full(error: BaseException) -> bool:
    if isinstance(error, StorageFull) or getattr(error, "errno", None) in FULL:
        return True
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == SQLITE_FULL or getattr(error, "sqlstate", None) == POSTGRES_DISK_FULL:
        return True
    if isinstance(error, EncodeFailed | DecodeFailed):
        return str(error).endswith(REPORTED)
    return type(error).__module__.startswith("obstore") and any(text in str(error) for text in REPORTED_BY_STORAGE)


@contextmanager
def naming_full_disks() -> Iterator[None]:
    """A block that writes: an error that a full disk caused is raised as StorageFull."""
    try:
        yield
    except StorageFull:
        raise
    except Exception as error:
        if is_full(error):
            raise StorageFull("the disk is full") from error
        raise
