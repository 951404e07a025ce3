"""The data folder belongs to the service's user alone: others may neither enter it nor read a file in it."""

import logging
import os
import stat
from pathlib import Path
from typing import Final

from service.errors import SettingsError

log = logging.getLogger(__name__)

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# What the service keeps in its data folder: a name is one of these, or begins with one and a dash, as SQLite's further files do.
OWN_NAMES: Final = ("cleanplate.sqlite", "files", "scratch", "secret.key", "development-signer.pem", "first-account.key", "lost+found")


def make_files_private() -> None:
    """From now on this process and its children create files and folders for their user alone, whatever the libraries ask for."""
    os.umask(OTHERS)


def private_folder(path: Path) -> Path:
    """Create the data folder, or close an existing one to others, with what the service keeps in it.

    Raises SettingsError if it cannot be created, or if it is open to others and is not ours to close: somebody else's, or with files
    in it that are not the service's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & OTHERS:
            _close(path)
    except OSError as error:
        raise SettingsError(f"CLEANPLATE_DATA_DIR: cannot be created: {(error.strerror or 'unknown').lower()}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError("CLEANPLATE_DATA_DIR: this user may not read and write there")
    return path


def private_file(path: Path) -> None:
    """Create the file, or close an existing one of ours to others. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    _restrict(path, 0o600)


def _close(folder: Path) -> None:
    owned = folder.stat().st_uid == os.geteuid()
    entries = list(folder.iterdir())
    if not owned or not all(_is_own(entry.name) for entry in entries):
        why = "holds other files than the service's" if owned else "belongs to another user"
        raise SettingsError(f"CLEANPLATE_DATA_DIR: the folder is open to others and {why}: choose a new folder, such as one within it")
    folder.chmod(0o700)
    for entry in entries:
        if not entry.is_symlink():
            _restrict(entry, 0o700 if entry.is_dir() else 0o600)
    log.warning("the data folder was open to others and is now closed to them")


def _restrict(path: Path, mode: int) -> None:
    found = path.stat()
    if found.st_mode & OTHERS and found.st_uid == os.geteuid():
        path.chmod(mode)


def _is_own(name: str) -> bool:
    return name in OWN_NAMES or name.startswith(tuple(f"{own}-" for own in OWN_NAMES))
