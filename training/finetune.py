"""Fine-tunes the three networks on a user's own mark, in ten minutes on two cores.

python -m training.finetune --mark logo.png --clips DIR [--out FOLDER] [--minutes 10] [--opacity 0.3,0.9] [--size 0.05,0.3] [--place corner]
python -m training.finetune --from-videos MARKED --clips DIR

The mark is a picture, ideally with an alpha channel; without one, it is opaque everywhere. Or it is put together from what the service
measures in the files of MARKED, which all carry it. DIR holds clean clips or photos; every fourth is held out for the scores before and
after. Writes `FOLDER/manifest.toml` and `FOLDER/weights/` for `cleanplate models use FOLDER`.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import av
import torch
from PIL import Image
from torch import nn

from service.inference.session import Networks
from training import checkpoint, clips, evaluate, mark_from_videos, networks, own_mark
from training.clips import Clip
from training.config import TrainConfig
from training.deliver import deliver
from training.evaluate import SHIPPED, Scores
from training.fit import Sources, fit
from training.own_mark import InputError, OwnMark, OwnSource, Place, Range
from training.samples import Source
from training.task import Task
from training.validation import Validation
from training.vocabulary import Vocabulary, training_vocabulary

FINISH_SECONDS = 90  # reserved for the final scores and the ONNX export, on two cores
HELD_OUT_EVERY = 4  # every so many clips, by name, one is not trained on
MIN_FRAMES_TO_SPLIT = 24
MAX_STEPS = 2000
NEW_SHARE = 0.5  # of the trained weights in the result; the rest is the initial weights
MEASURED_OPACITY: Range = (0.9, 1.0)  # by default, for a mark from videos: it has the opacity that it was measured with
SIZE_MARGIN = 1.2  # by which a mark from videos may be smaller or larger than it was found
WORSE = {"f1": -0.03, "wrong": 0.002, "opacity_error": 0.01, "psnr": -0.5}  # changes on ordinary marks from which a warning is printed


@dataclass(frozen=True)
class Recipe:
    """How one network is fine-tuned, and its share of the time. The segmenter gets most: marks that are not found are not removed."""

    time_share: float
    batch: int
    learning_rate: float


RECIPES = {"segmenter": Recipe(0.55, 2, 1e-3), "matte": Recipe(0.15, 8, 5e-4), "inpainter": Recipe(0.3, 4, 1.5e-4)}


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    mark: Path
    clips: Path
    out: Path
    start: Path = SHIPPED  # a folder with NAME.pt and, optionally, NAME.onnx
    cache: Path = TrainConfig("").cache
    minutes: float = 10
    steps: int = MAX_STEPS  # of each network, at most
    opacity: Range = (0.3, 1.0)
    size: Range = (0.05, 0.3)
    place: Place = "any"
    ordinary: float = 0.2  # share of ordinary marks among the training marks
    samples: int = 32  # per network, for the scores
    workers: int = min(4, max(0, (os.cpu_count() or 1) - 1))
    seed: int = 1


@dataclass(frozen=True)
class CommandLine:
    """The options of a command line, the names of those that it gives, and the folder of marked videos if the mark comes from there."""

    options: Options
    given: frozenset[str]
    videos: Path | None


@dataclass(frozen=True)
class Material:
    """The user's mark on training clips and on held-out clips, and ordinary marks on held-out clips."""

    training: OwnSource
    own: OwnSource
    ordinary: Source


@dataclass(frozen=True)
class Outcome:
    """The result for one network. The scores are on held-out clips: `own` with the user's mark, `ordinary` with others."""

    task: Task  # with the delivered network
    steps: int  # 0: it did not improve on the user's mark, and the initial weights are delivered
    before: dict[str, Scores]
    after: dict[str, Scores]


def finetune(options: Options, vocabulary: Vocabulary) -> dict[str, Scores]:
    """Train, export into `options.out`, and return the scores before and after, on the user's mark and on ordinary ones.

    Raises InputError if the mark, the clips or the output folder cannot be used, CheckpointMismatch if a checkpoint does not fit.
    """
    deadline = time.monotonic() + 60 * options.minutes - FINISH_SECONDS
    if options.out.exists() and any(options.out.iterdir()):
        raise InputError(f"{options.out} is not empty: give another --out, or remove it")
    material, paths = _material(options, vocabulary), _checkpoints(options.start)
    outcomes = {name: _train_and_score(name, path, material, options, deadline) for name, path in paths.items()}
    origin = f"own-{hashlib.sha256(options.mark.read_bytes()).hexdigest()[:7]}"
    for name, outcome in outcomes.items():
        metrics = {key: round(value, 4) for key, value in outcome.after["own"].items()}
        deliver(name, outcome.task.network, options.out, outcome.steps, origin, metrics, options.start / f"{name}.onnx")
    rows: dict[str, Scores] = {}
    for mark in ("own", "ordinary"):
        rows[f"{mark}, before"] = _joined([outcome.before[mark] for outcome in outcomes.values()])
        rows[f"{mark}, after"] = _joined([outcome.after[mark] for outcome in outcomes.values()])
    evaluate.write(rows, options.out / "scores")
    return rows


def with_common_mark(options: Options, folder: Path, given: Collection[str], service: Networks) -> Options:
    """The options with the mark that the files of a folder share, written as `OUT.png`. Raises InputError if they share none.

    Opacity and size are those that it was found with, unless `given` names them.
    """
    mark = mark_from_videos.mark_in(folder, service)
    picture = options.out.with_name(f"{options.out.name}.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mark.picture).save(picture)
    print(f"{picture}: the mark of {', '.join(path.name for path in mark.files)}: look at it", flush=True)
    smallest, largest = mark.size[0] / SIZE_MARGIN, min(1.0, mark.size[1] * SIZE_MARGIN)
    found = {"opacity": MEASURED_OPACITY, "size": (smallest, largest)}
    return replace(options, mark=picture, **{name: value for name, value in found.items() if name not in given})


def blended(old: nn.Module, new: nn.Module, share: float) -> nn.Module:
    """Interpolate weights and running statistics from `old` (share 0) to `new` (share 1), in place in `new`, and return it.

    Half way between them, a network has learned nearly all of the new task and kept nearly all of the old one (Wortsman et al., "Robust
    fine-tuning of zero-shot models", 2022), which allows a higher learning rate.
    """
    with torch.no_grad():
        for trained, initial in zip((*new.parameters(), *new.buffers()), (*old.parameters(), *old.buffers()), strict=True):
            if trained.is_floating_point():
                trained.copy_(torch.lerp(initial, trained, share))
    return new


def worsened(before: Scores, after: Scores) -> list[str]:
    """A line for each score that got worse by more than its tolerance in `WORSE`."""
    changes = {key: after[key] - before[key] for key in WORSE if key in before and key in after}
    return [
        f"{evaluate.COLUMNS[key].title}: {evaluate.COLUMNS[key].form.format(before[key])} before, "
        f"{evaluate.COLUMNS[key].form.format(after[key])} after"
        for key, change in changes.items()
        if abs(change) > abs(WORSE[key]) and (change > 0) == (WORSE[key] > 0)
    ]


def split(every_clip: tuple[Clip, ...]) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Split into training clips and held-out clips: every fourth by name, or the last one if there are fewer.

    A single clip is split in time: two thirds for training, the rest held out. If it is short, or a photo, it is used for both.
    """
    if len(every_clip) == 1:
        clip = every_clip[0]
        middle = len(clip.frames) * 2 // 3 if len(clip.frames) >= MIN_FRAMES_TO_SPLIT else 0
        parts = (clip.frames[:middle], clip.frames[middle:]) if middle else (clip.frames, clip.frames)
        return (Clip(clip.name, parts[0]),), (Clip(clip.name, parts[1]),)
    held_out = {*range(HELD_OUT_EVERY - 1, len(every_clip), HELD_OUT_EVERY)} or {len(every_clip) - 1}
    training = tuple(clip for index, clip in enumerate(every_clip) if index not in held_out)
    return training, tuple(every_clip[index] for index in sorted(held_out))


def _material(options: Options, vocabulary: Vocabulary) -> Material:
    alpha, colour = own_mark.read(options.mark)
    own = OwnMark(alpha, colour, options.opacity, options.size, options.place)
    try:
        training, held_out = split(clips.load(options.clips, options.cache))
    except (FileNotFoundError, ValueError, av.error.FFmpegError) as error:
        raise InputError(f"{options.clips}: {error}") from error
    print(f"{len(training)} clips to train on, {len(held_out)} to score on", flush=True)
    held_out_seed = 10**6 + options.seed
    return Material(
        OwnSource(training, vocabulary, options.seed, own=own, ordinary_share=options.ordinary),
        OwnSource(held_out, vocabulary, held_out_seed, own=own, ordinary_share=0),
        Source(held_out, vocabulary, held_out_seed),
    )


def _checkpoints(start: Path) -> dict[str, Path]:
    """The checkpoint from which each network starts."""
    paths = {name: networks.checkpoint_in(start, name) for name in RECIPES}
    if missing := [name for name, path in paths.items() if path is None]:
        raise InputError(f"{start} has no checkpoint of: {', '.join(missing)}")
    found = {name: path for name, path in paths.items() if path}
    for name, path in found.items():
        networks.restored(name, path)  # fail before training if any does not fit
    return found


def _train_and_score(name: str, path: Path, material: Material, options: Options, deadline: float) -> Outcome:
    """Fine-tune one network, and score it before and after on the same samples."""
    task = networks.restored(name, path)
    validations = {
        "own": Validation(task, material.own, options.samples),
        "ordinary": Validation(task, material.ordinary, options.samples),
    }
    before = {mark: validation.scores(task.network) for mark, validation in validations.items()}
    config, goal = _config(name, options, deadline), task.goal
    trained = fit(task, config, Sources(material.training, material.own)).cpu()
    initial = networks.restored(name, path)
    network = blended(initial.network, trained, NEW_SHARE)
    after = {mark: validation.scores(network) for mark, validation in validations.items()}
    assert goal is not None
    if not goal.is_better(after["own"][goal.score], before["own"][goal.score]):
        print(f"the {name} did not improve on this mark and is left unchanged", flush=True)
        return Outcome(initial, 0, before, before)
    steps = int(checkpoint.load(config.folder / checkpoint.LAST)["step"])
    return Outcome(replace(task, network=network), steps, before, after)


def _joined(scores: list[Scores]) -> Scores:
    return {key: value for part in scores for key, value in part.items()}


def _config(name: str, options: Options, deadline: float) -> TrainConfig:
    """The settings of a short run, with its share of the time that remains for this network and the following ones."""
    recipe, names = RECIPES[name], list(RECIPES)
    remaining_shares = sum(RECIPES[later].time_share for later in names[names.index(name) :])
    seconds = max(1.0, (deadline - time.monotonic()) * recipe.time_share / remaining_shares)
    return TrainConfig(
        name,
        runs=options.out / "runs",
        steps=options.steps,
        minutes=seconds / 60,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        warmup_steps=20,
        decay_share=0.5,
        ema_decay=0.99,
        seed=options.seed,
        threads=os.cpu_count() or 1,
        workers=options.workers,
        validate_every_steps=options.steps,  # only at the end, to save time
        checkpoint_every_steps=options.steps,
        validation_samples=8,
    )


def _range(text: str) -> Range:
    """`0.3,0.9`, or one number for both ends."""
    numbers = [float(part) for part in text.split(",")]
    low, high = numbers[0], numbers[-1]
    if len(numbers) > 2 or not 0 < low <= high <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not LOW,HIGH with 0 < LOW <= HIGH <= 1")
    return low, high


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def from_command_line(arguments: list[str] | None = None) -> CommandLine:
    """Parse the command line. Exits with a usage message on an unknown option or a wrong value."""
    parser = argparse.ArgumentParser(description="Fine-tunes the three networks on your own mark.", argument_default=argparse.SUPPRESS)
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--mark", type=Path, help="a picture, ideally with an alpha channel")
    origin.add_argument("--from-videos", type=Path, help="a folder of videos or pictures that carry the mark, at least two")
    parser.add_argument("--clips", type=Path, required=True, help="a folder of clean clips or photos; a few are enough")
    parser.add_argument("--out", type=Path, help="a new folder; default: build/own/NAME_OF_THE_MARK")
    parser.add_argument("--start", type=Path, help="a folder of checkpoints; default: the shipped ones")
    parser.add_argument("--cache", type=Path, help="a folder for decoded frames")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int, help="maximum for each network")
    parser.add_argument("--opacity", type=_range, help="LOW,HIGH: factor for the alpha of the picture")
    parser.add_argument("--size", type=_range, help="LOW,HIGH: the longer side, as a share of the short side of the video")
    parser.add_argument("--place", choices=own_mark.PLACES)
    parser.add_argument("--ordinary", type=_share, help="share of ordinary marks among the training marks")
    parser.add_argument("--samples", type=int, help="samples for the scores of each network")
    parser.add_argument("--workers", type=int, help="processes that draw samples")
    parser.add_argument("--seed", type=int)
    given = vars(parser.parse_args(arguments))
    videos = given.pop("from_videos", None)
    names = frozenset(given)
    out = given.setdefault("out", Path("build/own") / (videos.resolve().name if videos else given["mark"].stem))
    given.setdefault("mark", out.with_name(f"{out.name}.png"))
    return CommandLine(Options(**given), names, videos)


def main(arguments: list[str] | None = None) -> None:
    line = from_command_line(arguments)
    options = line.options
    try:
        if line.videos:
            options = with_common_mark(options, line.videos, line.given, Networks.load())
        rows = finetune(options, training_vocabulary())
    except (InputError, networks.CheckpointMismatch, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(f"\n{evaluate.table(rows)}")
    for line in worsened(rows["ordinary, before"], rows["ordinary, after"]):
        print(f"worse on ordinary marks: {line}")
    print(f"{options.out}: use it with `cleanplate models use {options.out}`")


if __name__ == "__main__":
    main()
