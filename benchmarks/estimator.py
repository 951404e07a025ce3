"""How exactly marks are measured: opacity, colour and kind against the truth, without the removal. Seconds per case.

    python -m benchmarks.estimator                                  # about one in three cases of eval, at 360 lines
    python -m benchmarks.estimator --every 1 --kinds faint,tiled

Where marks may be is located once per case and kept, with the decoded frames, in `build/benchmarks/estimator`; delete that folder after a
change to `locate`. To compare two commits, give both the same --cache.

Figures of a case, over the pixels of true alpha above 0.05 in a few frames: `opacity` and `colour`, mean absolute errors (the colour's is
weighted by the alpha); `sigma`, root mean square opacity error over the root mean square of the reported sigma, 1 when it is calibrated;
`kind`, share of the pixels of which it is right whether they are opaque; `f1` of the mask; `hole`, PSNR in dB after a restoration that
weighs the un-blended pixel and a fill by their expected errors, a stand-in for the inpainter on a single frame.
"""

import pickle
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from benchmarks.cases import CLEAN, OPAQUE, Case, Scene, find_cases, listed, prepare, thinned
from benchmarks.machine import CACHE, DATA
from benchmarks.vocabulary import evaluation_vocabulary
from models.arrays import Floats, Mask
from models.preprocess import pull_push
from service.inference.session import Networks
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.locate.locate import locate
from service.pipeline.marks.candidate import Candidate
from service.pipeline.measure.measure import MeasuredMark, measure
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.picture.morphology import dilate
from service.pipeline.placement import Box
from service.pipeline.request import Request
from service.pipeline.video import Frame, Limits, VideoInfo
from training.metrics import MARKED, f1
from training.watermarks import placed

FRAMES, HEIGHT = 30, 360
SCORED_FRAMES = 4  # of a case, evenly spaced
AROUND_PIXELS = 2  # around the measured mark, filled with it
PIXEL_NOISE = 0.012  # standard deviation of a decoded pixel, RGB in [0, 1]


@dataclass(frozen=True)
class Truth:
    """What was drawn in one frame. alpha: (H, W), colour and clean: (3, H, W), in [0, 1]."""

    frame: int
    alpha: Floats
    colour: Floats
    clean: Floats


@dataclass(frozen=True)
class Located:
    """A case up to the step that is measured."""

    info: VideoInfo
    frames: list[Frame]
    candidates: list[Candidate]
    truths: list[Truth]


@dataclass(frozen=True)
class Estimate:
    """What was measured over the whole picture in one frame, as in `MarkModel`."""

    mask: Mask
    opacity: Floats
    colour: Floats
    opacity_sigma: Floats


@dataclass(frozen=True)
class Accuracy:
    """The figures of one case; see above. seconds: of measuring."""

    opacity: float
    colour: float
    sigma: float
    kind: float
    f1: float
    hole: float
    seconds: float


def located(case: Case, folder: Path, networks: Networks, cache: Path) -> Located:
    """The case with its candidates, from the cache if it is there."""
    kept = cache / f"{case.clip}_{case.kind}_{case.frames}_{case.height}.pickle"
    if kept.exists():
        found: Located = pickle.loads(kept.read_bytes())
        return found
    with TemporaryDirectory() as scratch:
        scene = prepare(case, folder, evaluation_vocabulary(), Path(scratch))
        info = probe(scene.marked, Limits())
        with decode(scene.marked, info, Limits()) as decoded:
            frames = list(decoded)
        candidates, _ = locate(iter(frames), lambda: nullcontext(frames), info, Request(), networks.segmenter, Limits())
        chosen = np.unique(np.linspace(0, len(frames) - 1, SCORED_FRAMES).round().astype(int))
        found = Located(info, frames, candidates, [_truth(scene, int(i)) for i in chosen])
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(found))
    return found


def _truth(scene: Scene, frame: int) -> Truth:
    alpha, colour = placed(scene.mark.patches[frame], *scene.size, 0, 0)
    clean = np.asarray(scene.clean.pictures[frame], np.float32) / 255
    return Truth(frame, alpha, colour.transpose(2, 0, 1), clean.transpose(2, 0, 1))


def accuracy(case: Located, networks: Networks) -> Accuracy | None:
    """The figures of a case; None where the mark is in none of the scored frames."""
    began = time.process_time()
    marks = measure(iter(case.frames), case.info, case.candidates, networks, len(case.frames)) if case.candidates else []
    seconds = time.process_time() - began
    rows = [row for truth in case.truths if (row := _compare(truth, marks, case)) is not None]
    if not rows:
        return None
    opacity, colour, power, expected, kind, overlap, error = np.mean(rows, axis=0)
    sigma = float(np.sqrt(power / max(expected, 1e-6)))
    return Accuracy(opacity, colour, sigma, kind, overlap, -10 * float(np.log10(max(error, 1e-6))), seconds)


def _compare(truth: Truth, marks: Sequence[MeasuredMark], case: Located) -> tuple[float, ...] | None:
    """Means over the mark's pixels of one frame; None without any."""
    where = truth.alpha > MARKED
    if not where.any():
        return None
    estimate = _estimate(marks, truth)
    picture = crop_rgb(case.frames[truth.frame], Box(0, 0, case.info.width, case.info.height), case.info)
    difference = (estimate.opacity - truth.alpha)[where]
    tint = float((np.abs(estimate.colour - truth.colour).mean(0) * truth.alpha)[where].sum() / truth.alpha[where].sum())
    right = ((estimate.opacity >= OPAQUE) == (truth.alpha >= OPAQUE))[where]
    error = np.square(restored(picture, estimate) - truth.clean).mean(0)[where]
    return (
        float(np.abs(difference).mean()),
        tint,
        float(np.square(difference).mean()),
        float(np.square(estimate.opacity_sigma[where]).mean()),
        float(right.mean()),
        f1(estimate.mask, where),
        float(error.mean()),
    )


def _estimate(marks: Sequence[MeasuredMark], truth: Truth) -> Estimate:
    """All marks that are there in the frame, in one picture."""
    planes = np.zeros((6, *truth.alpha.shape), np.float32)
    for mark in marks:
        candidate, model = mark.candidate, mark.model
        if candidate.first_sample - candidate.slack_frames <= truth.frame <= candidate.last_sample + candidate.slack_frames:
            inside = model.pixels[None]
            values = np.concatenate([model.mask[None], model.opacity[None], model.opacity_sigma[None], model.colour])
            here = planes[(slice(None), *candidate.box.slices)]
            np.copyto(here, values, where=inside)
    return Estimate(planes[0] > 0.5, planes[1], planes[3:], planes[2])


def restored(picture: Floats, estimate: Estimate) -> Floats:
    """The picture (3, H, W) without the mark: each pixel un-blended and filled, weighted by the inverse of the expected errors."""
    hole = dilate(estimate.mask, AROUND_PIXELS)
    fill, wide = (_filled(picture, region) for region in (hole, dilate(hole, AROUND_PIXELS)))
    beside = dilate(hole, AROUND_PIXELS) & ~hole
    fill_power = float(np.square(picture - wide).mean(0)[beside].mean()) if beside.any() else 1.0
    opacity = np.minimum(estimate.opacity, np.float32(0.99)) * estimate.mask
    unblended = np.clip((picture - opacity * estimate.colour) / (1 - opacity), 0, 1)
    effect = np.square(estimate.colour - fill).mean(0)
    power = (np.square(estimate.opacity_sigma) * effect + PIXEL_NOISE**2) / np.square(1 - opacity)
    weight = np.where(estimate.opacity < OPAQUE, (fill_power + PIXEL_NOISE**2) / (fill_power + PIXEL_NOISE**2 + power), 0)
    blended = weight * unblended + (1 - weight) * fill
    result: Floats = np.where(hole, blended, picture).astype(np.float32)
    return result


def _filled(picture: Floats, hole: Mask) -> Floats:
    return pull_push(np.ascontiguousarray(picture.transpose(1, 2, 0)), (~hole).astype(np.float32)).transpose(2, 0, 1)


def table(rows: dict[str, list[Accuracy]]) -> str:
    """A Markdown table: means for each kind, its cases' number in brackets."""
    names = [field.name for field in fields(Accuracy)]
    lines = ["| kind | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for kind, of in rows.items():
        means = np.mean([astuple(one) for one in of], axis=0)
        lines.append(f"| {kind} ({len(of)}) | " + " | ".join(f"{value:.3f}" for value in means) + " |")
    return "\n".join(lines)


def main(
    folder: Annotated[Path, typer.Argument(exists=True)] = DATA,
    kinds: Annotated[str, typer.Option(help="Kinds of mark, separated by commas; all when empty.")] = "",
    clips: Annotated[str, typer.Option(help="Parts of file names, separated by commas; all when empty.")] = "",
    every: Annotated[int, typer.Option(min=1, help="Only one in so many cases, spread over clips and kinds.")] = 3,
    cache: Annotated[Path, typer.Option(help="Where located cases are kept.")] = CACHE / "estimator",
) -> None:
    """Measure the chosen cases and print their figures, then the means."""
    networks = Networks.load("cpu", threads=1)
    cases = [case for case in find_cases(folder, listed(clips), listed(kinds), FRAMES, HEIGHT) if case.kind != CLEAN]
    rows: dict[str, list[Accuracy]] = defaultdict(list)
    for case in thinned(cases, every):
        found = accuracy(located(case, folder, networks, cache), networks)
        if found is not None:
            rows[f"{case.kind}, photos" if case.is_photo else case.kind].append(found)
            print(f"{case}: " + ", ".join(f"{f.name} {getattr(found, f.name):.3f}" for f in fields(found)), flush=True)
    rows["all"] = [one for of in rows.values() for one in of]
    print("\n" + table(rows))


if __name__ == "__main__":
    typer.run(main)
