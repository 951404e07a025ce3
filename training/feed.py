"""Batches for the training loop, drawn in its process or by background workers; either way the same batches in the same order."""

import multiprocessing
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.clips import Clip, Frames
from training.config import TrainConfig
from training.samples import Sample, Source
from training.task import Batch


class SampleDataset(Dataset[Sample]):
    """Sample i of a source. Memory-mapped clips are sent to workers as paths, and mapped again there."""

    def __init__(self, sample: Callable[[Source, int], Sample], source: Source) -> None:
        self.sample = sample
        self.source = source

    def __getitem__(self, index: int) -> Sample:
        return self.sample(self.source, index)

    def __getstate__(self) -> dict[str, Any]:
        paths = [_path_of(clip.frames) for clip in self.source.clips]
        clips = tuple(
            clip if path is None else Clip(clip.name, np.empty(0, np.uint8)) for clip, path in zip(self.source.clips, paths, strict=True)
        )
        return {"sample": self.sample, "source": replace(self.source, clips=clips), "paths": paths}

    def __setstate__(self, state: dict[str, Any]) -> None:
        source: Source = state["source"]
        clips = tuple(
            clip if path is None else Clip(clip.name, np.load(path, mmap_mode="r"))
            for clip, path in zip(source.clips, state["paths"], strict=True)
        )
        self.__init__(state["sample"], replace(source, clips=clips))  # type: ignore[misc]


def batches(
    sample: Callable[[Source, int], Sample], source: Source, config: TrainConfig, first_step: int, rank: int = 0, ranks: int = 1
) -> Iterable[Batch]:
    """The batches from `first_step` to the end of the run. Each of the `ranks` devices gets its own samples of every step."""
    firsts = [(step * ranks + rank) * config.batch for step in range(first_step, config.steps)]
    return DataLoader(
        SampleDataset(sample, source),
        batch_sampler=[range(first, first + config.batch) for first in firsts],  # type: ignore[arg-type]
        collate_fn=collated,
        num_workers=config.workers,
        multiprocessing_context=worker_context() if config.workers else None,
        worker_init_fn=init_worker,
        pin_memory=torch.cuda.is_available(),
    )


def collated(samples: list[Sample]) -> Batch:
    """Stack samples into tensors (B, ...)."""
    return {key: torch.from_numpy(np.stack([s[key] for s in samples])) for key in samples[0]}


def _path_of(frames: Frames) -> str | None:
    """The path of the file, if these frames map all of it; else None."""
    if not isinstance(frames, np.memmap) or frames.filename is None:
        return None
    path = str(frames.filename)
    return path if np.load(path, mmap_mode="r").shape == frames.shape else None


def worker_context() -> Any:
    """Start workers from a fork server, which has the imports done and no threads: forking this process could deadlock."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.networks"])  # spares each worker the imports
    return context


def init_worker(_worker: int) -> None:
    """Use one thread, and flush denormals as the training process does, for equal numbers."""
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
