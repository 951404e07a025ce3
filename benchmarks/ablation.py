"""Ablation study of the removal: the same cases, with one part of the inpainter's input removed.

    python -m benchmarks.ablation --clips sam2,mdn_bug --kinds moving,faint --frames 30 --height 360 --results build/ablation.jsonl

The service is unchanged; only the windows passed to the network differ. Photos have no references and are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, cast

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.cases import MARKED_KINDS, Case, find_cases, listed, thinned
from benchmarks.evaluate import Setup, measure
from benchmarks.machine import CACHE, DATA, RESULTS
from benchmarks.product import cleaner_with
from benchmarks.results import Record
from benchmarks.rows import mean
from benchmarks.summary import measured_on, number, table
from benchmarks.transcode import transcode
from benchmarks.vocabulary import evaluation_vocabulary
from models.spec import INPAINTER
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, Session
from service.inference.session import Networks
from training.vocabulary import FONTS

# inputs of the inpainter whose first axis is frames, the target first
FRAME_INPUTS = tuple(tensor.name for tensor in INPAINTER.inputs if len(tensor.shape) > 1 and tensor.shape[1] == "frames")

Change = Callable[[Arrays], Arrays]


def unchanged(window: Arrays) -> Arrays:
    """The window itself."""
    return window


def without_time(window: Arrays) -> Arrays:
    """Replace every reference by the target."""
    return _references(window, lambda array: np.repeat(array[:1], len(array) - 1, axis=0))


def without_unblending(window: Arrays) -> Arrays:
    """Make every mark opaque, so that nothing can be un-blended."""
    return window | {"opacity": (window["mask"] > 0).astype(np.float32)}


def without_jumps(window: Arrays) -> Arrays:
    """Replace references from other intervals, where other pixels are hidden, by the target; keep those with the same trust."""
    if "chroma" not in window:  # a frame to encode
        return window
    target, *references = window["chroma"][:, 2]
    same = np.array([np.array_equal(trust, target) for trust in references], bool)
    return _references(window, lambda array: np.where(same.reshape(-1, *[1] * (array.ndim - 1)), array[1:], array[:1]))


def with_misleading_references(window: Arrays) -> Arrays:
    """Rotate every reference and its trust by 180 degrees, so that they show plausible but wrong content."""
    return _references(window, lambda array: array[1:, ..., ::-1, ::-1] if array.ndim == 4 else array[1:])


def _references(window: Arrays, changed: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Arrays:
    """The window with changed references: `changed` maps an input (1 + R, ...) to its new references (R, ...)."""
    return window | {name: np.concatenate([window[name][:1], changed(window[name])]) for name in FRAME_INPUTS if name in window}


WHOLE = "whole"
CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        WHOLE: unchanged,
        "no time": without_time,
        "no un-blending": without_unblending,
        "no jumps": without_jumps,
        "misleading references": with_misleading_references,
    }
)


class ChangedSession(Session):
    """A network whose windows are changed first."""

    def __init__(self, network: Batcher, change: Change) -> None:
        self._network = network
        self._change = change

    def run(self, inputs: Arrays) -> Arrays:
        count = len(next(iter(inputs.values())))
        windows = [self._change({name: array[i] for name, array in inputs.items()}) for i in range(count)]
        answers = self._network.run(windows)
        return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}


def with_change(networks: Networks, change: Change) -> Networks:
    """The networks, with an inpainter whose windows, and the frames that are encoded for them, are changed."""
    encoder, inpainter = (Batcher(ChangedSession(one, change), BATCH_SIZES) for one in (networks.inpainter_encoder, networks.inpainter))
    return replace(networks, inpainter_encoder=encoder, inpainter=inpainter)


@dataclass(frozen=True)
class Trial(Case):
    """A case and the name of the change."""

    change: str = WHOLE

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.change}"


def trials(cases: Sequence[Case], changes: Sequence[str]) -> dict[str, list[Trial]]:
    """The marked clips among the cases, by change. Raises ValueError for an unknown change."""
    if unknown := set(changes) - set(CHANGES):
        raise ValueError(f"unknown change {', '.join(sorted(unknown))}; known are {', '.join(CHANGES)}")
    marked_clips = [case for case in cases if case.kind in MARKED_KINDS and not case.is_photo]
    return {change: [Trial(**asdict(case), change=change) for case in marked_clips] for change in changes or CHANGES}


def markdown(records: Sequence[Record]) -> str:
    """A table of the mean gain over the best baseline by kind, and of its difference with each change, on clips that have both."""
    gains = {(r["case"]["kind"], r["case"]["change"], r["case"]["clip"]): r["figures"]["gain"] for r in records}
    lines = table(("kind (clips)", "gain", *list(CHANGES)[1:]), (_cells(kind, gains) for kind in MARKED_KINDS if _clips(kind, gains)))
    return "\n".join(["Gain in dB over the best baseline, and how it moves with:", "", *lines, "", *measured_on(records)]) + "\n"


Gains = Mapping[tuple[str, str, str], float | None]


def _clips(kind: str, gains: Gains) -> list[str]:
    return [clip for clip_kind, change, clip in gains if (clip_kind, change) == (kind, WHOLE)]


def _cells(kind: str, gains: Gains) -> list[str]:
    clips = _clips(kind, gains)
    moves = [mean(_change_in_gain(gains, kind, change, clip) for clip in clips) for change in list(CHANGES)[1:]]
    whole = mean(gains[kind, WHOLE, clip] for clip in clips)
    return [f"{kind} ({len(clips)})", number(whole, 1, "+"), *(number(move, 2, "+") for move in moves)]


def _change_in_gain(gains: Gains, kind: str, change: str, clip: str) -> float | None:
    changed, whole = gains.get((kind, change, clip)), gains[kind, WHOLE, clip]
    return None if changed is None or whole is None else changed - whole


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of evaluation clips.", exists=True)] = DATA,
    clips: Annotated[str, typer.Option(help="Parts of file names, separated by commas; all when empty.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of mark, separated by commas; all when empty.")] = "",
    changes: Annotated[str, typer.Option(help=f"Among {', '.join(CHANGES)}; all when empty.")] = "",
    frames: Annotated[int, typer.Option(min=1)] = 90,
    height: Annotated[int, typer.Option(min=16, help="Maximum short side in pixels.")] = 720,
    every: Annotated[int, typer.Option(min=1, help="Use every n-th case, spread over clips and kinds.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    fonts: Annotated[Path, typer.Option(help="Folder of the evaluation fonts.")] = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "ablation.jsonl",
) -> None:
    """Measure, print the table and write it next to the result file."""
    networks = Networks.load(cast(Literal["auto", "cpu", "cuda"], device))
    chosen = trials(thinned(find_cases(folder, listed(clips), listed(kinds), frames, height), every), listed(changes))
    setup = Setup(folder, evaluation_vocabulary(fonts), cleaner_with(networks), transcode, path, CACHE)
    failures = sum(
        measure(some, replace(setup, clean=cleaner_with(with_change(networks, CHANGES[change])))) for change, some in chosen.items()
    )
    wanted = [asdict(trial) for some in chosen.values() for trial in some]
    text = markdown([record for record in results.latest(results.read(path)) if record["case"] in wanted])
    path.with_suffix(".md").write_text(text)
    print("\n" + text)
    if failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
