"""Measures the speed of each network alone, on each device and in each precision, with the shapes of a 720p video with one mark.

    python -m benchmarks.networks                              # every network; CPU, and CUDA if available
    python -m benchmarks.networks --networks inpainter --rounds 50

A round is one request of the pipeline: a window for each worker on a CPU, a full batch on CUDA. Precisions alternate, so that all run under
the same load. The first round, in which kernels are chosen and memory is allocated, is reported separately.
"""

import os
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks import results
from benchmarks.machine import RESULTS, stamp
from benchmarks.speed import devices
from models.preprocess import SEGMENTER_FRAMES
from models.registry import Precision
from models.spec import NETWORKS, NetworkSpec
from service.inference import folder, trial
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher
from service.inference.device import CHEAPEST, ChosenDevice, choose_device
from service.inference.session import SIDE_BY_SIDE, find, load_batcher
from service.pipeline.locate.segment import SAMPLES_PER_SECOND

VIDEO_FPS: Final = 30
# Video frames that a window processes: the segmenter samples every fifth, the inpainter encodes and restores one. A matte is made once per
# interval.
FRAMES_OF_A_WINDOW: Final = {
    "segmenter": SEGMENTER_FRAMES * VIDEO_FPS // SAMPLES_PER_SECOND,
    "inpainter_encoder": 1,
    "inpainter": 1,
}


@dataclass(frozen=True)
class NetworkCase:
    """The case of a result line. `windows`: per round."""

    network: str
    device: str
    precision: str
    windows: int
    height: int
    width: int


@dataclass(frozen=True)
class Pace:
    """Seconds per round, and the resulting rates. `frames_per_second`: of a 30 fps video; None if windows are not tied to frames."""

    rounds: int
    first_seconds: float
    median_seconds: float
    p95_seconds: float
    windows_per_second: float
    frames_per_second: float | None


def precisions(network: NetworkSpec, device: ChosenDevice) -> tuple[Precision, ...]:
    """Float32, and the cheapest precision of the device if the network has it."""
    weights = find(network, folder.in_use(None), "auto", device)
    return ("fp32",) if weights.precision == "fp32" else ("fp32", CHEAPEST[device])


def windows_of_a_round(network: NetworkSpec, device: ChosenDevice) -> int:
    """The number of windows that the device processes at a time."""
    if device == "cuda":
        return max(BATCH_SIZES)
    return os.cpu_count() or 1 if network in SIDE_BY_SIDE else 1


def measure(network: NetworkSpec, device: ChosenDevice, wanted: Sequence[Precision], rounds: int) -> dict[Precision, Pace]:
    """The pace in each precision, measured in alternating rounds."""
    windows = windows_of_a_round(network, device)
    window = {name: array[0] for name, array in trial.inputs(network, trial.common_sizes(network)).items()}
    taken: dict[Precision, list[float]] = {precision: [] for precision in wanted}
    with ExitStack() as stack:
        batchers = {precision: stack.enter_context(_loaded(network, device, precision)) for precision in wanted}
        for _ in range(rounds + 1):
            for precision, batcher in batchers.items():
                taken[precision].append(_seconds(batcher, [window] * windows))
    return {precision: pace(network, windows, seconds) for precision, seconds in taken.items()}


def _loaded(network: NetworkSpec, device: ChosenDevice, precision: Precision) -> closing[Batcher]:
    """The network as a worker loads it."""
    return closing(load_batcher(network, find(network, folder.in_use(None), precision, choose_device(device)), device))


def _seconds(batcher: Batcher, windows: Sequence[Arrays]) -> float:
    started = time.perf_counter()
    batcher.run(windows)
    return time.perf_counter() - started


def pace(network: NetworkSpec, windows: int, seconds: Sequence[float]) -> Pace:
    """The pace of the rounds; the first is the warm-up."""
    first, *others = seconds
    median = statistics.median(others)
    frames = FRAMES_OF_A_WINDOW.get(network.name)
    return Pace(
        rounds=len(others),
        first_seconds=first,
        median_seconds=median,
        p95_seconds=float(np.percentile(others, 95)),
        windows_per_second=windows / median,
        frames_per_second=None if frames is None else frames * windows / median,
    )


def line(case: NetworkCase, metrics: Pace) -> str:
    """A result as a readable line."""
    frames = "" if metrics.frames_per_second is None else f"  {metrics.frames_per_second:8.1f} video frames/s"
    return (
        f"{case.network:<10} {case.device:<5} {case.precision:<5} {case.windows} x {case.width}x{case.height}: "
        f"median {1000 * metrics.median_seconds:7.1f} ms, p95 {1000 * metrics.p95_seconds:7.1f} ms, "
        f"first {1000 * metrics.first_seconds:7.1f} ms  {metrics.windows_per_second:7.1f} windows/s{frames}"
    )


def main(
    networks: Annotated[str, typer.Option(help="Names separated by commas; all when empty.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda; all available when empty.")] = "",
    rounds: Annotated[int, typer.Option(min=2)] = 30,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "networks.jsonl",
) -> None:
    """Measure, print and append the results."""
    for name in (device,) if device else devices():
        chosen: ChosenDevice = "cuda" if name == "cuda" else "cpu"
        for network in NETWORKS:
            if networks and network.name not in networks.split(","):
                continue
            stamped = stamp()
            height, width = trial.COMMON_PIXELS[network.name]
            for precision, metrics in measure(network, chosen, precisions(network, chosen), rounds).items():
                case = NetworkCase(network.name, chosen, precision, windows_of_a_round(network, chosen), height, width)
                results.append(path, asdict(case), asdict(metrics), stamped)
                print(line(case, metrics), flush=True)


if __name__ == "__main__":
    typer.run(main)
