"""The costs of cleaning marked files, beside a plain transcode and another commit: CPU seconds and peak memory of all processes.

Everything runs in processes of its own and in turns, so that each meets the same load of the machine. CPU seconds hardly depend on it.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks import cpu_meter, results
from benchmarks.cases import Case, prepare
from benchmarks.machine import CACHE, DATA, ROOT, stamp
from benchmarks.media import Timing, even_size, pictures_of, write_video
from benchmarks.memory import Usage, run
from benchmarks.vocabulary import evaluation_vocabulary
from training.watermarks import apply, draw

CLIP, PHOTO_CLIP = "pexels_tea.mp4", "temple.jpg"
PHOTO = "photo"  # a kind here: a photo with a mark in a corner
KINDS = ("moving", "corner", "faint", "tiled", "subtitle", PHOTO)
PARTLY = "partly"  # a kind here: a minute, of which ten seconds show a mark in a corner
PARTLY_SECONDS, PARTLY_MARKED, PARTLY_FPS = 60, range(25, 35), 30
OURS = "this tree"
SEED = 1
FRAMES = 75  # a moving mark jumps after 67
PHOTO_LINES = 2  # times the lines of a video: about two megapixels where it has 540


@dataclass(frozen=True)
class Costs:
    """Medians over runs; the peak memory is the largest."""

    cpu_seconds: float
    seconds: float
    peak_bytes: int

    @classmethod
    def of(cls, runs: Sequence[Usage]) -> "Costs":
        return cls(
            statistics.median(usage.cpu_seconds for usage in runs),
            statistics.median(usage.seconds for usage in runs),
            max(usage.peak_bytes for usage in runs),
        )


def marked_file(kind: str, height: int, folder: Path = CACHE) -> Path:
    """The evaluation's file of that kind; made once, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == PARTLY:
        return partly_marked(height, folder)
    photo = kind == PHOTO
    case = Case(PHOTO_CLIP if photo else CLIP, "corner" if photo else kind, 1 if photo else FRAMES, height * (PHOTO_LINES if photo else 1))
    place = folder / f"{kind}_{case.height}p_{case.frames}"
    if not place.exists():
        with TemporaryDirectory(dir=folder) as unfinished:
            prepare(case, DATA, evaluation_vocabulary(), Path(unfinished))
            shutil.copytree(unfinished, place)
    return next(place.iterdir())


def partly_marked(height: int, folder: Path) -> Path:
    """A clip, repeated for a minute, with a mark in ten seconds of it; made once."""
    target, size = folder / f"{PARTLY}_{height}p.mp4", even_size(16 * height, 9 * height, height)
    if not target.exists():
        frames = PARTLY_SECONDS * PARTLY_FPS
        mark = draw("corner", np.random.default_rng(SEED), *size, frames, evaluation_vocabulary())
        clip = chain.from_iterable(map(pictures_of, repeat(DATA / "clips" / CLIP)))
        scene = (np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8) for picture in clip)
        shown = (patch if frame // PARTLY_FPS in PARTLY_MARKED else None for frame, patch in enumerate(mark.patches))
        unfinished = target.with_suffix(".part.mp4")
        write_video(unfinished, map(apply, scene, shown), size, Timing(range(frames), Fraction(1, PARTLY_FPS), Fraction(PARTLY_FPS)))
        unfinished.replace(target)
    return target


def costs(source: Path, trees: Mapping[str, Path], runs: int) -> dict[str, Costs]:
    """The costs of cleaning with each source tree, and of a plain transcode with the first one, which run in turns."""
    usages: dict[str, list[Usage]] = {name: [] for name in ("transcode", *trees)}
    for _ in range(runs):
        usages["transcode"].append(once("transcode", source, next(iter(trees.values()))))
        for name, tree in trees.items():
            usages[name].append(once("clean", source, tree))
    return {name: Costs.of(of) for name, of in usages.items()}


def once(what: str, source: Path, tree: Path = ROOT) -> Usage:
    """One run of `benchmarks.once` in a source tree."""
    with TemporaryDirectory() as scratch:
        target = Path(scratch) / f"out{source.suffix}"
        return run([sys.executable, "-m", "benchmarks.once", what, str(source), str(target), "--device", "cpu"], cwd=tree)


def profile(source: Path) -> cpu_meter.Spent:
    """CPU seconds of this tree by step and activity."""
    spent: cpu_meter.Spent = json.loads(once("profile", source).output.splitlines()[-1])["spent"]
    return spent


@contextmanager
def tree_of(commit: str, root: Path = ROOT) -> Iterator[Path]:
    """The source tree of a commit, in a worktree that lasts as long as the block. Raises CalledProcessError for an unknown commit."""
    with TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        subprocess.run(["git", "-C", str(root), "worktree", "add", "--detach", "--quiet", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            shutil.rmtree(tree)
            subprocess.run(["git", "-C", str(root), "worktree", "prune"], check=True)


def measure(kinds: Sequence[str], heights: Sequence[int], runs: int, against: str, path: Path, *, with_profile: bool) -> None:
    """Print the costs of each kind and height, and where they go; append them to a result file."""
    with tree_of(against) if against else nullcontext() as other:
        trees = ({against: other} if other else {}) | {OURS: ROOT}
        for height in heights:
            for kind in kinds:
                source, stamped = marked_file(kind, height), stamp()
                found = costs(source, trees, runs)
                print(line(kind, height, found), flush=True)
                spent = profile(source) if with_profile else {}
                if spent:
                    print("\n" + cpu_meter.table(spent), flush=True)
                figures: dict[str, object] = {"costs": {name: asdict(each) for name, each in found.items()}, "profile": spent}
                results.append(path, {"kind": kind, "height": height, "runs": runs}, figures, stamped)


def line(kind: str, height: int, found: Mapping[str, Costs]) -> str:
    """The costs of this tree as a readable line, and how often it has to be paid for what the others cost."""
    ours = found[OURS]
    others = (
        f"{name} {of.cpu_seconds:.2f} s = {of.cpu_seconds / ours.cpu_seconds:.2f} times ours" for name, of in found.items() if name != OURS
    )
    return f"{kind} {height}p: {ours.cpu_seconds:.2f} CPU s, peak {ours.peak_bytes / 2**20:.0f} MiB; " + ", ".join(others)
