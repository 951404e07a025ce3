"""Chooses the folder of the networks' weights: the setting, else the user's choice, else the shipped one."""

import os
from pathlib import Path
from typing import Final

from models.registry import MANIFEST, MANIFEST_FILE, SHIPPED, has
from models.spec import NetworkSpec
from service.errors import RequestError

CHOICE_FILE: Final = "weights"  # in the user's configuration folder; contains the path of a weights folder


def choice_file() -> Path:
    """Where `cleanplate models use` stores the choice."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cleanplate" / CHOICE_FILE


def chosen() -> Path | None:
    """The folder that the user chose; None: the shipped one."""
    try:
        return Path(choice_file().read_text(encoding="utf-8").strip())
    except (OSError, RuntimeError):  # RuntimeError: this user has no home folder
        return None


def choose(folder: Path | None) -> None:
    """Store the choice for this user's later runs; None returns to the shipped folder. Raises RequestError."""
    try:
        file = choice_file()
        if folder is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{folder.resolve()}\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise RequestError(f"cannot store the choice: {type(error).__name__}") from error


def in_use(setting: Path | None) -> Path:
    """The weights folder in use. `setting` is CLEANPLATE_WEIGHTS and takes precedence."""
    return setting or chosen() or SHIPPED


def manifest_of(network: NetworkSpec, folder: Path) -> Path:
    """The manifest that lists the network: the folder's own, or the shipped one if the folder lacks this network.

    Raises WeightsError if the folder has no manifest.
    """
    own = folder / MANIFEST_FILE
    return own if has(network, own) else MANIFEST
