"""Scores the segmenter alone on whole frames, sampled as in the service; fast enough to guide training.

    python -m benchmarks.detection ../shared/data/train --held-out --kinds faint,clean --weights build/runs/segmenter

Words and fonts are those of training, unless `--evaluation` is given: what guides training cannot test it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import nn

from benchmarks import results
from benchmarks.cases import KINDS, Case, Scene, find_cases, listed, prepare, thinned
from benchmarks.machine import DATA, stamp
from benchmarks.rows import mean
from benchmarks.scores import FOUND_F1
from benchmarks.summary import table
from benchmarks.vocabulary import evaluation_vocabulary
from models import spec
from models.export import build
from models.registry import MANIFEST
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.onnx_runtime import OnnxSession
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.locate.segment import segment
from service.pipeline.request import Request
from service.pipeline.video import Limits
from training.fit import HELD_OUT
from training.metrics import MARKED, Mean, dilated, f1
from training.vocabulary import training_vocabulary

Floats = NDArray[np.float32]

MIN_PROBABILITY = 0.5  # a pixel with a higher probability counts as detected
FILES = ("segmenter.onnx", "segmenter.pt", "best.pt", "last.pt")  # in a folder of weights or of a run
EDGE_PIXELS = 2  # around a mark, at analysis size, that count neither as mark nor as clean


@dataclass(frozen=True)
class Detection:
    """The metrics of one case, at analysis size; None without marked or without unmarked pixels.

    f1_mean and found_share (F1 of at least 0.7): over the sampled frames with a mark. inside: mean probability of the marked pixels.
    wrong_share: share of the unmarked pixels that are detected as mark.
    """

    frames: int
    f1_mean: float | None
    found_share: float | None
    inside: float | None
    wrong_share: float | None


class TorchSession(Session):
    """A torch network, for checkpoints that are not exported."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @torch.no_grad()
    def run(self, inputs: Arrays) -> Arrays:
        return {"probability": self._network(torch.from_numpy(inputs["frames"])).numpy()}


def segmenter_in(place: Path, threads: int = 1) -> Batcher:
    """The segmenter of an ONNX file, a checkpoint (its averaged weights), or the first of FILES in a folder."""
    path = next((place / name for name in FILES if (place / name).exists()), place)
    if path.suffix == ".onnx":
        return Batcher(OnnxSession(path, spec.SEGMENTER, "cpu", threads))
    torch.set_num_threads(threads)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return Batcher(TorchSession(build(spec.SEGMENTER, state["network_config"], state["average"])))


def detect(scene: Scene, segmenter: Batcher) -> Detection:
    """Run the segmenter on the scene's marked file and score it."""
    info = probe(scene.marked, Limits())
    with decode(scene.marked, info, Limits()) as frames:
        probabilities = {d.frame_index: d.probability for d in segment(frames, info, segmenter, Request().classes)}
    pairs = ((probabilities[index], alpha) for index, alpha in enumerate(scene.alphas()) if index in probabilities)
    return compared(pairs)


def compared(frames: Iterable[tuple[Floats, Floats]]) -> Detection:
    """The metrics of frames, each a probability (h, w) at analysis size and a true alpha (H, W) at native size."""
    qualities: list[float] = []
    inside, wrong = Mean(), Mean()
    count = 0
    for probability, native in frames:
        count += 1
        alpha = cv2.resize(native, probability.shape[::-1], interpolation=cv2.INTER_AREA)
        marked, clean = alpha > MARKED, ~dilated(alpha > 0, EDGE_PIXELS)
        wrong += Mean(float((probability[clean] > MIN_PROBABILITY).sum()), int(clean.sum()))
        if marked.any():
            qualities.append(f1(probability > MIN_PROBABILITY, marked))
            inside += Mean(float(probability[marked].sum()), int(marked.sum()))
    return Detection(count, mean(qualities), mean(float(q >= FOUND_F1) for q in qualities), inside.value, wrong.value)


def markdown(found: Mapping[Case, Detection]) -> str:
    """A table of means over the cases of each kind, clips before photos."""
    groups = [(kind, photos) for photos in (False, True) for kind in KINDS]
    chosen = {group: [d for case, d in found.items() if (case.kind, case.is_photo) == group] for group in groups}
    head = ("kind (cases)", "F1", "found", "inside", "wrong pixels")
    return "\n".join(table(head, (_cells(kind, photos, some) for (kind, photos), some in chosen.items() if some)))


def _cells(kind: str, photos: bool, some: Sequence[Detection]) -> list[str]:
    means = {name: mean(getattr(d, name) for d in some) for name in ("f1_mean", "found_share", "inside", "wrong_share")}
    forms = {"f1_mean": ".3f", "found_share": ".0%", "inside": ".3f", "wrong_share": ".4%"}
    cells = ["-" if value is None else format(value, forms[name]) for name, value in means.items()]
    return [f"{kind}{', photos' if photos else ''} ({len(some)})", *cells]


def main(
    folder: Annotated[Path, typer.Argument(help="Folder with clips and photos.", exists=True)] = DATA,
    clips: Annotated[str, typer.Option(help="Parts of file names, separated by commas; all when empty.")] = "",
    held_out: Annotated[bool, typer.Option("--held-out", help="Only training's held-out clips.")] = False,
    kinds: Annotated[str, typer.Option(help="Kinds of mark, separated by commas; all when empty.")] = "",
    weights: Annotated[Path, typer.Option(help="A segmenter's file, or a folder of weights or of a run.", exists=True)] = MANIFEST.parent
    / "weights",
    frames: Annotated[int, typer.Option(min=1)] = 48,
    height: Annotated[int, typer.Option(min=16, help="Maximum short side in pixels.")] = 720,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th case, spread over clips and kinds.")] = 1,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    evaluation: Annotated[bool, typer.Option("--evaluation", help="Use the evaluation's words and fonts.")] = False,
    path: Annotated[Path | None, typer.Option("--results", help="Result file to append to.")] = None,
) -> None:
    """Score each case, and print the results and the table."""
    cases = thinned(find_cases(folder, listed(clips), listed(kinds), frames, height), every)
    vocabulary = evaluation_vocabulary() if evaluation else training_vocabulary()
    segmenter, stamped, found = segmenter_in(weights, threads), stamp(), dict[Case, Detection]()
    for case in (case for case in cases if not held_out or Path(case.clip).stem in HELD_OUT):
        with TemporaryDirectory() as scratch:
            found[case] = detect(prepare(case, folder, vocabulary, Path(scratch)), segmenter)
        print(f"{case}: {_metrics(found[case])}", flush=True)
        if path is not None:
            results.append(path, asdict(case), asdict(found[case]), stamped)
    print("\n" + markdown(found))


def _metrics(detection: Detection) -> str:
    values: dict[str, Any] = asdict(detection)
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)


if __name__ == "__main__":
    typer.run(main)
