"""How clean the plate is: every kind of mark on every clip and photo of the evaluation, file to file, next to the classical fills.

    python -m benchmarks.quality                                        # everything; a broken run goes on where it stopped
    python -m benchmarks.quality --clips sam2,mdn_bug --kinds moving,faint --frames 30 --height 360 --results build/try.jsonl

The protocol and the figures are described in benchmarks/README.md.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import results, summary
from benchmarks.cases import find_cases, listed, thinned
from benchmarks.evaluate import Setup, measure
from benchmarks.machine import CACHE, DATA, RESULTS
from benchmarks.product import cleaner
from benchmarks.transcode import transcode
from benchmarks.vocabulary import evaluation_vocabulary
from training.vocabulary import FONTS


def main(
    folder: Annotated[Path, typer.Argument(help="Clips to evaluate on.", exists=True)] = DATA,
    clips: Annotated[str, typer.Option(help="Parts of file names, of clips and photos, separated by commas; all when empty.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of mark, separated by commas; all when empty.")] = "",
    frames: Annotated[int, typer.Option(min=1)] = 90,
    height: Annotated[int, typer.Option(min=16, help="Short side of the pictures, at most.")] = 720,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    every: Annotated[int, typer.Option(min=1, help="Only one in so many cases, spread over clips and kinds.")] = 1,
    fonts: Annotated[Path, typer.Option(help="Where the fonts of the evaluation are.")] = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "quality.jsonl",
    cache: Annotated[Path, typer.Option(help="Where scores of the baselines are kept between runs.")] = CACHE,
    keep: Annotated[Path | None, typer.Option(help="Keep the marked, cleaned and transcoded files here.")] = None,
) -> None:
    """Measure, then print the table and write it beside the result file."""
    cases = thinned(find_cases(folder, listed(clips), listed(kinds), frames, height), every)
    failures = measure(cases, Setup(folder, evaluation_vocabulary(fonts), cleaner(device), transcode, path, cache, keep))
    chosen = [asdict(case) for case in cases]
    table = summary.markdown([record for record in results.latest(results.read(path)) if record["case"] in chosen])
    path.with_suffix(".md").write_text(table)
    print("\n" + table)
    if failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
