"""Where the segmenter that is served takes clean clips and photos for marks: places that its training goes back to.

Hard examples are looked for with the network itself, as Sung and Poggio did for faces ("Example-based Learning for View-based Human Face
Detection", 1998).
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
from training.sighted import shipped_segmenter

SEEN = 0.3  # probability from which on a place is a mistake
LEAST_PIXELS = 12  # at analysis size
STRIDE_FRAMES = 8
WINDOWS = 3  # of SEGMENTER_FRAMES frames each, evenly over a clip, beside one of exposures


@dataclass(frozen=True)
class Mistake:
    """A piece of a clean clip, in its pixels, in which marks are seen at some time."""

    clip: str
    top: int
    left: int
    height: int
    width: int


def mistakes(clips: Sequence[Clip], folder: Path) -> tuple[Mistake, ...]:
    """All of these clips; looked for once with these weights, and kept in the folder."""
    weights = registry.find(spec.SEGMENTER)
    key = hashlib.sha256(" ".join([weights.sha256, *(clip.name for clip in clips)]).encode()).hexdigest()[:16]
    kept = folder / f"mistakes_{key}.json"
    if not kept.exists():
        found = [asdict(mistake) for clip in clips for mistake in _of(clip)]
        half = kept.with_suffix(".part")
        half.write_text(json.dumps(found), encoding="utf-8")
        half.rename(kept)
    return tuple(Mistake(**entry) for entry in json.loads(kept.read_text(encoding="utf-8")))


def _of(clip: Clip) -> Iterator[Mistake]:
    height, width = clip.frames.shape[1:3]
    scale = min(1.0, ANALYSIS_LONG_SIDE_PIXELS / max(height, width))
    seen = np.max([mark_probability(look, shipped_segmenter(), frozenset({"overlay"})).max(0) for look in _looks(clip, scale)], axis=0)
    wide = cv2.dilate((seen > SEEN).astype(np.uint8), np.ones((9, 9), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(wide)
    for label in range(1, count):
        if ((labels == label) & (seen > SEEN)).sum() >= LEAST_PIXELS:
            left, top, across, down = (round(float(value) / scale) for value in boxes[label][:4])
            yield Mistake(clip.name, top, left, down, across)


def _looks(clip: Clip, scale: float) -> Iterator[NDArray[np.float32]]:
    """(T, 3, h, w) in [0, 1]: stretches of the clip, and its quarters as long exposures."""
    frames = [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for frame in clip.frames[:: STRIDE_FRAMES // 2]]
    pictures = np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32) / 255
    yield long_exposures(pictures)
    for start in np.unique(np.linspace(0, max(0, len(pictures) - 2 * SEGMENTER_FRAMES), WINDOWS).astype(int)):
        yield pictures[start : start + 2 * SEGMENTER_FRAMES : 2]
