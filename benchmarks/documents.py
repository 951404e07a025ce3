"""The figures in the documents, written from the result files, so that no two documents can differ.

    python -m benchmarks.documents       # README.md and docs/*.md

A document marks what is generated. A block lies between `<!-- NAME -->` and `<!-- /NAME -->`, a single figure between `<!-- = NAME -->`
and `<!-- = -->`. Names of blocks are the keys of `blocks`, names of figures those of `figures`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import results, speed_table, summary
from benchmarks.machine import RESULTS, ROOT
from benchmarks.results import Record
from benchmarks.rows import Figure, Row, Section, clean_row, rows_of
from benchmarks.speed_table import GIB
from benchmarks.summary import number, table

HEIGHT: Final = 360  # lines; the size of the table in the README
SPLIT: Final = "eval"
THOUSAND_CLIPS_FRAMES: Final = 1000 * 10 * 30  # ten seconds each, at 30 frames a second
MIB: Final = 2**20
BLOCK: Final = r"(<!-- {0} -->\n).*?(<!-- /{0} -->)"
FIGURE: Final = re.compile(r"(<!-- = (\S+) -->).*?(<!-- = -->)")

QUALITY_HEAD: Final = ("kind", "clips", "best classical fill", "Cleanplate", "gain", "worst clip", "found")
SPEED_HEAD: Final = ("video", "device", "frames/s", "times a plain transcode", "peak memory, GiB", "measured")
SUBMIT_HEAD: Final = ("API, database", "orders/s", "median, ms", "95 of 100, ms", "99 of 100, ms")


def documents(root: Path = ROOT) -> list[Path]:
    """Those that may hold figures."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def filled(text: str, parts: Mapping[str, str], single: Mapping[str, str]) -> str:
    """The document with its generated parts written anew; an unknown name of a figure raises KeyError."""
    for name, body in parts.items():
        block = re.compile(BLOCK.format(re.escape(name)), re.DOTALL)
        text = block.sub(partial(_between, body), text)
    return FIGURE.sub(lambda found: _between(single[found[2]], found), text)


def _between(body: str, found: re.Match[str]) -> str:
    """The body between the marks that a pattern's first and last group hold."""
    return f"{found[1]}{body}{found[found.lastindex or 0]}"


def write(root: Path = ROOT, folder: Path = RESULTS) -> None:
    """Write the figures of the result files in `folder` into the documents below `root`."""
    parts, single = blocks(folder), figures(folder)
    for path in documents(root):
        path.write_text(filled(path.read_text(encoding="utf-8"), parts, single), encoding="utf-8")


def blocks(folder: Path = RESULTS) -> dict[str, str]:
    """Text of each generated block, by its name; none of a result file that is missing."""
    quality, speed, load = (results.latest(results.read(folder / f"{name}.jsonl")) for name in ("quality", "speed", "load"))
    parts: dict[str, str] = {}
    if quality:
        parts |= {"quality in short": _lines(quality_table(quality)), "quality in full": summary.markdown(quality)}
    if speed:
        parts |= {"speed in short": _lines(speed_short(speed)), "speed in full": speed_table.markdown(speed)}
    if submits := paced(load):
        parts["submits"] = _lines([*table(SUBMIT_HEAD, map(_submit_cells, submits)), "", _measured(submits)])
    if crashes := results.read(folder / "crash.jsonl"):
        parts["crashes"] = _lines(_crashes(crashes))
    return parts


def quality_table(records: Sequence[Record]) -> list[str]:
    """One row for each kind of mark, and one line on what was masked where no mark is."""
    kept = main_section(records)
    clean = [(name, clean_row(kept, photos)) for name, photos in (("clips", False), ("photos", True))]
    untouched = [f"{row.untouched_clips} of {row.clips} {name}" for name, row in clean if row is not None]
    without = [f"Without a mark, left untouched: {', '.join(untouched)}. "] if untouched else []
    return [*table(QUALITY_HEAD, map(_quality_cells, rows_of(kept))), "", "".join(without) + _measured(kept.records)]


def main_section(records: Iterable[Record]) -> Section:
    """The section of the table in the README: the split that thresholds are tuned on, at one size."""
    cases = ((record, record["case"]) for record in records)
    return Section(SPLIT, HEIGHT, [record for record, case in cases if (case["split"], case["height"]) == (SPLIT, HEIGHT)])


def _quality_cells(row: Row) -> list[str]:
    dB = (number(row.best_baseline, 1), f"**{number(row.ours, 1)}**", number(row.gain, 1, "+"), number(row.worst_gain, 1, "+"))
    return [row.label, str(row.clips), *dB, _share(row.f1_share)]


def speed_short(records: Sequence[Record]) -> list[str]:
    """One row for each video and device."""
    return [*table(SPEED_HEAD, map(_speed_cells, records)), "", _measured(records)]


def _speed_cells(record: Record) -> list[str]:
    case, found = record["case"], record["figures"]
    speed = (f"**{found['fps']:.1f}**", f"{found['ratio']:.1f}", f"{found['peak_bytes'] / GIB:.2f}")
    return [f"{case['height']}p, {case['seconds']} s", case["device"], *speed, record["stamp"]["date"][:10]]


def paced(records: Iterable[Record]) -> list[Record]:
    """Those of orders that come at a steady pace, as they do in life."""
    return [record for record in records if record["case"].get("question") == "submit" and record["case"]["pace"] == "paced"]


def _submit_cells(record: Record) -> list[str]:
    case, found = record["case"], record["figures"]
    return [f"{case['dialect']}, {case['database']}", f"{found['per_second']:.0f}"] + [
        f"{found[f'{name}_ms']:.0f}" for name in ("p50", "p95", "p99")
    ]


def _crashes(records: Sequence[Record]) -> list[str]:
    """What the runs with kill -9 found, summed up."""
    runs, jobs = (sum(record["figures"][name] for record in records) for name in ("runs", "jobs"))
    broken = sum(sum(record["figures"]["violations"].values()) for record in records)
    databases = ", ".join(sorted({record["case"]["database"] for record in records}))
    return [f"{runs} runs with {jobs} jobs ({databases}): {broken} violations.", "", _measured(records)]


def figures(folder: Path = RESULTS) -> dict[str, str]:
    """Single figures for the documents, by name, as they are to be written."""
    quality, speed, load = (results.latest(results.read(folder / f"{name}.jsonl")) for name in ("quality", "speed", "load"))
    kept = main_section(quality)
    return dict((*_quality_figures(rows_of(kept)), *_clean_figures(kept), *_speed_figures(speed), *_load_figures(load)))


def _quality_figures(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        name = f"quality.{row.kind}" + (".photos" if row.photos else "")
        yield f"{name}.clips", str(row.clips)
        yield f"{name}.found", _share(row.f1_share)
        yield f"{name}.missed", "-" if row.f1_share is None else f"{row.clips * (1 - row.f1_share):.0f}"
        for field, value in (("marked", row.marked), ("fill", row.best_baseline), ("ours", row.ours)):
            yield f"{name}.{field}", number(value, 1)
        for field, value in (("gain", row.gain), ("worst_gain", row.worst_gain)):
            yield f"{name}.{field}", number(value, 1, "+")
        yield f"{name}.flicker", number(row.flicker, 2)


def _clean_figures(section: Section) -> Iterator[tuple[str, str]]:
    for name, photos in (("quality.clean", False), ("quality.clean.photos", True)):
        if (row := clean_row(section, photos)) is not None:
            yield from ((f"{name}.clips", str(row.clips)), (f"{name}.untouched", str(row.untouched_clips)))


def _speed_figures(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    for record in records:
        case, found = record["case"], record["figures"]
        name = f"speed.{case['height']}p_{case['seconds']}s.{case['device']}"
        yield f"{name}.fps", f"{found['fps']:.1f}"
        yield f"{name}.seconds", f"{found['seconds']:.0f}"
        yield f"{name}.peak_gib", f"{found['peak_bytes'] / GIB:.2f}"
        yield f"{name}.date", record["stamp"]["date"][:10]
        yield f"{name}.hours_for_thousand_clips", f"{THOUSAND_CLIPS_FRAMES / found['fps'] / 3600:.0f}"


def _load_figures(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    idle = [record["figures"] for record in records if record["case"]["question"] == "idle"]
    if idle:
        yield "load.idle.memory_mib", f"{max(found['memory_bytes'] for found in idle) / MIB:.0f}"
        yield "load.idle.ready_seconds", f"{max(found['ready_seconds'] for found in idle):.1f}"
        yield "load.idle.worker_seconds", f"{max(found['worker_seconds'] for found in idle):.1f}"
    # savesora answers an order only at the job's end, so its records are of another request.
    submits = [record for record in records if record["case"]["question"] == "submit" and record["case"]["dialect"] != "savesora"]
    rates = [record["figures"]["per_second"] for record in submits if record["case"]["pace"] == "closed"]
    medians = [record["figures"]["p50_ms"] for record in paced(submits)]
    for name, values in (("load.submit.per_second", rates), ("load.submit.median_ms", medians)):
        if values:
            yield from ((f"{name}.least", f"{min(values):.0f}"), (f"{name}.most", f"{max(values):.0f}"))


def _measured(records: Sequence[Record]) -> str:
    """Dates, machines and commits in one line."""
    stamps = [record["stamp"] for record in records]
    dates = sorted({mark["date"][:10] for mark in stamps})
    span = dates[0] if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"
    machines = sorted({_machine(mark) for mark in stamps})
    commits = list(dict.fromkeys(mark["commit"][:7] for mark in stamps))
    return f"Measured {span} on {' and '.join(machines)}, at commit{'s' * (len(commits) > 1)} {', '.join(commits)}."


def _machine(mark: Mapping[str, object]) -> str:
    cores = f"{mark['cores']} core{'s' * (mark['cores'] != 1)} of {mark['cpu']}"
    return f"{cores} and {mark['gpu']}" if mark["gpu"] else cores


def _share(value: Figure) -> str:
    return "-" if value is None else f"{value:.1%}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write()
