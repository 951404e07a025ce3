"""Runs many same-named windows in as few calls as their shapes allow; a window's answer does not depend on its company."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.inference.session import Arrays, Session

BATCH_SIZES = (8, 4, 2, 1)  # only these reach the device, so that it meets few shapes


def batches(count: int, sizes: Sequence[int] = BATCH_SIZES) -> list[int]:
    """Cuts `count` windows into allowed batch sizes, largest first. 1 must be among the sizes."""
    cut: list[int] = []
    for size in sorted(sizes, reverse=True):
        cut += [size] * (count // size)
        count %= size
    return cut


def run_batched(session: Session, windows: Sequence[Arrays], sizes: Sequence[int] = BATCH_SIZES, workers: int = 1) -> list[Arrays]:
    """Answers of the windows, in their order. Each window's arrays lack the batch dimension; `workers` calls run at a time."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(list)
    for index, window in enumerate(windows):
        groups[tuple(array.shape for array in window.values())].append(index)
    chunks = [chunk for members in groups.values() for chunk in _chunks(members, sizes)]
    answers: list[Arrays] = [{} for _ in windows]

    def run(chunk: list[int]) -> Arrays:
        return session.run({name: np.stack([windows[i][name] for i in chunk]) for name in windows[chunk[0]]})

    with ThreadPoolExecutor(workers) as pool:
        for chunk, result in zip(chunks, pool.map(run, chunks), strict=True):
            for place, index in enumerate(chunk):
                answers[index] = {name: array[place] for name, array in result.items()}
    return answers


def _chunks(members: list[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    start = 0
    for size in batches(len(members), sizes):
        yield members[start : start + size]
        start += size
