"""Which folder the networks come from: the one that is set, else the one that a person chose, else the shipped one."""

import os
from pathlib import Path
from typing import Final

from models.registry import MANIFEST, MANIFEST_FILE, SHIPPED, has
from models.spec import NetworkSpec
from service.errors import RequestError

CHOICE_FILE: Final = "weights"  # in the user's configuration folder; holds the path of a folder of weights


def choice_file() -> Path:
    """Where `cleanplate models use` keeps the choice."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cleanplate" / CHOICE_FILE


def chosen() -> Path | None:
    """The folder that a person chose; None: the shipped one."""
    try:
        return Path(choice_file().read_text(encoding="utf-8").strip())
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return None


def choose(folder: Path | None) -> None:
    """Keeps the choice for later runs of this user; None goes back to the shipped one."""
    try:
        file = choice_file()
        if folder is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{folder.resolve()}\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise RequestError(f"the choice cannot be kept: {type(error).__name__}") from error


def in_use(setting: Path | None) -> Path:
    """The folder of weights; `setting` is CLEANPLATE_WEIGHTS, which wins."""
    return setting or chosen() or SHIPPED


def manifest_of(network: NetworkSpec, folder: Path) -> Path:
    """The manifest that has the network: the folder's own, or the shipped one where the folder has no such network.

    Raises WeightsError where the folder has no manifest.
    """
    own = folder / MANIFEST_FILE
    return own if has(network, own) else MANIFEST
