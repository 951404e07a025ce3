"""The table of a sweep: what -25 % and +25 % of each constant change, the largest effect first."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.results import Record
from benchmarks.rows import mean
from benchmarks.summary import measured_on, number, table

Figures = dict[str, Any]
DOWN, UP = -25, 25
DB_OF_FOUND = 10.0  # for the order of the rows alone: a mark found in 10 % fewer frames counts as 1 dB, 1 % of clean pixels as 10 dB
DB_OF_TOUCHED = 1000.0
SMALL_DB = 0.05


def line(case: dict[str, Any], figures: Figures) -> str:
    """One line for a person."""
    if not case["constant"]:
        return "the constants as they are"
    return f"{case['constant']} {figures['from']} -> {figures['to']}: {said(figures)}  ({figures['seconds']:.1f} s)"


def markdown(records: Sequence[Record]) -> str:
    """The constants that change something, those that do not, and what the cases score with the constants as they are."""
    rows: dict[str, dict[int, Figures]] = {}
    for record in records:
        rows.setdefault(record["case"]["constant"], {})[record["case"]["percent"]] = record["figures"]
    plain = rows.pop("", {}).get(0)
    effective = sorted((name for name in rows if any(map(has_effect, rows[name].values()))), key=lambda name: (-effect(rows[name]), name))
    idle = sorted(rows.keys() - set(effective))
    small = sum(effect(rows[name]) < SMALL_DB for name in effective)
    counts = f"{len(idle)} change nothing; {small} change some figure, but by less than {SMALL_DB} dB in any kind."
    lines = [f"{len(rows)} constants, each a quarter less and a quarter more. {counts}", ""]
    lines += [*(_plain(plain, records[0]["case"]["height"]) if plain else []), *_effective(effective, rows), *_idle(idle, rows)]
    return "\n".join([*lines, *measured_on(records)]) + "\n"


def has_effect(figures: Figures) -> bool:
    """Whether a placement or figure differs in any case, or a case fails."""
    return bool(figures["errors"]) or any(kind["same"] < kind["cases"] for kind in figures["kinds"].values())


def effect(row: dict[int, Figures]) -> float:
    """The largest change of a constant in any kind, in dB or its equivalent. A failure ranks above all."""
    sizes = [0.0]
    for figures in row.values():
        sizes += [1000.0] if figures["errors"] else []
        for kind in figures["kinds"].values():
            sizes += [abs(kind["db"] or 0.0), DB_OF_FOUND * abs(kind["found"] or 0.0), DB_OF_TOUCHED * abs(kind["touched"] or 0.0)]
    return max(sizes)


def said(figures: Figures) -> str:
    """The effect by kind; kinds that are not named are unchanged, bit for bit."""
    parts = [f"{name} {_kind(kind)}" for name, kind in figures["kinds"].items() if kind["same"] < kind["cases"]]
    parts += [f"FAILS on {case} ({error.partition(':')[0]})" for case, error in figures["errors"].items()]
    return "; ".join(parts) or "no effect"


def _kind(kind: Figures) -> str:
    named = [f"{kind['db']:+.2f} dB"] if kind["db"] is not None else []
    named += [f"found {kind['found']:+.1%}"] if kind["found"] else []
    named += [f"touched {kind['touched']:+.3%}"] if kind["touched"] else []
    return " ".join(named) or "other pixels"


def _plain(figures: Figures, height: int) -> Iterator[str]:
    """The scores from which the changes count."""
    rows = [
        [name, number(case["db"], 2), "-" if case["found"] is None else f"{case['found']:.1%}", f"{case['touched']:.3%}"]
        for name, case in figures["cases"].items()
    ]
    yield from (f"The cases at {height} lines with the constants as they are:", "")
    yield from table(("case", "PSNR in the mark, dB", "found", "touched away from it"), rows)
    yield ""


def _effective(names: Sequence[str], rows: dict[str, dict[int, Figures]]) -> Iterator[str]:
    yield from ("What changes, the largest change in any kind first (dB and found: means over the marked kinds):", "")
    head = ("constant", "value", "-25 %", "dB", "found", "by kind", "+25 %", "dB", "found", "by kind")
    yield from table(
        head, ([f"`{_short(name)}`", _value(rows[name]), *_cells(rows[name].get(DOWN)), *_cells(rows[name].get(UP))] for name in names)
    )
    yield ""


def _cells(figures: Figures | None) -> list[str]:
    if figures is None:
        return ["not measured", "-", "-", "-"]
    db, found = (mean(kind[name] for kind in figures["kinds"].values()) for name in ("db", "found"))
    return [_changed(figures), number(db, 2, "+"), "-" if found is None else f"{found:+.1%}", said(figures)]


def _idle(names: Sequence[str], rows: dict[str, dict[int, Figures]]) -> Iterator[str]:
    yield from ("No effect: every placement and every figure is the same in every case.", "")
    yield from table(("constant", "value", "-25 %", "+25 %", "read while"), map(_idle_cells, names, (rows[name] for name in names)))
    yield ""


def _idle_cells(name: str, row: dict[int, Figures]) -> list[str]:
    changed = [_changed(row[percent]) if percent in row else "not measured" for percent in (DOWN, UP)]
    steps = sorted({step for figures in row.values() for step in figures["steps"]})
    return [f"`{_short(name)}`", _value(row), *changed, ", ".join(steps) or "never"]


def _short(name: str) -> str:
    return name.removeprefix("service.pipeline.")


def _value(row: dict[int, Figures]) -> str:
    return str(next(iter(row.values()))["from"])


def _changed(figures: Figures) -> str:
    return figures["to"] + (f" ({figures['note']})" if figures["note"] else "")
