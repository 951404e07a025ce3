"""Reads the samples that `training.store` drew. Shards are memory-mapped; a sample is a record with a field for each of its arrays."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import variation
from training.restoration import aligned_sample
from training.samples import Sample, matte_sample, segmenter_sample
from training.scenes import Source

VERSION = 1  # of the format
INDEX = "index.json"


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
        aligned_sample,
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
    recorded: bool = False  # whether the service itself found and measured the marks
    kinds: tuple[str, ...] = ()  # the kinds of marks it is limited to
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
    return Index(fields=arrays, kinds=tuple(entries.pop("kinds", ())), **entries)


class StoredSamples:
    """The samples of one or more stores in a new random order every time round, each time varied: cropped, mirrored, in another light.

    Called as a sampler: sample i depends on the seed, i and the number of shards that the stores had when they were opened.
    """

    def __init__(self, folders: Path | Sequence[Path], network: str, seed: int) -> None:
        stores = {folder: read_index(folder) for folder in ([folders] if isinstance(folders, Path) else folders)}
        self.seed, self.index = seed, next(iter(stores.values()))
        self.shards = [shard for folder, index in stores.items() for shard in _shards_of(folder, network, index)]
        if len({(index.record, index.shard_samples, index.size, index.crop) for index in stores.values()}) > 1:
            raise StoreMismatch("the stores hold samples of different sizes")
        self.count = len(self.shards) * self.index.shard_samples

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
        record = _records(self.shards[shard])[position]
        return {name: _decoded(record[name], code, shape[-1], window) for name, code, shape in self.index.fields}


def _shards_of(folder: Path, network: str, index: Index) -> list[Path]:
    """The finished shards of a store. Raises StoreMismatch if it has none, or samples of another network."""
    if index.network != network:
        raise StoreMismatch(f"{folder} holds samples of the {index.network}, not of the {network}")
    shards = list(takewhile(Path.exists, (shard_path(folder, number) for number in count())))
    if not shards:
        raise StoreMismatch(f"{folder} has no samples yet")
    return shards


def _decoded(stored: NDArray[Any], code: str, width: int, window: tuple[slice, slice]) -> NDArray[np.float32]:
    """The window of a stored array, float32. Eight bits share a byte, so those are unpacked before their columns are cut."""
    rows, columns = window
    if code == "bits":
        return ENCODINGS[code].decode(stored[..., rows, :])[..., :width][..., columns]
    return ENCODINGS[code].decode(stored[..., rows, columns])


def _stored_shape(code: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], -(-shape[-1] // 8)) if code == "bits" else shape


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.npy"


@lru_cache(maxsize=4096)
def _records(path: Path) -> NDArray[Any]:
    records: NDArray[Any] = np.load(path, mmap_mode="r")
    return records


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn, count]).permutation(count)
