"""Writes docs/formats.md from what the walk over the matrix observed, and reads it again.

python -m tests.formats.page [GROUP ...]        # `make formats` calls it for all groups
"""

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.formats import picture_cells, rare_cells, video_cells
from tests.formats.in_process import in_process
from tests.formats.walk import Cell, Fate, Verdict, walk

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "formats.md"
FATES: Final[tuple[Fate, ...]] = ("kept", "converted", "not kept", "refused")
DETAILS: Final = re.compile(r" \([^()]*(?:\([^()]*\)[^()]*)*\)(?=: )")  # of a part, before the reason: its codec, size and the like
MARKED: Final = re.compile(r"(.+?)(?: <sup>([\d ]+)</sup>)?")
NOTE: Final = re.compile(r"(\d+)\. (.+)")
EXPLANATION: Final = """# Formats

What becomes of files of every kind when a mark is removed from them. `make formats` writes this page: it makes a small file for each entry,
cleans it, reads source and result with other programs than the service's own code, and notes what it finds. A test repeats a part of that.

- **kept**: all that the entry names is in the result as it was: pictures outside the mark, times, sound, tags and the rest.
- **converted**: it is there in another form. `cleanplate inspect FILE` says so beforehand.
- **not kept**: it is not there. `cleanplate inspect FILE` and the report say so.
- **refused**: nothing is written, and the message says why, before any work.

An entry such as *mkv to mp4* stands for a result in another container than the source's. Not listed is what FFmpeg and Pillow do not write.
A file without a mark comes back byte by byte, whatever is in it; that was checked for each entry that is not refused.
"""

Place = tuple[str, str, str]


def cells() -> list[Cell]:
    """The whole matrix."""
    return [*video_cells.cells(), *rare_cells.cells(), *picture_cells.cells()]


def main(groups: Collection[str]) -> None:
    """Walk, and write the page. Ends with 1 if there is a fault, which is not written. groups: all that is walked; empty: everything."""
    chosen = [cell for cell in cells() if not groups or cell.place[0] in groups]
    with in_process():
        walked = {cell.place: verdict for cell, verdict in walk(chosen)}
    known = walked if not groups else listed(DOCUMENT.read_text(encoding="utf-8")) | walked
    found = {cell.place: verdict for cell in cells() if (verdict := known.get(cell.place))}
    for place, verdict in found.items():
        if verdict.fate == "fault":
            sys.stderr.write(f"{' / '.join(place)}: {'; '.join(verdict.notes)}\n")
    if any(verdict.fate == "fault" for verdict in found.values()):
        sys.exit(1)
    DOCUMENT.write_text(written(found), encoding="utf-8")


def written(found: Mapping[Place, Verdict]) -> str:
    """The page."""
    counts = Counter(verdict.fate for verdict in found.values())
    total = f"{len(found)} kinds of file: " + ", ".join(f"{counts[fate]} {fate}" for fate in FATES) + "."
    groups = dict.fromkeys(group for group, _, _ in found)
    sections = (line for group in groups for line in _section(group, {place[1:]: found[place] for place in found if place[0] == group}))
    return "\n".join([EXPLANATION, total, *sections, ""])


def _section(group: str, found: Mapping[tuple[str, str], Verdict]) -> Iterator[str]:
    """A heading, a row for each kind with the containers by what became of it, and the notes."""
    notes: dict[str, int] = {}
    yield from ("", f"## {group}", "", f"| | {' | '.join(FATES)} |", "| --- " * (len(FATES) + 1) + "|")
    for row in dict.fromkeys(row for row, _ in found):
        of_row = {column: verdict for (name, column), verdict in found.items() if name == row}
        by_fate = (
            ", ".join(_marked(column, verdict, notes) for column, verdict in of_row.items() if verdict.fate == fate) for fate in FATES
        )
        yield f"| {row} | {' | '.join(by_fate)} |"
    if notes:
        yield ""
        yield from (f"{number}. {note}" for note, number in notes.items())


def _marked(column: str, verdict: Verdict, notes: dict[str, int]) -> str:
    """A container with the numbers of its notes, which are added to `notes`."""
    numbers = [str(notes.setdefault(note, len(notes) + 1)) for note in general(verdict.notes)]
    return f"{column} <sup>{' '.join(numbers)}</sup>" if numbers else column


def general(notes: Sequence[str]) -> tuple[str, ...]:
    """Notes without what is true of one file alone."""
    return tuple(dict.fromkeys(DETAILS.sub("", note) for note in notes))


def listed(page: str) -> dict[Place, Verdict]:
    """What the page says, by place."""
    found: dict[Place, Verdict] = {}
    for section in page.split("\n## ")[1:]:
        group, _, body = section.partition("\n")
        lines = body.splitlines()
        notes = {match[1]: match[2] for match in map(NOTE.fullmatch, lines) if match}
        for line in lines:
            row, *columns = (text.strip() for text in line.strip("|").split("|"))
            if line.startswith("| ") and row and not row.startswith("---"):
                found |= {(group, row, name): verdict for name, verdict in _of_row(columns, notes)}
    return found


def _of_row(columns: list[str], notes: Mapping[str, str]) -> Iterator[tuple[str, Verdict]]:
    for fate, text in zip(FATES, columns, strict=True):
        for entry in filter(None, text.split(", ")):
            name, numbers = MARKED.fullmatch(entry).groups()  # type: ignore[union-attr]
            yield name, Verdict(fate, tuple(notes[number] for number in (numbers or "").split()))


if __name__ == "__main__":
    main(sys.argv[1:])
