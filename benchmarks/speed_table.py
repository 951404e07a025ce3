"""The table of a speed run."""

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Record
from benchmarks.summary import measured_on

GIB = 2**30


def line(case: dict[str, Any], figures: dict[str, Any]) -> str:
    """One line for a person."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in figures["step_seconds"].items())
    return (
        f"{case['height']}p {case['seconds']} s {case['device']}: {figures['fps']:.1f} fps ({figures['seconds']:.1f} s: {steps}), "
        f"transcode {figures['transcode_fps']:.1f} fps, peak {figures['peak_bytes'] / GIB:.2f} GiB"
    )


def markdown(records: Sequence[Record]) -> str:
    """A row for each height, length and device, with a line on where they were measured."""
    steps = list(dict.fromkeys(name for record in records for name in record["figures"]["step_seconds"]))
    head = ["video", "device", "fps", "seconds", *steps, "transcode fps", "times its time", "peak GiB"]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *(_cells(record, steps) for record in records)]
    table = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join(["One moving mark, medians; seconds per step overlap:", "", *table, "", *measured_on(records)]) + "\n"


def _cells(record: Record, steps: Sequence[str]) -> list[str]:
    case, figures = record["case"], record["figures"]
    seconds = [figures["step_seconds"].get(name) for name in steps]
    return [
        f"{case['height']}p, {case['seconds']} s",
        case["device"],
        f"**{figures['fps']:.1f}**",
        f"{figures['seconds']:.1f}",
        *("-" if value is None else f"{value:.1f}" for value in seconds),
        f"{figures['transcode_fps']:.1f}",
        f"{figures['ratio']:.1f}",
        f"{figures['peak_bytes'] / GIB:.2f}",
    ]
