"""Names of files as people know them: as uploaded, in a URL, and of the result. Pure."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_CHARACTERS: Final = 200
UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")  # nor what turns the text around
FOLDERS: Final = re.compile(r"[/\\]")


def file_name(text: str) -> str | None:
    """A file's name without its folders and unseen characters, its suffix kept if it is shortened; None if nothing is left."""
    name = UNSEEN.sub("", FOLDERS.split(text)[-1]).strip()
    if not name.strip("."):
        return None
    suffix = PurePosixPath(name).suffix[: MAX_CHARACTERS // 2]
    return name if len(name) <= MAX_CHARACTERS else name[: MAX_CHARACTERS - len(suffix)] + suffix


def name_in_url(url: str | None) -> str | None:
    """The name of the file that a URL leads to; None if it shows none."""
    return file_name(unquote(urlsplit(url).path, errors="replace")) if url else None


def result_name(name: str, suffix: str) -> str:
    """The name of the result: `holiday.mov` becomes `holiday_clean.mp4`, with the result's own suffix."""
    return f"{PurePosixPath(name).stem}_clean{suffix}"


def told_apart(names: Iterable[str]) -> list[str]:
    """The names in their order; one that was there before gets a number: `a.mp4`, `a (2).mp4`."""
    taken: dict[str, str] = {}  # by the name in lower case: some systems do not tell A from a
    for name in names:
        path, unique, number = PurePosixPath(name), name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{path.stem} ({number}){path.suffix}"
        taken[unique.casefold()] = unique
    return [*taken.values()]
