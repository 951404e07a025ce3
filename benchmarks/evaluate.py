"""One case from file to figures: our output, a plain transcode, the baselines and the oracle, against the clean pictures."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import baselines, results
from benchmarks.cases import Case, Scene, prepare
from benchmarks.given import Given
from benchmarks.machine import digest, stamp
from benchmarks.media import audio_packets, pictures_of, video_times
from benchmarks.reading import Readable, Reader, readable
from benchmarks.scores import Found, Score, away_from_mark, bar_level, found, score, stained_share
from service.errors import CleanplateError
from service.pipeline.placement import Placement
from training.vocabulary import Vocabulary

Clean = Callable[[Path, Path, Given | None], Sequence[Placement]]  # (source, target, given): cleans the file, tells where the mark was
Transcode = Callable[[Path, Path], object]

_SCORED_BY = ("baselines.py", "scores.py", "media.py", "../training/metrics.py")  # a change here makes kept scores stale


@dataclass(frozen=True)
class Figures:
    """The figures of one case; dB, shares, seconds. `references`: the scores of the marked file, each baseline and the oracle."""

    width: int
    height: int
    frames: int
    ours: Score | None  # None when the output has another number of frames
    plain_outside: float | None
    references: dict[str, Score]
    best_baseline: float | None
    envelope: float | None
    gain: float | None
    stained_share: float | None  # of the mark's pixels that a fill restores; only where a region was given
    readable: Readable | None  # None of a mark without words, and where nothing is read
    bar_level: int | None  # the brightest value in the black bars of the output, of 255; only of a letterboxed scene
    found: Found
    placements: int
    frames_equal: bool
    pts_equal: bool
    audio_equal: bool
    seconds: float
    fps: float


@dataclass(frozen=True)
class Setup:
    """What is measured, on what, and where the results go.

    keep: the marked, cleaned and transcoded files go to `keep/SPLIT/HEIGHT`. read: reads what is left of the marks; None: nobody does.
    """

    folder: Path
    vocabulary: Vocabulary
    clean: Clean
    transcode: Transcode
    results: Path
    cache: Path | None = None
    keep: Path | None = None
    read: Reader | None = None


def measure(cases: Sequence[Case], setup: Setup) -> int:
    """Measure the cases that the result file does not have yet, and append each as it finishes; the number that failed."""
    here = stamp()
    waiting = results.unfinished(cases, results.read(setup.results), here.code)
    print(f"{len(waiting)} of {len(cases)} cases to measure")
    failures = 0
    for case in waiting:
        try:
            figures = _measure_one(case, setup)
        except CleanplateError as error:
            failures += 1
            print(f"{case}: failed: {error}", flush=True)
            continue
        results.append(setup.results, asdict(case), rounded(figures), here)
        print(line(case, figures), flush=True)
    return failures


def _measure_one(case: Case, setup: Setup) -> Figures:
    with TemporaryDirectory() as scratch:
        place = setup.keep / case.split / str(case.height) if setup.keep else Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        scene = prepare(case, setup.folder, setup.vocabulary, place)
        return evaluate(scene, setup.clean, setup.transcode, place, setup.cache, setup.read)


def evaluate(
    scene: Scene, clean: Clean, transcode: Transcode, scratch: Path, cache: Path | None = None, read: Reader | None = None
) -> Figures:
    """Clean the scene's marked file, and measure the output file and everything to compare it with."""
    target, plain = (scratch / f"{scene.marked.stem}_{what}{scene.marked.suffix}" for what in ("cleaned", "plain"))
    began = time.perf_counter()
    placements = clean(scene.marked, target, scene.given)
    seconds = time.perf_counter() - began
    transcode(scene.marked, plain)
    away = away_from_mark(scene)
    before, after = video_times(scene.marked), video_times(target)
    ours = score(pictures_of(target), scene, away) if len(before) == len(after) else None
    references = reference_scores(scene, cache)
    best, envelope = best_of(references)
    return Figures(
        width=scene.clean.width,
        height=scene.clean.height,
        frames=scene.frames,
        ours=ours,
        plain_outside=score(pictures_of(plain), scene, away).outside,
        references=references,
        best_baseline=best,
        envelope=envelope,
        gain=None if ours is None or ours.hole is None or best is None else ours.hole - best,
        stained_share=stained_share(pictures_of(target), baselines.pictures("telea", scene), scene) if ours and scene.given else None,
        readable=readable(pictures_of(target), scene, read) if ours and read else None,
        bar_level=bar_level(pictures_of(target), scene),
        found=found(placements, scene),
        placements=len(placements),
        frames_equal=len(before) == len(after),
        pts_equal=before == after,
        audio_equal=audio_packets(scene.marked) == audio_packets(target),
        seconds=seconds,
        fps=scene.frames / seconds,
    )


def best_of(references: dict[str, Score]) -> tuple[float | None, float | None]:
    """(the best baseline's PSNR in the mark, the better of it and the oracle's)."""
    holes = [references[name].hole for name in baselines.BASELINES if name in references]
    best = max((hole for hole in holes if hole is not None), default=None)
    oracle = references["oracle"].hole if "oracle" in references else None
    return best, max((hole for hole in (best, oracle) if hole is not None), default=None)


def reference_scores(scene: Scene, cache: Path | None) -> dict[str, Score]:
    """Scores that do not depend on us, read from the cache when the same marked file was scored before."""
    if not scene.has_mark:
        return {}
    kept = cache / f"{scene.marked.stem}_{_fingerprint(scene)}.json" if cache is not None else None
    if kept is not None and kept.exists():
        return {name: Score(**values) for name, values in json.loads(kept.read_text()).items()}
    scores = {name: score(baselines.pictures(name, scene), scene) for name in baselines.methods(scene)}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part")
        unfinished.write_text(json.dumps({name: asdict(value) for name, value in scores.items()}))
        unfinished.replace(kept)
    return scores


def _fingerprint(scene: Scene) -> str:
    """Digest of the marked file and of the code that scores it; the file follows from the clip and the mark."""
    here = Path(__file__).parent
    return digest([scene.marked, *(here / name for name in _SCORED_BY)])


def rounded(figures: Figures) -> dict[str, object]:
    """The figures as JSON values, to four digits after the point."""
    return json.loads(json.dumps(asdict(figures)), parse_float=lambda text: round(float(text), 4))


def line(case: Case, figures: Figures) -> str:
    """One line for a person."""
    hole = None if figures.ours is None else figures.ours.hole
    parts = [f"{case}:", f"hole {_db(hole)}", f"best baseline {_db(figures.best_baseline)}", f"gain {_db(figures.gain)}"]
    share = figures.found.f1_share
    parts.append(f"masked {figures.found.masked_share:.4%}" if share is None else f"found {share:.0%}")
    return "  ".join([*parts, f"{figures.seconds:.1f} s ({figures.fps:.1f} fps)"])


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} dB"
