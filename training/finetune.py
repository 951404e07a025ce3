"""Teaches the three networks a user's own mark, in ten minutes on two cores.

python -m training.finetune --mark logo.png --clips DIR [--out FOLDER] [--minutes 10] [--opacity 0.3,0.9] [--size 0.05,0.3] [--place corner]

The mark is a picture, best with alpha (without it, it is opaque all over); DIR holds clean clips or photos, every fourth of which
is kept for the scores before and after. Ends with `FOLDER/manifest.toml` and `FOLDER/weights/` for `cleanplate models use FOLDER`.
"""

import argparse
import hashlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import av
import torch
from torch import nn

from training import checkpoint, clips, evaluate, networks, own_mark
from training.clips import Clip
from training.config import TrainConfig
from training.deliver import deliver
from training.evaluate import SHIPPED, Scores
from training.fit import Sources, fit
from training.own_mark import OwnMark, OwnSource, Place, Range, WrongInput
from training.samples import Source
from training.task import Task
from training.validation import Examination
from training.vocabulary import Vocabulary, training_vocabulary

FINISH_SECONDS = 90  # kept back for the scores after, and for the ONNX files, on two cores
HELD_EVERY = 4  # of the clips by name, one in so many is not trained on
LEAST_FRAMES_TO_SPLIT = 24
MOST_STEPS = 2000
NEW_SHARE = 0.5  # of the weights that go out; the rest are those that it began with
WORSE = {"f1": -0.03, "wrong": 0.002, "opacity_error": 0.01, "psnr": -0.5}  # changes on ordinary marks that are worth saying


@dataclass(frozen=True)
class Recipe:
    """How one network is trained further, and its share of the time. The segmenter needs most: what is not found is not removed."""

    time_share: float
    batch: int
    learning_rate: float


RECIPES = {"segmenter": Recipe(0.55, 2, 1e-3), "matte": Recipe(0.15, 8, 5e-4), "inpainter": Recipe(0.3, 4, 1.5e-4)}


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    mark: Path
    clips: Path
    out: Path
    start: Path = SHIPPED  # a folder of NAME.pt, and NAME.onnx if there are
    cache: Path = TrainConfig("").cache
    minutes: float = 10
    steps: int = MOST_STEPS  # of each network, at most
    opacity: Range = (0.3, 1.0)
    size: Range = (0.05, 0.3)
    place: Place = "any"
    ordinary: float = 0.2  # share of the marks that stay ordinary ones
    samples: int = 32  # of each network, to score
    workers: int = min(4, max(0, (os.cpu_count() or 1) - 1))
    seed: int = 1


@dataclass(frozen=True)
class Material:
    """The mark on the clips to train on and on those held back, and ordinary marks on the latter."""

    training: OwnSource
    own: OwnSource
    ordinary: Source


@dataclass(frozen=True)
class Lesson:
    """What came of one network. The scores are on held-out clips: `own` with the user's mark, `ordinary` with others."""

    task: Task  # with the network that goes out
    steps: int  # 0: it did not get better with the user's mark, and goes out as it came in
    before: dict[str, Scores]
    after: dict[str, Scores]


def finetune(options: Options, vocabulary: Vocabulary) -> dict[str, Scores]:
    """Trains, delivers into `options.out`, and returns the scores before and after, on the user's mark and on ordinary ones."""
    deadline = time.monotonic() + 60 * options.minutes - FINISH_SECONDS
    if options.out.exists() and any(options.out.iterdir()):
        raise WrongInput(f"{options.out} is not empty: give another --out, or remove it")
    material, paths = _material(options, vocabulary), _checkpoints(options.start)
    lessons = {name: _taught(name, path, material, options, deadline) for name, path in paths.items()}
    origin = f"own-{hashlib.sha256(options.mark.read_bytes()).hexdigest()[:7]}"
    for name, lesson in lessons.items():
        figures = {key: round(value, 4) for key, value in lesson.after["own"].items()}
        deliver(name, lesson.task.network, options.out, lesson.steps, origin, figures, options.start / f"{name}.onnx")
    rows: dict[str, Scores] = {}
    for mark in ("own", "ordinary"):
        rows[f"{mark}, before"] = _joined([lesson.before[mark] for lesson in lessons.values()])
        rows[f"{mark}, after"] = _joined([lesson.after[mark] for lesson in lessons.values()])
    evaluate.write(rows, options.out / "scores")
    return rows


def blended(old: nn.Module, new: nn.Module, share: float) -> nn.Module:
    """`new`, with so much of its weights and running statistics; the rest `old`'s.

    Half way between them a network has nearly learned the new and nearly kept what it could (Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022): it is taught harder than it could bear otherwise.
    """
    with torch.no_grad():
        for kept, began in zip((*new.parameters(), *new.buffers()), (*old.parameters(), *old.buffers()), strict=True):
            if kept.is_floating_point():
                kept.copy_(torch.lerp(began, kept, share))
    return new


def worsened(before: Scores, after: Scores) -> list[str]:
    """What got worse by more than `WORSE`, in words."""
    changes = {key: after[key] - before[key] for key in WORSE if key in before and key in after}
    return [
        f"{evaluate.COLUMNS[key].title}: {evaluate.COLUMNS[key].form.format(before[key])} before, "
        f"{evaluate.COLUMNS[key].form.format(after[key])} after"
        for key, change in changes.items()
        if abs(change) > abs(WORSE[key]) and (change > 0) == (WORSE[key] > 0)
    ]


def split(everything: tuple[Clip, ...]) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Clips to train on, and every fourth by name, or else the last, to score on.

    One clip alone is split in time: two thirds to train on, the rest to score on. Where it is short, or a photo, it does both.
    """
    if len(everything) == 1:
        clip = everything[0]
        middle = len(clip.frames) * 2 // 3 if len(clip.frames) >= LEAST_FRAMES_TO_SPLIT else 0
        parts = (clip.frames[:middle], clip.frames[middle:]) if middle else (clip.frames, clip.frames)
        return (Clip(clip.name, parts[0]),), (Clip(clip.name, parts[1]),)
    held = {*range(HELD_EVERY - 1, len(everything), HELD_EVERY)} or {len(everything) - 1}
    rest = tuple(clip for index, clip in enumerate(everything) if index not in held)
    return rest, tuple(everything[index] for index in sorted(held))


def _material(options: Options, vocabulary: Vocabulary) -> Material:
    alpha, colour = own_mark.read(options.mark)
    own = OwnMark(alpha, colour, options.opacity, options.size, options.place)
    try:
        training, held = split(clips.load(options.clips, options.cache))
    except (FileNotFoundError, ValueError, av.error.FFmpegError) as error:
        raise WrongInput(f"{options.clips}: {error}") from error
    print(f"{len(training)} clips to train on, {len(held)} to score on", flush=True)
    held_seed = 10**6 + options.seed
    return Material(
        OwnSource(training, vocabulary, options.seed, own=own, ordinary_share=options.ordinary),
        OwnSource(held, vocabulary, held_seed, own=own, ordinary_share=0),
        Source(held, vocabulary, held_seed),
    )


def _checkpoints(start: Path) -> dict[str, Path]:
    """Where each network starts from."""
    paths = {name: networks.checkpoint_in(start, name) for name in RECIPES}
    if missing := [name for name, path in paths.items() if path is None]:
        raise WrongInput(f"{start} has no checkpoint of: {', '.join(missing)}")
    found = {name: path for name, path in paths.items() if path}
    for name, path in found.items():
        networks.restored(name, path)  # what does not fit is said before the first has been trained
    return found


def _taught(name: str, path: Path, material: Material, options: Options, deadline: float) -> Lesson:
    """Trains one network further, and scores it before and after on the same samples."""
    task = networks.restored(name, path)
    exams = {
        "own": Examination(task, material.own, options.samples),
        "ordinary": Examination(task, material.ordinary, options.samples),
    }
    before = {mark: exam.scores(task.network) for mark, exam in exams.items()}
    config, goal = _config(name, options, deadline), task.goal
    trained = fit(task, config, Sources(material.training, material.own)).cpu()
    began = networks.restored(name, path)
    network = blended(began.network, trained, NEW_SHARE)
    after = {mark: exam.scores(network) for mark, exam in exams.items()}
    assert goal is not None
    if not goal.reached(after["own"][goal.score], before["own"][goal.score]):
        print(f"the {name} did not get better with this mark and stays as it was", flush=True)
        return Lesson(began, 0, before, before)
    steps = int(checkpoint.load(config.folder / checkpoint.LAST)["step"])
    return Lesson(replace(task, network=network), steps, before, after)


def _joined(scores: list[Scores]) -> Scores:
    return {key: value for one in scores for key, value in one.items()}


def _config(name: str, options: Options, deadline: float) -> TrainConfig:
    """A short run; its part of the time that is left to it and the networks after it."""
    recipe, names = RECIPES[name], list(RECIPES)
    left = sum(RECIPES[later].time_share for later in names[names.index(name) :])
    seconds = max(1.0, (deadline - time.monotonic()) * recipe.time_share / left)
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
        validate_every_steps=options.steps,  # once, at the end: the time is for training
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


def from_command_line(arguments: list[str] | None = None) -> Options:
    """Exits with a usage message on what is unknown or wrong."""
    parser = argparse.ArgumentParser(description="Teaches the three networks a mark of your own.")
    parser.add_argument("--mark", type=Path, required=True, help="a picture, best with alpha")
    parser.add_argument("--clips", type=Path, required=True, help="a folder of clean clips or photos; a handful is enough")
    parser.add_argument("--out", type=Path, help="a new folder; build/own/NAME_OF_THE_MARK without it")
    parser.add_argument("--start", type=Path, default=Options.start, help="a folder of checkpoints; the shipped ones without it")
    parser.add_argument("--cache", type=Path, default=Options.cache, help="decoded frames are kept here")
    parser.add_argument("--minutes", type=float, default=Options.minutes)
    parser.add_argument("--steps", type=int, default=Options.steps, help="of each network, at most")
    parser.add_argument("--opacity", type=_range, default=Options.opacity, help="LOW,HIGH: multiplies the alpha of the picture")
    parser.add_argument("--size", type=_range, default=Options.size, help="LOW,HIGH: longer side over the short side of the video")
    parser.add_argument("--place", choices=own_mark.PLACES, default=Options.place)
    parser.add_argument("--ordinary", type=_share, default=Options.ordinary, help="share of the marks that stay ordinary ones")
    parser.add_argument("--samples", type=int, default=Options.samples, help="of each network, to score")
    parser.add_argument("--workers", type=int, default=Options.workers, help="processes that draw samples")
    parser.add_argument("--seed", type=int, default=Options.seed)
    given = vars(parser.parse_args(arguments))
    given["out"] = given["out"] or Path("build/own") / given["mark"].stem
    return Options(**given)


def main(arguments: list[str] | None = None) -> None:
    options = from_command_line(arguments)
    try:
        rows = finetune(options, training_vocabulary())
    except (WrongInput, networks.Misfit, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(f"\n{evaluate.table(rows)}")
    for line in worsened(rows["ordinary, before"], rows["ordinary, after"]):
        print(f"worse on ordinary marks: {line}")
    print(f"{options.out}: use it with `cleanplate models use {options.out}`")


if __name__ == "__main__":
    main()
