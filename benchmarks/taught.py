"""What ten minutes of fine-tuning bring for a mark that no network has seen: a spiral of thin strokes, before and after, file to file.

    python -m benchmarks.taught                 # teaches for ten minutes, then cleans eight cases twice
    python -m benchmarks.taught --taught DIR    # with what `training.finetune --out DIR` wrote

The spiral is 85 % opaque and 55 pixels wide in 360 lines, on four clips of eval, at one place and jumping between three. It is taught
with eight clips of the training material and the defaults of `training.finetune`. Prints PSNR in dB inside the mark, and that of the best
classical fill with the true mask, and writes the same to results/taught.jsonl.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks import results
from benchmarks.cases import Scene, clip_paths
from benchmarks.evaluate import Clean, Figures, evaluate
from benchmarks.machine import CACHE, DATA, RESULTS, SHARED, stamp
from benchmarks.media import read_clip, write_video
from benchmarks.product import cleaner, cleaner_with
from benchmarks.transcode import transcode
from service.inference.session import Networks
from training.finetune import Options, finetune
from training.patches import Mark, Patch, apply
from training.vocabulary import training_vocabulary

CLIPS = ("tam_cat", "pexels_tea", "mdn_flower", "mdn_bug")
FRAMES, LINES = 90, 360
SIZE_PIXELS, TURNS, OPACITY = 55, 3.0, 0.85
FINE = 8  # times as large the spiral is drawn, before it is shrunk
PLACES = ((0.12, 0.18), (0.75, 0.3), (0.4, 0.72))  # (left, top) of the mark, as shares of the room for it
KINDS = {"moving": PLACES, "static": PLACES[1:2]}
TAUGHT_WITH = 8  # clips of the training material


@dataclass(frozen=True)
class Taught:
    """One case before and after teaching, in dB inside the mark, and the best classical fill there."""

    clip: str
    kind: str
    marked: float | None
    before: float | None
    after: float | None
    classical: float | None
    found_before: float | None
    found_after: float | None


def spiral(size_pixels: int) -> NDArray[np.float32]:
    """Coverage (size, size) in [0, 1] of a spiral of thin strokes, TURNS times round from its middle to its edge."""
    side, angle = FINE * size_pixels, np.linspace(0, 2 * np.pi * TURNS, 400)
    radius = np.linspace(0.03, 0.46, len(angle)) * side
    points = np.stack([side / 2 + radius * np.cos(angle), side / 2 + radius * np.sin(angle)], 1)
    fine = np.zeros((side, side), np.uint8)
    cv2.polylines(fine, [np.rint(points).astype(np.int32)], isClosed=False, color=255, thickness=round(0.05 * side))
    return np.asarray(cv2.resize(fine, (size_pixels, size_pixels), interpolation=cv2.INTER_AREA), np.float32) / 255


def spiral_picture(size_pixels: int) -> Image.Image:
    """The spiral as a person has it: white, with an alpha channel."""
    alpha = np.rint(255 * OPACITY * spiral(size_pixels)).astype(np.uint8)
    return Image.fromarray(np.dstack([np.full((size_pixels, size_pixels, 3), 255, np.uint8), alpha]))


def marked_scene(path: Path, kind: str, scratch: Path) -> Scene:
    """The spiral on a clip, encoded into `scratch`: at the places of the kind, one after the other."""
    clean = read_clip(path, FRAMES, LINES)
    coverage = OPACITY * spiral(SIZE_PIXELS)
    room = clean.width - SIZE_PIXELS, clean.height - SIZE_PIXELS
    places = [(round(left * room[0]), round(top * room[1])) for left, top in KINDS[kind]]
    drawn = [Patch(left, top, coverage, np.ones((*coverage.shape, 3), np.float32)) for left, top in places]
    patches = tuple(drawn[index * len(drawn) // len(clean.pictures)] for index in range(len(clean.pictures)))
    marked = scratch / f"{path.stem}_{kind}_spiral.mp4"
    pictures = (apply(picture, patch) for picture, patch in zip(clean.pictures, patches, strict=True))
    write_video(marked, pictures, (clean.width, clean.height), clean.timing, audio_of=path)
    return Scene(clean, Mark(kind, patches), marked)


def teach(folder: Path, out: Path, minutes: float, scratch: Path) -> None:
    """Fine-tune on the spiral with some clips of a folder, evenly spaced by name, and write the networks into `out`."""
    paths = clip_paths(folder)
    some = scratch / "clips"
    some.mkdir()
    for index in np.unique(np.linspace(0, len(paths) - 1, TAUGHT_WITH).astype(int)):
        (some / paths[index].name).symlink_to(paths[index].resolve())
    spiral_picture(4 * SIZE_PIXELS).save(scratch / "spiral.png")
    finetune(Options(scratch / "spiral.png", some, out, cache=scratch / "decoded", minutes=minutes), training_vocabulary())


def compared(path: Path, kind: str, before: Clean, after: Clean, cache: Path) -> Taught:
    """A case cleaned by both, file to file."""
    with TemporaryDirectory() as scratch:
        scene = marked_scene(path, kind, Path(scratch))
        old, new = (evaluate(scene, clean, transcode, Path(scratch), cache) for clean in (before, after))
    marked = old.references["marked"].hole
    return Taught(path.name, kind, marked, _hole(old), _hole(new), old.best_baseline, old.found.f1_share, new.found.f1_share)


def _hole(figures: Figures) -> float | None:
    return figures.ours.hole if figures.ours else None


def table(rows: Sequence[Taught]) -> str:
    """A Markdown table, with the means in its last line."""
    lines = ["| clip | | marked | before | after | best classical | found before | after |", "| --- | --- |" + " ---: |" * 6]
    numbers = [[np.nan if value is None else value for value in list(asdict(row).values())[2:]] for row in rows]
    names = [(row.clip, row.kind) for row in rows] + [("mean", "")]
    for (clip, kind), values in zip(names, [*numbers, list(np.nanmean(numbers, 0))], strict=True):
        cells = [f"{value:.1f}" for value in values[:4]] + [f"{value:.0%}" for value in values[4:]]
        lines.append(f"| {clip} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(
    folder: Annotated[Path, typer.Argument(help="The clips that are cleaned.", exists=True)] = DATA,
    training: Annotated[Path, typer.Option(help="The clips to teach with.", exists=True)] = SHARED / "train",
    taught: Annotated[Path | None, typer.Option(help="Networks that were taught before.", exists=True)] = None,
    minutes: Annotated[float, typer.Option(min=0.1)] = 10,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "taught.jsonl",
    cache: Annotated[Path, typer.Option(help="Where scores of the baselines are kept between runs.")] = CACHE,
) -> None:
    """Teach, then measure, print the table, and append its rows to the results."""
    here, clips = stamp(), [clip for clip in clip_paths(folder) if clip.stem in CLIPS]
    if not clips:
        raise typer.BadParameter(f"{folder} has none of the clips {', '.join(CLIPS)}")
    with TemporaryDirectory() as scratch:
        networks = taught or Path(scratch) / "taught"
        if taught is None:
            teach(training, networks, minutes, Path(scratch))
        before, after = cleaner("cpu"), cleaner_with(Networks.load("cpu", weights=networks))
    rows = []
    for clip in clips:
        for kind in KINDS:
            rows.append(compared(clip, kind, before, after, cache))
            case = {
                "clip": rows[-1].clip,
                "kind": f"spiral, {kind}",
                "frames": FRAMES,
                "height": LINES,
                "minutes": None if taught else minutes,
            }
            figures = {name: round(value, 4) for name, value in asdict(rows[-1]).items() if isinstance(value, float)}
            results.append(path, case, dict[str, object](figures), here)
            print(rows[-1], flush=True)
    print("\n" + table(rows))


if __name__ == "__main__":
    typer.run(main)
