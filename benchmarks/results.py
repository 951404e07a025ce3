"""Result files: one JSON line per finished case, appended as it finishes, so that a broken run goes on where it stopped."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.machine import Stamp

Record = dict[str, Any]  # a parsed line: {"case": ..., "figures": ..., "stamp": ...}


def append(path: Path, case: dict[str, object], figures: dict[str, object], stamp: Stamp) -> None:
    """Add one line and make sure that it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() and not _ends_with_newline(file.name):
            file.write(b"\n")  # the last run was broken off in the middle of a line
        file.write(json.dumps({"case": case, "figures": figures, "stamp": asdict(stamp)}, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(name: str) -> bool:
    with open(name, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read(path: Path) -> list[Record]:
    """Every whole line of a result file; none when there is no file. A case older than the splits is of "eval", and nothing was given."""
    if not path.exists():
        return []
    records = []
    for text in path.read_text().splitlines():
        try:
            records.append(_completed(json.loads(text)))
        except json.JSONDecodeError:
            continue  # broken off in the middle of a line
    return records


def _completed(record: Record) -> Record:
    case = record["case"]
    return record | {"case": {"split": "eval", "given": ""} | case} if {"clip", "kind"} <= case.keys() else record


def latest(records: Iterable[Record]) -> list[Record]:
    """The last record of each case, in the order in which the cases first occur."""
    return list({json.dumps(record["case"], sort_keys=True): record for record in records}.values())


def unfinished(cases: Iterable[Case], records: Iterable[Record], code: str) -> list[Case]:
    """The cases that were not yet measured with this code: the same commit, or another that changes nothing measured."""
    done = [record["case"] for record in records if record["stamp"]["code"] == code]
    return [case for case in cases if asdict(case) not in done]
