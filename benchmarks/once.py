"""One timed run in a separate process, so that its peak memory can be measured; prints one JSON line.

python -m benchmarks.once clean|transcode|profile SOURCE TARGET [--device cpu] [--warm-up FILE]
"""

import json
import resource
import time
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from benchmarks.cpu_profile import profile
from benchmarks.transcode import transcode
from service.inference.session import Networks
from service.pipeline.request import Request
from service.pipeline.run import clean


def timed_clean(source: Path, target: Path, device: str, warm_up: Path | None) -> dict[str, Any]:
    """Clean a file; return the seconds for loading the networks, for the run and for each step."""
    began = time.perf_counter()
    networks = Networks.load(cast(Literal["auto", "cpu", "cuda"], device))
    loaded = time.perf_counter()
    if warm_up is not None:  # CUDA selects kernels in the first run
        clean(warm_up, target, Request(), networks)
    ready = time.perf_counter()
    report = clean(source, target, Request(), networks)
    return {
        "load_seconds": loaded - began,
        "seconds": time.perf_counter() - ready,
        "frames": report.frames,
        "placements": len(report.placements),
        "steps": {step.name: step.seconds for step in report.steps},
    }


def timed_transcode(source: Path, target: Path) -> dict[str, Any]:
    """Transcode a file with the same encoder settings; return seconds and frames."""
    began = time.perf_counter()
    frames = transcode(source, target)
    return {"seconds": time.perf_counter() - began, "frames": frames}


def main(
    what: Annotated[str, typer.Argument(help="clean, transcode, or profile: clean, and say what the CPU seconds go into.")],
    source: Annotated[Path, typer.Argument(exists=True)],
    target: Path,
    device: str = "cpu",
    warm_up: Annotated[Path | None, typer.Option(exists=True)] = None,
) -> None:
    """Run once and print the metrics; `maxrss_bytes` is of the largest process, this one or a child."""
    match what:
        case "clean":
            metrics = timed_clean(source, target, device, warm_up)
        case "profile":
            metrics = {"spent": profile(source, target)}
        case _:
            metrics = timed_transcode(source, target)
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(metrics | {"maxrss_bytes": largest * 1024}))


if __name__ == "__main__":
    typer.run(main)
