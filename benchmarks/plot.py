"""Result files as pictures and tables, and their figures in the documents.

python -m benchmarks.plot            # quality.svg, quality.md, speed.svg, speed.md and load.svg beside the result files; the documents
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import documents, results, speed_table, summary
from benchmarks.machine import RESULTS, ROOT
from benchmarks.results import Record
from benchmarks.rows import Row, Section, rows_of, sections

METHODS = {  # field of a row -> (label, colour)
    "telea": ("Telea", "#b9c4cf"),
    "navier_stokes": ("Navier-Stokes", "#93a3b3"),
    "delogo": ("delogo", "#d9cfc0"),
    "ours": ("Cleanplate", "#1f6feb"),
}
STABLE = {"svg.hashsalt": "cleanplate", "svg.fonttype": "path", "font.size": 9}  # equal results give equal files


def plot_quality(parts: Sequence[Section], target: Path) -> None:
    """A plot for each split and size: bars of the PSNR inside the mark by kind and method; a tick for the envelope; the gain in numbers."""
    by_part = [rows_of(part) for part in parts]
    with mpl.rc_context(STABLE):
        size = max(9.0, 0.9 * max(map(len, by_part))), 3.6 * len(parts)
        figure = Figure(figsize=size, layout="constrained")
        for part, rows, axes in zip(parts, by_part, figure.subplots(len(parts), squeeze=False)[:, 0], strict=True):
            _bars(axes, rows)
            axes.set_title(part.label)
        _finish(figure, target)


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    places, width = np.arange(len(rows)), 0.8 / len(METHODS)
    for index, (name, (label, colour)) in enumerate(METHODS.items()):
        heights = [getattr(row, name) or 0.0 for row in rows]
        axes.bar(places + (index - (len(METHODS) - 1) / 2) * width, heights, width, label=label, color=colour)
    _envelope(axes, rows)
    _gains(axes, rows, width)
    axes.set_xticks(places, ["\n".join([*row.label.replace("_", " ").split(" "), f"({row.clips})"]) for row in rows])
    axes.set_ylabel("PSNR inside the mark, dB\n(baselines are given the true mask)")


def _envelope(axes: Axes, rows: Sequence[Row]) -> None:
    places = [index for index, row in enumerate(rows) if row.envelope is not None]
    heights = [row.envelope for row in rows if row.envelope is not None]
    axes.hlines(
        heights,
        [p - 0.42 for p in places],
        [p + 0.42 for p in places],
        color="black",
        lw=1,
        ls=":",
        label="best of them and the true opacity",
    )


def _gains(axes: Axes, rows: Sequence[Row], width: float) -> None:
    for index, row in enumerate(rows):
        if row.gain is not None and row.ours is not None:
            place = index + (len(METHODS) - 1) / 2 * width
            axes.annotate(f"{row.gain:+.1f}", (place, row.ours), ha="center", va="bottom", fontweight="bold")


def plot_speed(records: Sequence[Record], target: Path) -> None:
    """Frames per second, ours beside the plain transcode, on a logarithmic axis with the numbers on the bars."""
    with mpl.rc_context(STABLE):
        figure = Figure(figsize=(9, 0.9 + 0.55 * len(records)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(records))
        for shift, name, label, colour in (
            (-0.2, "fps", "Cleanplate", METHODS["ours"][1]),
            (0.2, "transcode_fps", "plain transcode", METHODS["telea"][1]),
        ):
            bars = axes.barh(places + shift, [record["figures"][name] for record in records], 0.38, label=label, color=colour)
            axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.set_yticks(places, ["{height}p, {seconds} s, {device}".format(**record["case"]) for record in records])
        axes.invert_yaxis()
        axes.set_xscale("log")
        speeds = [record["figures"][name] for record in records for name in ("fps", "transcode_fps")]
        axes.set_xlim(min(1.0, min(speeds) / 2), max(speeds) * 1.5)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("frames per second, end to end")
        _finish(figure, target)


def plot_load(records: Sequence[Record], target: Path) -> None:
    """How long an order waits to be accepted: median, and how far the slowest 5 and 1 in 100 reach beyond it, for each dialect."""
    with mpl.rc_context(STABLE):
        figure = Figure(figsize=(9, 0.9 + 0.4 * len(records)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(records))
        for name, label, colour in (
            ("p99_ms", "99 of 100", METHODS["delogo"][1]),
            ("p95_ms", "95 of 100", METHODS["navier_stokes"][1]),
            ("p50_ms", "half of them", METHODS["ours"][1]),
        ):
            axes.barh(places, [record["figures"][name] for record in records], 0.6, label=label, color=colour)
        for place, record in zip(places, records, strict=True):
            said = ", ".join(f"{record['figures'][name]:.0f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
            axes.annotate(said, (record["figures"]["p99_ms"], place), xytext=(4, 0), textcoords="offset points", va="center")
        axes.set_yticks(places, ["{dialect}, {database}".format(**record["case"]) for record in records])
        axes.invert_yaxis()
        axes.set_xlabel("milliseconds until an order is accepted, at 100 orders a second")
        _finish(figure, target)


def _finish(figure: Figure, target: Path) -> None:
    legend: dict[str, Artist] = {}
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=150)


def main(
    folder: Annotated[Path, typer.Argument(help="Where quality.jsonl, speed.jsonl and load.jsonl are.", exists=True)] = RESULTS,
    root: Annotated[Path, typer.Option(help="The figures are put into its README.md and docs/*.md.", exists=True)] = ROOT,
) -> None:
    """Draw the result files that exist, and write their figures into the documents."""
    if quality := results.latest(results.read(folder / "quality.jsonl")):
        plot_quality(sections(quality), folder / "quality.svg")
        (folder / "quality.md").write_text(summary.markdown(quality), encoding="utf-8")
    if speed := results.latest(results.read(folder / "speed.jsonl")):
        plot_speed(speed, folder / "speed.svg")
        (folder / "speed.md").write_text(speed_table.markdown(speed), encoding="utf-8")
    if load := documents.paced(results.latest(results.read(folder / "load.jsonl"))):
        plot_load(load, folder / "load.svg")
    documents.write(root, folder)
    print(f"{len(quality)} quality cases, {len(speed)} speed cases, {len(load)} load cases")


if __name__ == "__main__":
    typer.run(main)
