"""Step 4: where marks may be. Sampled frames at analysis size, a few at a time, to sightings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS, SEGMENTER_FRAMES, SEGMENTER_MULTIPLE, padded
from service.inference.session import Session
from service.pipeline.composite import shrink_rgb
from service.pipeline.placement import Kind
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

CLASS_OF: dict[Kind, int] = {"overlay": 0, "scene_text": 1}
SAMPLES_PER_SECOND = 6


@dataclass(frozen=True)
class Sighting:
    """What the segmenter saw in one sampled frame: probability (h, w) in [0, 1] at analysis size."""

    frame_index: int
    probability: Floats = field(repr=False)


def sampling_stride(info: VideoInfo) -> int:
    """Frames from one sample to the next: about six samples a second, never more than 8 frames apart."""
    return min(8, max(1, round(float(info.fps) / SAMPLES_PER_SECOND)))


def analysis_size(info: VideoInfo) -> tuple[int, int]:
    """(width, height) of the analysis picture; never larger than the video."""
    scale = min(1.0, ANALYSIS_LONG_SIDE_PIXELS / max(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def segment(frames: Iterable[Frame], info: VideoInfo, session: Session, classes: frozenset[Kind]) -> Iterator[Sighting]:
    """Sightings of every sampled frame, in order. The last group is filled up with earlier samples so that it has time to compare."""
    width, height = analysis_size(info)
    stride = sampling_stride(info)
    group: list[tuple[int, NDArray[np.uint8]]] = []
    for frame in frames:
        if frame.index % stride == 0:
            group.append((frame.index, shrink_rgb(frame, info, width, height)))
            if len(group) == 2 * SEGMENTER_FRAMES:
                yield from _sightings(group[:SEGMENTER_FRAMES], SEGMENTER_FRAMES, session, classes)
                group = group[SEGMENTER_FRAMES:]
    if len(group) > SEGMENTER_FRAMES:
        yield from _sightings(group[:SEGMENTER_FRAMES], SEGMENTER_FRAMES, session, classes)
        fresh = len(group) - SEGMENTER_FRAMES
        yield from _sightings(group[-SEGMENTER_FRAMES:], fresh, session, classes)
    elif group:
        yield from _sightings(group, len(group), session, classes)


def _sightings(group: list[tuple[int, NDArray[np.uint8]]], fresh: int, session: Session, classes: frozenset[Kind]) -> Iterator[Sighting]:
    pictures = np.stack([picture for _, picture in group]).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    probability = mark_probability(pictures, session, classes)
    for (index, _), seen in list(zip(group, probability, strict=True))[-fresh:]:
        yield Sighting(index, seen)


def mark_probability(pictures: Floats, session: Session, classes: frozenset[Kind]) -> Floats:
    """(T, 3, h, w) RGB in [0, 1] of one place at several times -> (T, h, w), the likelier of the wanted classes."""
    height, width = pictures.shape[-2:]
    answer = session.run({"frames": padded(pictures, SEGMENTER_MULTIPLE)[None]})["probability"][0]
    wanted = [CLASS_OF[kind] for kind in sorted(classes) if kind in CLASS_OF] or [0]
    likelier: Floats = answer[:, wanted, :height, :width].max(1)
    return likelier
