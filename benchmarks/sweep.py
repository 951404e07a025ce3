"""Measures what each hand-set constant of the pipeline's locate, measure and extent steps changes, at -25 % and +25 %.

    python -m benchmarks.sweep                                     # all; a broken run goes on where it stopped
    python -m benchmarks.sweep opaque.DENSE_LEVEL track.MAX_MISSES # these
    python -m benchmarks.sweep --cases moving,tiled --results build/try.jsonl

The cases and the rules are described in benchmarks/README.md.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Annotated, Any

import cv2
import typer

from benchmarks import results, sweep_table
from benchmarks.cases import CLEAN, Case, clip_paths, listed, photo_paths, prepare
from benchmarks.constants import Code, Constant, chosen, hand_set, scaled, sources
from benchmarks.machine import DATA, RESULTS, stamp
from benchmarks.recall import Memory, recalled
from benchmarks.rehearsal import Changed, Outcome, Rehearsal
from benchmarks.rows import mean
from benchmarks.vocabulary import evaluation_vocabulary
from service.inference.session import Networks
from training.vocabulary import FONTS

PERCENT = (-25, 25)
HEIGHT = 360
# By name, the first clip or photo from the n-th on in which this kind of mark is found: a mark that is missed cannot show what a constant
# does to it. The clean clip is one that is wrongly touched.
CASES = (
    Case("am_dogbed.mp4", "moving", 75, HEIGHT),  # it jumps after 67
    Case("flutter_butterfly.mp4", "corner", 30, HEIGHT),
    Case("pexels_tea.mp4", "faint", 30, HEIGHT),
    Case("mdn_flower.mp4", "tiled", 12, HEIGHT),  # as large as the picture
    Case("pexels_sea_clouds.mp4", "subtitle", 45, HEIGHT),  # it changes after 30
    Case("sam2_cups.mp4", CLEAN, 30, HEIGHT),
    Case("jay_ruzesky.jpg", "corner", 1, HEIGHT),
    Case("lizard.jpg", "faint", 1, HEIGHT),
    Case("lizard.jpg", "tiled", 1, HEIGHT),
)


@dataclass(frozen=True)
class Setup:
    """The cases that every process prepares."""

    folder: Path
    cases: tuple[Case, ...]
    fonts: Path


@dataclass(frozen=True)
class Bench:
    """The cases, ready to be cleaned again, and the source code."""

    rehearsals: Sequence[Rehearsal]
    known: Code


@dataclass(frozen=True)
class KindChange:
    """Means over the cases of a kind, after less before. `same`: in how many of them nothing changes at all."""

    cases: int
    same: int
    db: float | None
    found: float | None
    touched: float | None


def case_set(folder: Path, parts: Sequence[str] = ()) -> tuple[Case, ...]:
    """The cases of which the folder has the clip or photo. `parts` narrow the choice by a part of "CLIP KIND".

    Raises ValueError when nothing fits.
    """
    names = {path.name for path in (*clip_paths(folder), *photo_paths(folder))}
    found = tuple(case for case in CASES if case.clip in names and (not parts or any(part in str(case) for part in parts)))
    if not found:
        raise ValueError("no case of that name")
    return found


@cache
def prepared(setup: Setup) -> Bench:
    """The cases, cleaned once with the constants as they are; computed once per process, on one core."""
    cv2.setNumThreads(1)
    memory = Memory()
    networks, vocabulary, known = recalled(Networks.load("cpu", threads=1), memory), evaluation_vocabulary(setup.fonts), sources()
    memory.keeping = True
    with TemporaryDirectory() as scratch:
        scenes = ((case, prepare(case, setup.folder, vocabulary, Path(scratch))) for case in setup.cases)
        rehearsals = [Rehearsal(case, scene, networks, memory, known) for case, scene in scenes]
    memory.keeping = False
    return Bench(rehearsals, known)


def swept(setup: Setup, name: str, percent: int) -> dict[str, Any]:
    """The figures of one change, or of the cases as they are without a name."""
    bench = prepared(setup)
    if not name:
        return {"cases": {str(one.case): rounded(asdict(one.outcome)) for one in bench.rehearsals}}
    (constant,) = [constant for constant in hand_set(bench.known) if str(constant) == name]
    return figures(bench, constant, percent)


def figures(bench: Bench, constant: Constant, percent: int) -> dict[str, Any]:
    """The effect of a change on every case, by kind, and the CPU seconds it took."""
    began, module = process_time(), import_module(constant.home.module)
    value = getattr(module, constant.home.name)
    other, note = scaled(constant, value, 1 + percent / 100, vars(module))
    changes: dict[str, list[tuple[Rehearsal, Changed]]] = defaultdict(list)
    errors, steps = {}, set[str]()
    for one in bench.rehearsals:
        try:
            changed = one.with_constant(constant, other)
        except Exception as error:  # a failure is a result too
            errors[str(one.case)] = f"{type(error).__name__}: {error}"
            continue
        steps |= set(changed.steps)
        changes[label(one.case)].append((one, changed))
    return {
        "from": repr(value),
        "to": repr(other),
        "note": note if other != value else "0 stays 0",
        "steps": sorted(steps),
        "kinds": {kind: rounded(asdict(kind_change(pairs))) for kind, pairs in changes.items()},
        "errors": errors,
        "seconds": round(process_time() - began, 2),
    }


def kind_change(pairs: Sequence[tuple[Rehearsal, Changed]]) -> KindChange:
    """The mean changes of the cases of one kind."""

    def change(name: str) -> float | None:
        return mean(_difference(changed.outcome, one.outcome, name) for one, changed in pairs)

    same = sum(changed.same and changed.outcome == one.outcome for one, changed in pairs)
    return KindChange(len(pairs), same, change("db"), change("found"), change("touched"))


def _difference(after: Outcome, before: Outcome, name: str) -> float | None:
    one, other = getattr(after, name), getattr(before, name)
    return None if one is None or other is None else one - other


def label(case: Case) -> str:
    """The kind in the table, photos apart."""
    return f"{case.kind}, photo" if case.is_photo else case.kind


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Figures to six digits after the point: shares of pixels are small."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}


def waiting(names: Sequence[str], setup: Setup, records: Sequence[results.Record], code: str) -> list[dict[str, Any]]:
    """The changes that the results do not have yet with this code and these cases, as `case` of a record; the first is the baseline."""
    cases = [f"{case}, {case.frames} frames" for case in setup.cases]
    tasks = [("", 0), *((name, percent) for name in names for percent in PERCENT)]
    done = [record["case"] for record in records if record["stamp"]["code"] == code]
    wanted = [{"constant": name, "percent": percent, "cases": cases, "height": HEIGHT} for name, percent in tasks]
    return [task for task in wanted if task not in done]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Constants, by the end of their dotted name; all when left out.")] = None,
    folder: Annotated[Path, typer.Option(help="Clips and photos to sweep on.", exists=True)] = DATA,
    cases: Annotated[str, typer.Option(help="Parts of 'CLIP KIND', separated by commas; all when empty.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Processes, each of which prepares all cases first.")] = 2,
    fonts: Annotated[Path, typer.Option(help="Where the fonts of the evaluation are.")] = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "sweep.jsonl",
) -> None:
    """Sweep, then print the table of these constants, and write that of all beside the result file."""
    setup, here = Setup(folder.resolve(), case_set(folder, listed(cases)), fonts), stamp()
    constants = [str(constant) for constant in chosen(hand_set(sources()), names or [])]
    tasks = waiting(constants, setup, results.read(path), here.code)
    print(f"{len(tasks)} of {1 + len(PERCENT) * len(constants)} changes to measure on {len(setup.cases)} cases", flush=True)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = {pool.submit(swept, setup, task["constant"], task["percent"]): task for task in tasks}
        for number, future in enumerate(as_completed(running), start=1):
            task, found = running[future], future.result()
            results.append(path, task, found, here)
            print(f"{number}/{len(tasks)} {sweep_table.line(task, found)}", flush=True)
    path.with_suffix(".md").write_text(table([str(constant) for constant in hand_set(sources())], setup, results.read(path)))
    print("\n" + table(constants, setup, results.read(path)))


def table(names: Sequence[str], setup: Setup, records: Sequence[results.Record]) -> str:
    """The table of the latest records of these constants on these cases, whichever of them were swept in one run."""
    wanted = waiting(names, setup, [], "")
    return sweep_table.markdown([record for record in results.latest(records) if record["case"] in wanted])


if __name__ == "__main__":
    typer.run(main)
