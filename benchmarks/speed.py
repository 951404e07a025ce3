"""How fast, and in how much memory: end to end and per step, next to a plain transcode with the same encoder settings.

    python -m benchmarks.speed                                    # 480p, 720p, 1080p; 10 s; CPU, and CUDA where there is one
    python -m benchmarks.speed --heights 720 --seconds 10,120 --runs 1

Every run is a process of its own, watched from outside; clean and transcode take turns, so that both meet the same load.
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

from benchmarks import results, speed_table
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
    """One line of the results: a video with one moving mark."""

    height: int
    seconds: int
    device: str


@dataclass(frozen=True)
class Speed:
    """Medians over runs. Peaks: bytes of the whole process tree at one time, and of its largest process."""

    runs: int
    frames: int
    placements: int
    seconds: float
    fps: float
    load_seconds: float
    step_seconds: dict[str, float]
    transcode_seconds: float
    transcode_fps: float
    ratio: float  # our time over the transcode's
    peak_bytes: int
    peak_process_bytes: int
    transcode_peak_bytes: int


def devices() -> tuple[str, ...]:
    """The devices this machine can run the networks on."""
    return ("cpu", "cuda") if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else ("cpu",)


def source_video(clip: Path, folder: Path, height: int, seconds: int, vocabulary: Vocabulary) -> Path:
    """A 16:9 video of that length with one moving mark, looped from a clip; made once and kept in `folder`."""
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
    """The clip's pictures over and over, resized to (width, height)."""
    while True:
        for picture in pictures_of(clip):
            yield np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def measure(case: SpeedCase, video: Path, warm_up: Path | None, runs: int) -> Speed:
    """Clean and transcode the video in turns, `runs` times each."""
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
    """One result from several runs; peaks are the largest, not the median."""
    ours, plain = [figures for figures, _ in cleaned], [figures for figures, _ in transcoded]
    seconds = statistics.median(figures["seconds"] for figures in ours)
    plain_seconds = statistics.median(figures["seconds"] for figures in plain)
    return Speed(
        runs=len(ours),
        frames=ours[0]["frames"],
        placements=ours[0]["placements"],
        seconds=seconds,
        fps=ours[0]["frames"] / seconds,
        load_seconds=statistics.median(figures["load_seconds"] for figures in ours),
        step_seconds={name: statistics.median(figures["steps"][name] for figures in ours) for name in ours[0]["steps"]},
        transcode_seconds=plain_seconds,
        transcode_fps=plain[0]["frames"] / plain_seconds,
        ratio=seconds / plain_seconds,
        peak_bytes=max(usage.peak_bytes for _, usage in cleaned),
        peak_process_bytes=max(figures["maxrss_bytes"] for figures in ours),
        transcode_peak_bytes=max(usage.peak_bytes for _, usage in transcoded),
    )


def main(
    clip: Annotated[Path, typer.Argument(help="Real clip the test video is made of.", exists=True)] = DATA / "clips" / "pexels_tea.mp4",
    heights: str = "480,720,1080",
    seconds: Annotated[str, typer.Option(help="Lengths of the test videos.")] = "10",
    device: Annotated[str, typer.Option(help="cpu or cuda; all there are when empty.")] = "",
    runs: Annotated[int, typer.Option(min=1)] = 3,
    fonts: Path = FONTS,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "speed.jsonl",
    cache: Annotated[Path, typer.Option(help="Where test videos are kept.")] = CACHE,
) -> None:
    """Measure, then print the table and write it beside the result file."""
    vocabulary = evaluation_vocabulary(fonts)
    for one in (device,) if device else devices():
        for length in map(int, seconds.split(",")):
            for height in map(int, heights.split(",")):
                case, mark = SpeedCase(height, length, one), stamp()
                video = source_video(clip, cache, height, length, vocabulary)
                warm_up = source_video(clip, cache, height, 1, vocabulary) if one == "cuda" else None
                figures = measure(case, video, warm_up, runs)
                results.append(path, asdict(case), asdict(figures), mark)
                print(speed_table.line(asdict(case), asdict(figures)), flush=True)
    table = speed_table.markdown(results.latest(results.read(path)))
    path.with_suffix(".md").write_text(table)
    print("\n" + table)


if __name__ == "__main__":
    typer.run(main)
