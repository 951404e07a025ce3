"""Step 4: where marks may be. Sampled frames at analysis size, a few at a time, to sightings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS, SEGMENTER_FRAMES, padded
from models.spec import SEGMENTER_MULTIPLE
from service.inference.batcher import Batcher
from service.pipeline.marks.gather import to_float
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.placement import Kind
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]
Sample = tuple[int, NDArray[np.uint8]]  # frame index and picture (h, w, 3)

CLASS_OF: dict[Kind, int] = {"overlay": 0, "scene_text": 1}
SAMPLES_PER_SECOND = 6
STILL_SECOND_SCALE = 1.5  # times the analysis size, at which a single picture is looked at as well


@dataclass(frozen=True)
class Detection:
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


def is_sampled(index: int, stride: int, total_frames: int) -> bool:
    """Whether a frame is looked at: every stride-th, and all at both ends, where a stay may be cut off after a frame."""
    return index % stride == 0 or _near_either_end(index, total_frames)


def _near_either_end(index: int, total_frames: int) -> bool:
    return index < SEGMENTER_FRAMES or index >= total_frames - SEGMENTER_FRAMES


def segment(
    frames: Iterable[Frame],
    info: VideoInfo,
    network: Batcher,
    classes: frozenset[Kind],
    keep: Callable[[Sample], object] = lambda sample: None,
) -> Iterator[Detection]:
    """Sightings of every sampled frame, in order; `keep` gets every sample. The frames at an end are compared with each other; a group
    that is not full is filled up with earlier samples so that it has time to compare."""
    if info.container == "image":
        yield from (_detect_in_still(frame, info, network, classes, keep) for frame in frames)
        return
    width, height = analysis_size(info)
    stride, total = sampling_stride(info), info.frames_estimate
    group: list[Sample] = []
    recent: list[Sample] = []
    for frame in frames:
        if SEGMENTER_FRAMES <= frame.index == total - SEGMENTER_FRAMES:  # the last ones have a group of their own
            yield from detections_of(recent, group, network, classes)
            group = []
        if is_sampled(frame.index, stride, total):
            sample = frame.index, shrink_rgb(frame, info, width, height)
            keep(sample)
            group, recent = [*group, sample], [*recent, sample][-SEGMENTER_FRAMES:]
        if len(group) == SEGMENTER_FRAMES:
            yield from detections_of(recent, group, network, classes)
            group = []
    yield from detections_of(recent, group, network, classes)


def _detect_in_still(
    frame: Frame, info: VideoInfo, network: Batcher, classes: frozenset[Kind], keep: Callable[[Sample], object]
) -> Detection:
    """Of a single picture, looked at twice: what is a mark looks like one from nearer too, what is a detail of the scene often does not."""
    width, height = analysis_size(info)
    pictures = [shrink_rgb(frame, info, round(scale * width), round(scale * height)) for scale in (1.0, STILL_SECOND_SCALE)]
    keep((frame.index, pictures[0]))
    seen = [mark_probability(to_float(picture.transpose(2, 0, 1)[None]), network, classes)[0] for picture in pictures]
    looks = [cv2.resize(look, (width, height), interpolation=cv2.INTER_LINEAR) for look in seen]
    return Detection(frame.index, np.mean(looks, axis=0, dtype=np.float32))


def detections_of(recent: Sequence[Sample], fresh: Sequence[Sample], network: Batcher, classes: frozenset[Kind]) -> Iterator[Detection]:
    """Of the fresh ones among the most recent samples."""
    if not fresh:
        return
    pictures = to_float(np.stack([picture for _, picture in recent]).transpose(0, 3, 1, 2))
    probability = mark_probability(pictures, network, classes)
    for (index, _), seen in zip(fresh, probability[-len(fresh) :], strict=True):
        yield Detection(index, seen)


def long_exposures(pictures: Floats, looks: int = SEGMENTER_FRAMES) -> Floats:
    """(N, 3, h, w) -> (looks, 3, h, w), each the mean of its share of the frames: what stands loses its noise, the scene blurs."""
    return np.stack([part.mean(0) for part in np.array_split(pictures, min(looks, len(pictures)))])


def mark_probability(pictures: Floats, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """(T, 3, h, w) RGB in [0, 1] of one place at several times -> (T, h, w), the likelier of the wanted classes."""
    height, width = pictures.shape[-2:]
    (answer,) = network.run([{"frames": padded(pictures, SEGMENTER_MULTIPLE)}])
    wanted = [CLASS_OF[kind] for kind in sorted(classes) if kind in CLASS_OF] or [0]
    likelier: Floats = answer["probability"][:, wanted, :height, :width].max(1)
    return likelier
