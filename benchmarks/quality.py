"""How clean the plate is: every kind of mark on every clip and photo of a split, file to file, next to the classical fills.

    python -m benchmarks.quality                                        # everything of eval; a broken run goes on where it stopped
    python -m benchmarks.quality --split test                           # once, at the end of an issue; nothing is chosen by it
    python -m benchmarks.quality --given mask,box,loose,keyframed       # what a person points at, with nothing looked for
    python -m benchmarks.quality --clips sam2,mdn_bug --kinds moving,faint --frames 30 --height 360 --results build/try.jsonl

The protocol and the figures are described in benchmarks/README.md.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import results, summary
from benchmarks.cases import Case, find_cases, listed, thinned, too_small
from benchmarks.evaluate import Setup, measure
from benchmarks.given import REGIONS
from benchmarks.machine import CACHE, RESULTS, SHARED, SPLITS
from benchmarks.product import cleaner
from benchmarks.reading import text_recogniser
from benchmarks.transcode import transcode
from benchmarks.vocabulary import evaluation_vocabulary
from training.vocabulary import FONTS


def main(
    folder: Annotated[Path | None, typer.Argument(help="Clips to evaluate on; the split's when left out.", exists=True)] = None,
    split: Annotated[str, typer.Option(help="eval or test: what is written in the results, and the shared data's folder.")] = "eval",
    clips: Annotated[str, typer.Option(help="Parts of file names, of clips and photos, separated by commas; all when empty.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of mark, separated by commas; all when empty.")] = "",
    given: Annotated[
        str, typer.Option(help="Regions that a person gives, separated by commas: mask, box, loose, keyframed; each with +detect.")
    ] = "",
    frames: Annotated[int, typer.Option(min=1)] = 90,
    height: Annotated[str, typer.Option(help="Short side of the pictures, at most; several separated by commas.")] = "360,720,1080",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    every: Annotated[int, typer.Option(min=1, help="Only one in so many cases, spread over clips and kinds.")] = 1,
    fonts: Annotated[Path, typer.Option(help="Where the fonts of the evaluation are.")] = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "quality.jsonl",
    cache: Annotated[Path, typer.Option(help="Where scores of the baselines are kept between runs.")] = CACHE,
    reading: Annotated[bool, typer.Option("--readable/--no-readable", help="Read what is left of the marks' words.")] = True,
    keep: Annotated[Path | None, typer.Option(help="Keep the marked, cleaned and transcoded files here.")] = None,
) -> None:
    """Measure, print the tables of these cases, and write those of the whole result file beside it."""
    place = folder_of(split, folder)
    cases = thinned(chosen(place, split, listed(clips), listed(kinds), frames, heights_of(height), regions_of(given)), every)
    failures = 0
    if cases:
        read = text_recogniser() if reading else None
        failures = measure(cases, Setup(place, evaluation_vocabulary(fonts), cleaner(device), transcode, path, cache, keep, read))
    print("\n" + tables(path, cases))
    if failures:
        raise typer.Exit(1)


def folder_of(split: str, folder: Path | None) -> Path:
    """The folder that is evaluated. Raises typer.BadParameter for an unknown split, or where the folder is that of another one."""
    if split not in SPLITS:
        raise typer.BadParameter(f"a split is one of {', '.join(SPLITS)}")
    place = (folder or SHARED / split).resolve()
    if not place.is_dir():
        raise typer.BadParameter(f"there is no folder {place}")
    if place.name in SPLITS and place.name != split:
        raise typer.BadParameter(f"{place} is not of the split {split}")
    return place


def heights_of(text: str) -> list[int]:
    """The heights of a list with commas. Raises typer.BadParameter for what is not one."""
    names = listed(text)
    if not names or not all(name.isdigit() and int(name) >= 16 for name in names):
        raise typer.BadParameter(f"heights are whole numbers from 16 on, separated by commas: {text!r}")
    return [int(name) for name in names]


def regions_of(text: str) -> list[str]:
    """The regions of a list with commas; [""] for none. Raises typer.BadParameter for an unknown one."""
    names = listed(text)
    if unknown := set(names) - set(REGIONS):
        raise typer.BadParameter(f"unknown region {', '.join(sorted(unknown))}; known are {', '.join(REGIONS)}")
    return names or [""]


def chosen(
    folder: Path, split: str, clips: Sequence[str], kinds: Sequence[str], frames: int, heights: Sequence[int], given: Sequence[str] = ("",)
) -> list[Case]:
    """The cases at each height, without the clips and photos that are too small for it, which are named."""
    cases: list[Case] = []
    for height in heights:
        found = find_cases(folder, clips, kinds, frames, height, split, given)
        small = too_small(found, folder)
        if small:
            print(f"at {height} lines {len(small)} clips and photos take no part, being smaller: {', '.join(small)}")
        cases += [case for case in found if case.clip not in small]
    return cases


def tables(path: Path, cases: Sequence[Case]) -> str:
    """The tables of these cases. Those of the whole result file are written beside it, the other splits and sizes included."""
    wanted = [asdict(case) for case in cases]
    there_are = results.latest(results.read(path))
    path.with_suffix(".md").write_text(summary.markdown(there_are))
    return summary.markdown([record for record in there_are if record["case"] in wanted])


if __name__ == "__main__":
    typer.run(main)
