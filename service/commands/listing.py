"""Lists on a terminal: aligned columns under their names, or JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: an array of objects with the columns as names.")]
Row = Mapping[str, Any]


def show(columns: Sequence[str], rows: Sequence[Row], as_json: bool) -> None:
    """Print the rows, which have these columns. Without rows the names are printed all the same."""
    if as_json:
        typer.echo(json.dumps([{name: row[name] for name in columns} for row in rows], ensure_ascii=False, indent=2))
        return
    cells = [[name.upper() for name in columns], *([_text(row[name]) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def time_of(at_ms: int | None) -> str | None:
    """A time in milliseconds since 1970 as ISO 8601 text, to the second."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
