"""The table of the speed benchmark."""

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Record
from benchmarks.summary import measured_on

GIB = 2**30


def line(case: dict[str, Any], metrics: dict[str, Any]) -> str:
    """A result as a readable line."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in metrics["step_seconds"].items())
    return (
        f"{case['height']}p {case['seconds']} s {case['device']}: {metrics['fps']:.1f} fps ({metrics['seconds']:.1f} s: {steps}), "
        f"transcode {metrics['transcode_fps']:.1f} fps, peak {metrics['peak_bytes'] / GIB:.2f} GiB"
    )


def markdown(records: Sequence[Record]) -> str:
    """A table with a row for each height, length and device, and a line on the machine."""
    steps = list(dict.fromkeys(name for record in records for name in record["figures"]["step_seconds"]))
    head = ["video", "device", "fps", "seconds", *steps, "transcode fps", "times its time", "peak GiB"]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *(_cells(record, steps) for record in records)]
    table = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join(["One moving mark, medians; seconds per step overlap:", "", *table, "", *measured_on(records)]) + "\n"


def _cells(record: Record, steps: Sequence[str]) -> list[str]:
    case, metrics = record["case"], record["figures"]
    seconds = [metrics["step_seconds"].get(name) for name in steps]
    return [
        f"{case['height']}p, {case['seconds']} s",
        case["device"],
        f"**{metrics['fps']:.1f}**",
        f"{metrics['seconds']:.1f}",
        *("-" if value is None else f"{value:.1f}" for value in seconds),
        f"{metrics['transcode_fps']:.1f}",
        f"{metrics['ratio']:.1f}",
        f"{metrics['peak_bytes'] / GIB:.2f}",
    ]
