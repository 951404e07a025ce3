"""Draws the training samples of a network once, in parallel, into a folder from which trainers read them.

python -m training.store DATA OUT --network segmenter --samples 8000 [--seed 1] [--workers 2] [--cache build/clips] [--mistake-share 0.05]
        [--kinds vertical,plate]
python -m training.store DATA OUT --network inpainter --recorded --samples 4000

Drawing and compressing a sample takes longer than a small network needs to learn from it. The folder has `index.json` and shards
`00000.npy`, `00001.npy` ...: memory-mapped arrays of records, a field for each array of a sample. Stopped and started again, it goes on
with the first missing shard; more `--samples` add shards. The folder may be read while it grows. Samples of another seed, setting, material
or version of the drawing code are refused. `--recorded`: the inpainter's samples as the service makes them (`recording.py`), at a tenth of
the speed. `--held-out`: from the clips that no network learns from, for `training.evaluate --store`.
"""

import argparse
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from models import registry, spec
from training.config import TrainConfig
from training.feed import SampleDataset, init_worker, worker_context
from training.fit import open_sources
from training.recording import recorded_samples
from training.samples import INPAINTER_KINDS, SEGMENTER_KINDS, Sample
from training.scenes import Source
from training.stored import ENCODINGS, INDEX, LAYOUTS, Index, StoreMismatch, read_index, shard_path

SHARD_SAMPLES = 64
NOT_DRAWING = ("train_*.py", "fit.py", "feed.py", "task.py", "journal.py", "losses.py", "checkpoint.py", "validation.py", "variation.py",
               "curves.py", "pages.py", "evaluate.py", "finetune.py", "own_mark.py", "deliver.py", "networks.py", "metrics.py",
               "samples_page.py", "store.py", "stored.py", "config.py")  # fmt: skip
FINDING = ("locate", "measure", "extent", "marks", "remove", "picture")  # the pipeline's packages that recorded samples depend on


def draw(
    folder: Path, network: str, source: Source, samples: int, workers: int = 0, size: int | None = None, recorded: bool = False
) -> Index:
    """Draw the samples that the store lacks; `samples` is rounded up to whole shards. Raises StoreMismatch if it holds others.

    `size`: pixels of the training windows, by default those of the network. The worker processes draw a shard each at a time; with 0,
    this process draws. `recorded`: the inpainter's samples are those that the service makes.
    """
    layout = LAYOUTS[network]
    size = size or layout.size
    draws = partial(recorded_samples if recorded else partial(_one_by_one, layout.sampler, SHARD_SAMPLES), size=size + layout.margin)
    shards = -(-samples // SHARD_SAMPLES)
    index = Index(
        network, source.seed, source.mistake_share, size + layout.margin, size, shards * SHARD_SAMPLES, SHARD_SAMPLES,
        tuple((name, layout.encodings[name], array.shape) for name, array in next(draws(source, 0)).items()), code_digest(recorded),
        _digest_of(source), recorded, source.kinds,
    )  # fmt: skip
    index = _continued(folder, index)
    missing = [number for number in range(shards) if not shard_path(folder, number).exists()]
    started, drawn = time.monotonic(), 0
    for _ in _in_parallel(partial(_draw_shard, folder, index, draws, SampleDataset(layout.sampler, source)), missing, workers):
        drawn += SHARD_SAMPLES
        print(f"{drawn} of {len(missing) * SHARD_SAMPLES} samples, {drawn / (time.monotonic() - started):.1f} a second", flush=True)
    return index


def _continued(folder: Path, index: Index) -> Index:
    """The index for drawing into the folder, which is empty or holds samples of the same kind; written."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / INDEX).exists():
        there = read_index(folder)
        index = replace(index, samples=max(index.samples, there.samples))
        other = [f.name for f in fields(Index) if f.name != "samples" and getattr(there, f.name) != getattr(index, f.name)]
        if other:
            raise StoreMismatch(f"{folder} was drawn with another {', '.join(other)}: draw into another folder")
    index.write(folder)
    return index


def _in_parallel(work: Callable[[int], None], numbers: Iterable[int], workers: int) -> Iterable[None]:
    if not workers:
        yield from map(work, numbers)
        return
    with ProcessPoolExecutor(workers, worker_context(), init_worker, (0,)) as pool:
        yield from pool.map(work, numbers)


def _one_by_one(sampler: Callable[..., Sample], count: int, source: Source, shard: int, size: int) -> Iterator[Sample]:
    """The `count` samples of a shard, each drawn for itself."""
    for index in range(shard * count, (shard + 1) * count):
        yield sampler(source, index, size=size)


def _draw_shard(folder: Path, index: Index, draws: Callable[[Source, int], Iterator[Sample]], dataset: SampleDataset, number: int) -> None:
    """Draw and write one shard; it appears complete or not at all. The dataset carries the source to this process."""
    records = np.empty(index.shard_samples, index.record)
    for position, sample in zip(range(index.shard_samples), draws(dataset.source, number), strict=False):
        for name, code, _ in index.fields:
            records[name][position] = ENCODINGS[code].encode(sample[name])
    unfinished = shard_path(folder, number).with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, records)
    unfinished.replace(shard_path(folder, number))


def code_digest(recorded: bool = False) -> str:
    """A digest of the code and the weights that decide how samples look: every module here counts that is not in NOT_DRAWING.

    For recorded samples, all that the service finds marks and measures them with counts too.
    """
    here, root = Path(__file__).parent, Path(__file__).parents[1]
    modules = {path for path in here.glob("*.py") if not any(path.match(pattern) for pattern in NOT_DRAWING)}
    modules |= {root / "models" / name for name in ("preprocess.py", "references.py", "blend.py")}
    if recorded:
        modules |= {path for folder in FINDING for path in (root / "service" / "pipeline" / folder).glob("*.py")}
    total = hashlib.sha256(registry.find(spec.SEGMENTER).sha256.encode())  # the matte head learns from its answers
    if recorded:
        total.update(registry.find(spec.MATTE).sha256.encode())
    for path in sorted(modules):
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _digest_of(source: Source) -> str:
    """A digest of the names and sizes of the material: clips, fonts, texts, cut-outs, mistakes."""
    parts = [[(clip.name, clip.frames.shape) for clip in source.clips], source.vocabulary, [path.name for path in source.cutouts]]
    return hashlib.sha256(repr([*parts, source.mistakes]).encode()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> None:
    defaults = TrainConfig("store")
    parser = argparse.ArgumentParser(description="Draws the training samples of a network into a folder.")
    parser.add_argument("data", type=Path, help="a folder with clips/ and photos/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", choices=LAYOUTS, required=True)
    parser.add_argument("--samples", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--cache", type=Path, default=defaults.cache, help="a folder for decoded frames")
    parser.add_argument("--mistake-share", type=float, default=0.0, help="share of the segmenter's scenes with its false positives")
    parser.add_argument("--kinds", default="", help="kinds of marks, separated by commas; by default all that the network learns from")
    parser.add_argument("--held-out", action="store_true", help="draw from the held-out clips, to score networks on")
    parser.add_argument("--recorded", action="store_true", help="samples as the service makes them; of the inpainter only")
    given = parser.parse_args(arguments)
    if given.recorded and given.network != "inpainter":
        parser.error("only the inpainter's samples can be recorded")
    kinds = tuple(kind for kind in given.kinds.split(",") if kind)
    if unknown := sorted(set(kinds) - set(INPAINTER_KINDS if given.network != "segmenter" else SEGMENTER_KINDS)):
        parser.error(f"the {given.network} learns from no kind of mark named {', '.join(unknown)}")
    config = replace(defaults, data=given.data, cache=given.cache, seed=given.seed, mistake_share=given.mistake_share)
    try:
        sources = open_sources(config)
        source = replace(sources.validation if given.held_out else sources.training, kinds=kinds)
        index = draw(given.out, given.network, source, given.samples, given.workers, recorded=given.recorded)
    except StoreMismatch as error:
        raise SystemExit(str(error)) from error
    print(f"{index.samples} samples of the {given.network} in {given.out}")


if __name__ == "__main__":
    main()
