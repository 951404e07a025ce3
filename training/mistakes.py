"""Finds false positives of the shipped segmenter in clean clips and photos, which are then shown in training as hard negatives.

Mining hard examples with the network itself follows Sung and Poggio ("Example-based Learning for View-based Human Face Detection", 1998).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models import registry, spec
from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS, SEGMENTER_FRAMES
from service.pipeline.locate.segment import long_exposures, mark_probability
from training.clips import Clip
from training.detection import shipped_segmenter

MIN_PROBABILITY = 0.3  # a higher probability in a clean clip is a mistake
MIN_PIXELS = 12  # area of a mistake, at analysis size
STRIDE_FRAMES = 8
WINDOWS = 3  # per clip, of SEGMENTER_FRAMES frames each, evenly spaced; one of long exposures is added


@dataclass(frozen=True)
class Mistake:
    """A rectangle of a clean clip, in its pixels, where the segmenter finds a mark in some frame."""

    clip: str
    top: int
    left: int
    height: int
    width: int


def mistakes(clips: Sequence[Clip], folder: Path) -> tuple[Mistake, ...]:
    """The mistakes in these clips, searched once per weights and set of clips, and cached in the folder."""
    weights = registry.find(spec.SEGMENTER)
    key = hashlib.sha256(" ".join([weights.sha256, *(clip.name for clip in clips)]).encode()).hexdigest()[:16]
    cached = folder / f"mistakes_{key}.json"
    if not cached.exists():
        found = [asdict(mistake) for clip in clips for mistake in _find(clip)]
        unfinished = cached.with_suffix(".part")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.rename(cached)
    return tuple(Mistake(**entry) for entry in json.loads(cached.read_text(encoding="utf-8")))


def _find(clip: Clip) -> Iterator[Mistake]:
    height, width = clip.frames.shape[1:3]
    scale = min(1.0, ANALYSIS_LONG_SIDE_PIXELS / max(height, width))
    maps = [mark_probability(window, shipped_segmenter(), frozenset({"overlay"})).max(0) for window in _inputs(clip, scale)]
    wrong = np.max(maps, axis=0) > MIN_PROBABILITY
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(wrong.astype(np.uint8), np.ones((9, 9), np.uint8)))
    for label in range(1, count):
        if ((labels == label) & wrong).sum() >= MIN_PIXELS:
            left, top, box_width, box_height = (round(float(value) / scale) for value in boxes[label][:4])
            yield Mistake(clip.name, top, left, box_height, box_width)


def _inputs(clip: Clip, scale: float) -> Iterator[NDArray[np.float32]]:
    """Windows (T, 3, h, w) in [0, 1] for the segmenter: long exposures of the clip's quarters, and some of its stretches."""
    frames = [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for frame in clip.frames[:: STRIDE_FRAMES // 2]]
    pictures = np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32) / 255
    yield long_exposures(pictures)
    for start in np.unique(np.linspace(0, max(0, len(pictures) - 2 * SEGMENTER_FRAMES), WINDOWS).astype(int)):
        yield pictures[start : start + 2 * SEGMENTER_FRAMES : 2]
