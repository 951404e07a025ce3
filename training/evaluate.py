"""Scores the three networks on fixed samples of the held-out clips, for each kind of mark.

python -m training.evaluate                                  # the shipped networks
python -m training.evaluate --weights FOLDER                 # with NAME.pt, or a folder of runs: NAME/best.pt, else NAME/last.pt
python -m training.evaluate training/configs/segmenter.toml  # the runs of this configuration's folder, on its data
python -m training.evaluate --store FOLDER                   # one network, on all samples of a store, such as recorded ones

Writes a Markdown table and a JSON file. Of the matte network, also says whether its opacity sigma is calibrated.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.registry import MANIFEST
from training import networks, reliability, watermarks
from training.config import TrainConfig, from_command_line
from training.fit import open_sources
from training.samples import Source
from training.stored import StoredSamples, StoreMismatch, read_index
from training.task import Task
from training.validation import Validation
from training.watermarks import Mark

Scores = dict[str, float]

SHIPPED = MANIFEST.parent / "weights"
KINDS = ("moving", "moving_name", "corner", "faint", "tiled", "subtitle", "subtitle_chinese", "badge")
SAMPLES = 24  # for each kind and network


@dataclass(frozen=True)
class Column:
    """The column of a score: its title and number format."""

    title: str
    form: str


COLUMNS = {
    "f1": Column("F1", "{:.3f}"),
    "wrong": Column("wrongly marked", "{:.4%}"),
    "opacity_error": Column("opacity error", "{:.4f}"),
    "shape_error": Column("shape error", "{:.4f}"),
    "colour_error": Column("colour error", "{:.4f}"),
    "belongs_f1": Column("belongs F1", "{:.3f}"),
    "hides_f1": Column("hides F1", "{:.3f}"),
    "psnr": Column("hole PSNR, dB", "{:.2f}"),
    "over_fill": Column("over the fill, dB", "{:+.2f}"),
    "over_best": Column("over the better candidate, dB", "{:+.2f}"),
}
UNMARKED = "wrong"  # the score of windows without a mark, which are the same for every kind


@dataclass(frozen=True)
class OneKind(Source):
    """A source whose marks are all of one kind."""

    kind: str = field(kw_only=True)

    def mark(self, rng: watermarks.Rng, kinds: Mapping[str, float], width: int, height: int, frames: int) -> Mark:
        return super().mark(rng, {self.kind: 1.0}, width, height, frames)


def score_all(tasks: Mapping[str, Task], source: Source, samples: int) -> Scores:
    """All scores of the networks on `samples` samples of the source."""
    return {key: value for task in tasks.values() for key, value in Validation(task, source, samples).scores(task.network).items()}


def by_kind(tasks: Mapping[str, Task], source: Source, kinds: tuple[str, ...], samples: int) -> dict[str, Scores]:
    """Scores for each kind of mark, and a row for windows without a mark."""
    rows = {}
    for kind in kinds:
        rows[kind] = score_all(tasks, OneKind(source.clips, source.vocabulary, source.seed, kind=kind), samples)
        print(f"{kind}: " + ", ".join(f"{key} {value:.4g}" for key, value in rows[kind].items()), flush=True)
    unmarked = [scores.pop(UNMARKED) for scores in rows.values() if UNMARKED in scores]
    return {**rows, "no mark": {UNMARKED: unmarked[0]}} if unmarked else rows


def table(rows: Mapping[str, Scores], corner: str = "mark") -> str:
    """A Markdown table with a row for each name and a column for each score that occurs."""
    keys = [key for key in COLUMNS if any(key in scores for scores in rows.values())]
    head = [corner, *(COLUMNS[key].title for key in keys)]
    body = [[name, *(COLUMNS[key].form.format(scores[key]) if key in scores else "-" for key in keys)] for name, scores in rows.items()]
    lines = [head, ["---", *("---:" for _ in keys)], *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def on_store(tasks: Mapping[str, Task], folder: Path) -> Scores:
    """The scores of the store's network on each of its samples. Raises StoreMismatch if there is no such store."""
    name = read_index(folder).network
    stored = StoredSamples(folder, name, seed=1)
    return Validation(replace(tasks[name], sample=stored), None, len(stored)).scores(tasks[name].network)


def sigma_table(task: Task, source: Source, samples: int) -> str:
    """The reliability table of the matte network's opacity sigma, over samples of all kinds of marks."""
    return reliability.table(reliability.reliability(task.network, Validation(task, source, samples).batches))


def write(rows: Mapping[str, Scores], path: Path, corner: str = "mark") -> None:
    """Write `path` with the suffixes .md and .json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(table(rows, corner))
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


def tasks_in(folder: Path) -> dict[str, Task]:
    """The networks that have a checkpoint in the folder. Exits if there is none; raises CheckpointMismatch if one does not fit."""
    found = {name: path for name in networks.NAMES if (path := networks.checkpoint_in(folder, name))}
    if not found:
        raise SystemExit(f"no checkpoint of any network in {folder}")
    return {name: networks.restored(name, path) for name, path in found.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Scores the three networks for each kind of mark.")
    parser.add_argument("config", nargs="?", help="configuration of a run, for its data and its folder of runs")
    parser.add_argument("--weights", type=Path, help="a folder of checkpoints; the shipped ones without this and without a configuration")
    parser.add_argument("--data", type=Path, help="a folder with clips/ and photos/")
    parser.add_argument("--kinds", type=lambda text: tuple(text.split(",")), default=KINDS)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--store", type=Path, help="a folder of samples that training.store drew, with --held-out")
    parser.add_argument("--out", type=Path, default=Path("build/evaluation"), help="output path without suffix")
    given = parser.parse_args(arguments)
    if unknown := set(given.kinds) - set(watermarks.KINDS):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}")
    overrides = ["--data", str(given.data)] if given.data else []
    config = from_command_line([given.config, *overrides]) if given.config else TrainConfig("", data=given.data or TrainConfig("").data)
    try:
        tasks = tasks_in(given.weights or (config.runs if given.config else SHIPPED))
        if given.store:
            rows = {given.store.name: on_store(tasks, given.store)}
            write(rows, given.out, "store")
            print(table(rows, "store"))
            return
    except (networks.CheckpointMismatch, StoreMismatch) as error:
        raise SystemExit(str(error)) from error
    source = open_sources(config).validation
    rows = by_kind(tasks, source, given.kinds, given.samples)
    write(rows, given.out)
    print(f"\n{table(rows)}\nin {given.out.with_suffix('.md')} and {given.out.with_suffix('.json')}")
    if "matte" in tasks:
        print(f"\n{sigma_table(tasks['matte'], source, given.samples * len(given.kinds))}")


if __name__ == "__main__":
    main()
