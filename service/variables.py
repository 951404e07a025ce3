"""Settings from the files `.env` and `cleanplate.toml` of the current folder, as if they were variables; and variables that are none."""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from service.errors import SettingsError

PREFIX: Final = "CLEANPLATE_"
NESTED: Final = "__"
DOTENV: Final = ".env"
TOML: Final = "cleanplate.toml"
OF_CLIENTS: Final = frozenset({"CLEANPLATE_URL", "CLEANPLATE_KEY"})  # what the commands that ask a service read
OF_TESTS: Final = "CLEANPLATE_TEST_"
LIKENESS: Final = 0.7  # of 1, from which a name may be a slip of the pen


def read_files(folder: Path) -> None:
    """Set the variables that the folder's files have and the environment does not; `.env` is stronger than `cleanplate.toml`.

    Of `.env` only names that begin with CLEANPLATE_ are read. In the other a key is such a name without the beginning, in small letters:
    `port = 8080`, and `duration_seconds = 60` under `[limits]`. Raises SettingsError for a file that cannot be read.
    """
    for name, value in (_of_toml(folder / TOML) | _of_dotenv(folder / DOTENV)).items():
        os.environ.setdefault(name, value)


def candidates() -> list[str]:
    """The variables of the environment that look like settings."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and not name.startswith(OF_TESTS) and name not in OF_CLIENTS)


def remark_on(name: str, known: Collection[str]) -> str:
    """A line that says of a variable that it is no setting, and which of the known ones may be meant."""
    names = [each.removeprefix(PREFIX) for each in (*known, *OF_CLIENTS)]
    meant = get_close_matches(name.removeprefix(PREFIX), names, 1, LIKENESS)
    return f"{name} is not a setting{f'; did you mean {PREFIX}{meant[0]}?' if meant else ''}"


def _of_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        found = dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{DOTENV} cannot be read: {_reason(error)}") from None
    return {name: value for name, value in found.items() if name.startswith(PREFIX) and value is not None}


def _of_toml(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")), PREFIX))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{TOML} cannot be read: {_reason(error)}") from None


def _flat(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    """The values of a table as variables hold them: words of a list are separated by commas."""
    for key, value in table.items():
        name = before + key.upper()
        if isinstance(value, dict):
            yield from _flat(value, name + NESTED)
        elif isinstance(value, list):
            yield name, ",".join(map(str, value))
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _reason(error: Exception) -> str:
    """What is wrong, without the path, which an OSError has in its text."""
    return (error.strerror or "unknown").lower() if isinstance(error, OSError) else str(error)
