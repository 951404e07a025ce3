"""Draws the training samples of a network once, in parallel, into a folder from which trainers read them.

python -m training.store DATA OUT --network segmenter --samples 8000 [--seed 1] [--workers 2] [--cache build/clips] [--mistake-share 0.05]

Drawing and compressing a sample takes longer than a small network needs to learn from it. The folder has `index.json` and shards
`00000.npy`, `00001.npy` ...: memory-mapped arrays of records, a field for each array of a sample. Stopped and started again, it goes on
with the first missing shard; more `--samples` add shards. The folder may be read while it grows. Samples of another seed, setting, material
or version of the drawing code are refused.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import registry, spec
from training import variation
from training.config import TrainConfig
from training.feed import SampleDataset, init_worker, worker_context
from training.restoration import inpainter_sample
from training.samples import Sample, matte_sample, segmenter_sample
from training.scenes import Source

VERSION = 1  # of the format
INDEX = "index.json"
SHARD_SAMPLES = 64
NOT_DRAWING = ("train_*.py", "fit.py", "feed.py", "task.py", "journal.py", "losses.py", "checkpoint.py", "validation.py", "variation.py",
               "curves.py", "pages.py", "evaluate.py", "finetune.py", "own_mark.py", "deliver.py", "networks.py", "metrics.py",
               "samples_page.py", "store.py", "config.py")  # fmt: skip


class StoreMismatch(Exception):
    """A store cannot be used or continued; the message says why."""


@dataclass(frozen=True)
class Encoding:
    """How an array of a sample is stored: `code` names it in the index; decoding gives float32."""

    dtype: str
    encode: Callable[[NDArray[np.float32]], NDArray[Any]]
    decode: Callable[[NDArray[Any]], NDArray[np.float32]]


ENCODINGS: Mapping[str, Encoding] = {
    "byte": Encoding("u1", lambda x: np.rint(x * 255).astype(np.uint8), lambda x: x.astype(np.float32) / 255),  # [0, 1]
    "word": Encoding("u2", lambda x: np.rint(x * 65535).astype(np.uint16), lambda x: x.astype(np.float32) / 65535),  # [0, 1]
    "half": Encoding("f2", lambda x: x.astype(np.float16), lambda x: x.astype(np.float32)),
    "bits": Encoding("u1", lambda x: np.packbits(x > 0.5, axis=-1), lambda x: np.unpackbits(x, axis=-1).astype(np.float32)),  # 0 or 1
}


@dataclass(frozen=True)
class Layout:
    """How a network's samples are stored: larger by `margin` pixels than they are trained on, for crops."""

    sampler: Callable[..., Sample]
    size: int  # pixels, of the training windows
    margin: int
    encodings: Mapping[str, str]
    varied: Callable[[Sample, np.random.Generator], Sample]


LAYOUTS: Mapping[str, Layout] = {
    "segmenter": Layout(segmenter_sample, 224, 32, {"frames": "byte", "target": "bits"}, variation.of_segmenter),
    "matte": Layout(
        matte_sample, 128, 16, {"statistics": "half", "opacity": "word", "colour": "byte", "clean": "byte"}, variation.of_matte
    ),
    "inpainter": Layout(
        inpainter_sample,
        96,
        16,
        {"frames": "byte", "mask": "bits", "opacity": "word", "colour": "byte", "doubt": "word", "clean": "byte", "hole": "bits"},
        variation.of_inpainter,
    ),
}


@dataclass(frozen=True)
class Index:
    """What a store holds. `fields`: name, encoding and shape of each array; `code`, `material`: digests of what drew it and of what."""

    network: str
    seed: int
    mistake_share: float
    size: int  # pixels, of the stored windows
    crop: int  # pixels, of the training windows
    samples: int
    shard_samples: int
    fields: tuple[tuple[str, str, tuple[int, ...]], ...]
    code: str
    material: str
    version: int = VERSION

    @property
    def record(self) -> np.dtype[Any]:
        """The type of a stored sample."""
        return np.dtype([(name, ENCODINGS[code].dtype, _stored_shape(code, shape)) for name, code, shape in self.fields])

    def write(self, folder: Path) -> None:
        unfinished = folder / f"{INDEX}.part"
        unfinished.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(folder / INDEX)


def read_index(folder: Path) -> Index:
    """The index of a store. Raises StoreMismatch if there is none, or if its format is of another version."""
    try:
        entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreMismatch(f"{folder} is not a store of samples") from error
    if entries.get("version") != VERSION:
        raise StoreMismatch(f"{folder} is of format {entries.get('version')}, this code reads format {VERSION}")
    arrays = tuple((name, code, tuple(shape)) for name, code, shape in entries.pop("fields"))
    return Index(fields=arrays, **entries)


def draw(folder: Path, network: str, source: Source, samples: int, workers: int = 0, size: int | None = None) -> Index:
    """Draw the samples that the store lacks; `samples` is rounded up to whole shards. Raises StoreMismatch if it holds others.

    `size`: pixels of the training windows, by default those of the network. The worker processes draw a shard each at a time; with 0,
    this process draws.
    """
    layout = LAYOUTS[network]
    size = size or layout.size
    sampler = partial(layout.sampler, size=size + layout.margin)
    shards = -(-samples // SHARD_SAMPLES)
    index = Index(
        network, source.seed, source.mistake_share, size + layout.margin, size, shards * SHARD_SAMPLES, SHARD_SAMPLES,
        tuple((name, layout.encodings[name], array.shape) for name, array in sampler(source, 0).items()), code_digest(), _digest_of(source),
    )  # fmt: skip
    index = _continued(folder, index)
    missing = [number for number in range(shards) if not _shard(folder, number).exists()]
    started, drawn = time.monotonic(), 0
    for _ in _in_parallel(partial(_draw_shard, folder, index, SampleDataset(sampler, source)), missing, workers):
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


def _draw_shard(folder: Path, index: Index, dataset: SampleDataset, number: int) -> None:
    """Draw and write one shard; it appears complete or not at all."""
    records = np.empty(index.shard_samples, index.record)
    for position in range(index.shard_samples):
        sample = dataset[number * index.shard_samples + position]
        for name, code, _ in index.fields:
            records[name][position] = ENCODINGS[code].encode(sample[name])
    unfinished = _shard(folder, number).with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, records)
    unfinished.replace(_shard(folder, number))


class StoredSamples:
    """The samples of a store in a new random order every time round, each time varied: cropped, mirrored, in another light.

    Called as a sampler: sample i depends on the seed, i and the number of shards that the store had when it was opened.
    """

    def __init__(self, folder: Path, network: str, seed: int) -> None:
        self.folder, self.seed, self.index = folder, seed, read_index(folder)
        if self.index.network != network:
            raise StoreMismatch(f"{folder} holds samples of the {self.index.network}, not of the {network}")
        shards = 0
        while _shard(folder, shards).exists():
            shards += 1
        if not shards:
            raise StoreMismatch(f"{folder} has no samples yet")
        self.count = shards * self.index.shard_samples

    def __len__(self) -> int:
        return self.count

    def __call__(self, _source: Source | None, index: int) -> Sample:
        turn, position = divmod(index, self.count)
        rng = np.random.default_rng([self.seed, index])
        top, left = rng.integers(0, self.index.size - self.index.crop + 1, 2)
        window = slice(top, top + self.index.crop), slice(left, left + self.index.crop)
        sample = self.drawn(int(_order(self.seed, turn, self.count)[position]), window)
        return LAYOUTS[self.index.network].varied(sample, rng)

    def drawn(self, number: int, window: tuple[slice, slice] = (slice(None), slice(None))) -> Sample:
        """Sample `number` as it was drawn, or that window of it."""
        shard, position = divmod(number, self.index.shard_samples)
        record = _records(_shard(self.folder, shard))[position]
        return {name: _decoded(record[name], code, shape[-1], window) for name, code, shape in self.index.fields}


def _decoded(stored: NDArray[Any], code: str, width: int, window: tuple[slice, slice]) -> NDArray[np.float32]:
    """The window of a stored array, float32. Eight bits share a byte, so those are unpacked before their columns are cut."""
    rows, columns = window
    if code == "bits":
        return ENCODINGS[code].decode(stored[..., rows, :])[..., :width][..., columns]
    return ENCODINGS[code].decode(stored[..., rows, columns])


def _stored_shape(code: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], -(-shape[-1] // 8)) if code == "bits" else shape


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.npy"


@lru_cache(maxsize=4096)
def _records(path: Path) -> NDArray[Any]:
    records: NDArray[Any] = np.load(path, mmap_mode="r")
    return records


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn, count]).permutation(count)


def code_digest() -> str:
    """A digest of the code and the weights that decide how samples look: every module here counts that is not in NOT_DRAWING."""
    here, pipeline = Path(__file__).parent, Path(__file__).parents[1]
    modules = {path for path in here.glob("*.py") if not any(path.match(pattern) for pattern in NOT_DRAWING)}
    modules |= {pipeline / "models" / name for name in ("preprocess.py", "references.py", "blend.py")}
    total = hashlib.sha256(registry.find(spec.SEGMENTER).sha256.encode())  # the matte head learns from its answers
    for path in sorted(modules):
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _digest_of(source: Source) -> str:
    """A digest of the names and sizes of the material: clips, fonts, texts, cut-outs, mistakes."""
    parts = [[(clip.name, clip.frames.shape) for clip in source.clips], source.vocabulary, [path.name for path in source.cutouts]]
    return hashlib.sha256(repr([*parts, source.mistakes]).encode()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> None:
    from training.fit import open_sources  # reads stores itself

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
    given = parser.parse_args(arguments)
    config = replace(defaults, data=given.data, cache=given.cache, seed=given.seed, mistake_share=given.mistake_share)
    try:
        index = draw(given.out, given.network, open_sources(config).training, given.samples, given.workers)
    except StoreMismatch as error:
        raise SystemExit(str(error)) from error
    print(f"{index.samples} samples of the {given.network} in {given.out}")


if __name__ == "__main__":
    main()
