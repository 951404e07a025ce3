"""Synthetic marks for training and for the benchmark.

A mark has one patch per frame; a patch is an alpha map and a colour map at a place. The kinds imitate real ones: those of the benchmark
(`benchmark_marks.py`), those of today's generators (`generator_marks.py`) and many more (`overlays.py`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.benchmark_marks import BENCHMARK_KINDS
from training.caption_marks import CAPTION_KINDS
from training.generator_marks import GENERATOR_KINDS
from training.overlays import OVERLAY_KINDS
from training.patches import Canvas, Mark, Patch, Rng, apply, placed
from training.vocabulary import Vocabulary

__all__ = ["KINDS", "Mark", "Patch", "apply", "draw", "placed"]

_KINDS = {**BENCHMARK_KINDS, **OVERLAY_KINDS, **GENERATOR_KINDS, **CAPTION_KINDS}
KINDS = tuple(_KINDS)


def draw(
    kind: str, rng: Rng, width: int, height: int, frames: int, vocabulary: Vocabulary, photos: Sequence[NDArray[np.uint8]] = ()
) -> Mark:
    """A random mark of the kind on `frames` frames of width x height pixels; stickers are cut from `photos`, (H, W, 3) uint8 each."""
    drawn = _KINDS[kind](rng, Canvas(width, height, frames, vocabulary, photos))
    return Mark(kind, drawn.patches, drawn.intervals)
