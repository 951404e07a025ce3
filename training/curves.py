"""Plots training runs: a row for each run, with the loss and every score over the steps.

python -m training.curves RUNS_FOLDER OUT.png
"""

import json
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Rows = dict[int, dict[str, float]]  # by step

NOT_SCORES = {"step", "loss", "seconds"}
PANEL_INCHES = (3.6, 2.6)


def read(log: Path) -> Rows:
    """Read a run's log. A resumed run may have logged a step twice; the later line counts."""
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.strip()]
    return {row["step"]: row for row in sorted(rows, key=lambda row: row["step"])}


def draw(runs: dict[str, Rows], path: Path) -> None:
    """Draw all runs into one PNG."""
    scores = {name: ["loss", *(key for key in next(iter(rows.values())) if key not in NOT_SCORES)] for name, rows in runs.items()}
    columns = max(len(keys) for keys in scores.values())
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), columns, squeeze=False)
    for row, (name, rows) in zip(panels, runs.items(), strict=True):
        for panel in row[len(scores[name]) :]:
            panel.set_visible(False)
        for panel, key in zip(row, scores[name], strict=False):
            _panel(panel, name, key, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _panel(panel: Axes, name: str, key: str, rows: Rows) -> None:
    """Draw one quantity of a run: the training loss, or a score on the held-out clips."""
    values = [row.get(key, float("nan")) for row in rows.values()]
    panel.plot(list(rows), values, marker=".", color="tab:blue" if key == "loss" else "tab:orange")
    panel.set_title(f"{name}: {key.replace('_', ' ')} {values[-1]:.3g}", fontsize=9)
    panel.set_xlabel("step", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)


def main(folder: Path, path: Path) -> None:
    runs = {log.parent.name: rows for log in sorted(folder.glob("*/log.jsonl")) if (rows := read(log))}
    if not runs:
        raise SystemExit(f"no run has a log under {folder.name}")
    draw(runs, path)
    print(f"{len(runs)} runs drawn: {', '.join(f'{name} ({max(rows)} steps)' for name, rows in runs.items())}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
