"""Measures speed and memory, end to end and per step, and compares with a plain transcode with the same encoder settings.

    python -m benchmarks.speed                                    # 480p, 720p, 1080p; 10 s; CPU, and CUDA if available
    python -m benchmarks.speed --heights 720 --seconds 10,120 --runs 1
    python -m benchmarks.speed --profile --against v1.0 --kinds moving,tiled --heights 480 --runs 1   # CPU seconds and what they go into

Every run is a separate process, monitored from outside; clean and transcode alternate, so that both run under the same load.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import numpy as np
import onnxruntime
import typer

from benchmarks import costs, results, speed_table
from benchmarks.machine import CACHE, DATA, RESULTS, ROOT, stamp
from benchmarks.media import Picture, Timing, pictures_of, write_video
from benchmarks.memory import Usage, run
from benchmarks.vocabulary import evaluation_vocabulary
from training.vocabulary import FONTS, Vocabulary
from training.watermarks import apply, draw

WIDTHS = {480: 854, 720: 1280, 1080: 1920}
FPS = 30
SEED = 1


@dataclass(frozen=True)
class SpeedCase:
    """The case of a result line: a video with one moving mark."""

    height: int
    seconds: int
    device: str


@dataclass(frozen=True)
class Speed:
    """Medians over runs. Peaks in bytes, of the whole process tree and of its largest process."""

    runs: int
    frames: int
    placements: int
    seconds: float
    fps: float
    load_seconds: float
    step_seconds: dict[str, float]
    transcode_seconds: float
    transcode_fps: float
    ratio: float  # cleaning time over transcoding time
    peak_bytes: int
    peak_process_bytes: int
    transcode_peak_bytes: int


def devices() -> tuple[str, ...]:
    """The devices on which this machine can run the networks."""
    return ("cpu", "cuda") if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else ("cpu",)


def source_video(clip: Path, folder: Path, height: int, seconds: int, vocabulary: Vocabulary) -> Path:
    """A 16:9 video of that length with one moving mark, looped from a clip; made once and cached in `folder`."""
    target = folder / f"{clip.stem}_{height}p_{seconds}s.mp4"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        size, frames = (WIDTHS.get(height, 2 * round(height * 8 / 9)), height), FPS * seconds
        mark = draw("moving", np.random.default_rng(SEED), *size, frames, vocabulary)
        pictures = (apply(picture, patch) for picture, patch in zip(_looped(clip, size), mark.patches, strict=False))
        unfinished = target.with_suffix(".part.mp4")
        write_video(unfinished, pictures, size, Timing(range(frames), Fraction(1, FPS), Fraction(FPS)))
        unfinished.replace(target)
    return target


def _looped(clip: Path, size: tuple[int, int]) -> Iterator[Picture]:
    """The clip's pictures in an endless loop, resized to (width, height)."""
    while True:
        for picture in pictures_of(clip):
            yield np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def measure(case: SpeedCase, video: Path, warm_up: Path | None, runs: int) -> Speed:
    """Clean and transcode the video alternately, `runs` times each."""
    cleaned, transcoded = [], []
    with TemporaryDirectory() as scratch:
        warm = ["--warm-up", str(warm_up)] if warm_up is not None else []
        for _ in range(runs):
            transcoded.append(_once("transcode", video, Path(scratch) / "plain.mp4"))
            cleaned.append(_once("clean", video, Path(scratch) / "clean.mp4", "--device", case.device, *warm))
    return medians(cleaned, transcoded)


def _once(what: str, source: Path, target: Path, *options: str) -> tuple[dict[str, Any], Usage]:
    usage = run([sys.executable, "-m", "benchmarks.once", what, str(source), str(target), *options], cwd=ROOT)
    return json.loads(usage.output.splitlines()[-1]), usage


def medians(cleaned: Sequence[tuple[dict[str, Any], Usage]], transcoded: Sequence[tuple[dict[str, Any], Usage]]) -> Speed:
    """The result of several runs: medians, but peaks are maxima."""
    cleans, transcodes = [metrics for metrics, _ in cleaned], [metrics for metrics, _ in transcoded]
    seconds = statistics.median(metrics["seconds"] for metrics in cleans)
    transcode_seconds = statistics.median(metrics["seconds"] for metrics in transcodes)
    return Speed(
        runs=len(cleans),
        frames=cleans[0]["frames"],
        placements=cleans[0]["placements"],
        seconds=seconds,
        fps=cleans[0]["frames"] / seconds,
        load_seconds=statistics.median(metrics["load_seconds"] for metrics in cleans),
        step_seconds={name: statistics.median(metrics["steps"][name] for metrics in cleans) for name in cleans[0]["steps"]},
        transcode_seconds=transcode_seconds,
        transcode_fps=transcodes[0]["frames"] / transcode_seconds,
        ratio=seconds / transcode_seconds,
        peak_bytes=max(usage.peak_bytes for _, usage in cleaned),
        peak_process_bytes=max(metrics["maxrss_bytes"] for metrics in cleans),
        transcode_peak_bytes=max(usage.peak_bytes for _, usage in transcoded),
    )


def main(
    clip: Annotated[Path, typer.Argument(help="Real clip from which the test video is made.", exists=True)] = DATA
    / "clips"
    / "pexels_tea.mp4",
    heights: str = "480,720,1080",
    seconds: Annotated[str, typer.Option(help="Lengths of the test videos.")] = "10",
    device: Annotated[str, typer.Option(help="cpu or cuda; all available when empty.")] = "",
    runs: Annotated[int, typer.Option(min=1)] = 3,
    fonts: Path = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "speed.jsonl",
    cache: Annotated[Path, typer.Option(help="Folder for test videos.")] = CACHE,
    profile: Annotated[
        bool, typer.Option("--profile", help="Only CPU seconds, by step and activity, of short files of these kinds.")
    ] = False,
    against: Annotated[str, typer.Option(help="A commit: only CPU seconds and memory, beside those of its code.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of mark for --profile and --against.")] = ",".join(costs.KINDS),
) -> None:
    """Measure, print the table and write it next to the result file."""
    if profile or against:
        lines = [int(height) for height in heights.split(",")]
        costs.measure(kinds.split(","), lines, runs, against, path.with_name("costs.jsonl"), with_profile=profile)
        return
    vocabulary = evaluation_vocabulary(fonts)
    for name in (device,) if device else devices():
        for length in map(int, seconds.split(",")):
            for height in map(int, heights.split(",")):
                case, stamped = SpeedCase(height, length, name), stamp()
                video = source_video(clip, cache, height, length, vocabulary)
                warm_up = source_video(clip, cache, height, 1, vocabulary) if name == "cuda" else None
                metrics = measure(case, video, warm_up, runs)
                results.append(path, asdict(case), asdict(metrics), stamped)
                print(speed_table.line(asdict(case), asdict(metrics)), flush=True)
    table = speed_table.markdown(results.latest(results.read(path)))
    path.with_suffix(".md").write_text(table)
    print("\n" + table)


if __name__ == "__main__":
    typer.run(main)
