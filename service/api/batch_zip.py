"""The results of a batch as a zip file that is made while it is sent: memory stays flat however large the files are."""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from service.jobs.batch import Item

LIST_NAME: Final = "results.json"
UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")
NAME_CHARACTERS: Final = 60


@dataclass(frozen=True)
class Entry:
    """A file of the zip: its name, and its bytes in parts."""

    name: str
    parts: Iterable[bytes]


class _Outbox:
    """What `zipfile` has written and nobody has taken yet. It cannot seek, so the zip describes each file behind it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        """Keep the data."""
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        """What was written since the last call."""
        data = bytes(self._data)
        self._data.clear()
        return data


def zipped(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of a zip with these files, which are stored as they are: videos and images do not get smaller."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[arg-type]  # it asks for no more than this
        for entry in entries:
            with archive.open(zipfile.ZipInfo(entry.name), "w", force_zip64=True) as file:
                for part in entry.parts:
                    file.write(part)
                    yield outbox.take()
    yield outbox.take()


def name_of(item: Item, suffix: str) -> str:
    """A unique file name: the source's number, and what the customer or the source's host calls it."""
    source = PurePosixPath(urlsplit(item.spec.source_url or "").path).stem
    name = UNFIT.sub("_", item.client_reference or source).strip("._")[:NAME_CHARACTERS]
    return f"{item.number:04d}{'_' if name else ''}{name}{suffix}"


def list_entry(rows: Iterable[Mapping[str, Any]]) -> Entry:
    """The file that says what became of each source."""
    return Entry(LIST_NAME, [json.dumps(list(rows), ensure_ascii=False, indent=1).encode()])
