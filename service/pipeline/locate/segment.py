"""Run the segmenter on sampled frames at analysis size, a few at a time, to get detections."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.arrays import Bytes, Floats
from models.preprocess import ANALYSIS_LONG_SIDE_PIXELS, SEGMENTER_FRAMES, padded
from models.spec import SEGMENTER_MULTIPLE
from service.inference.batcher import Batcher
from service.pipeline.marks.gather import to_float
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.tiles import Area, in_tiles
from service.pipeline.placement import Kind
from service.pipeline.video import Frame, VideoInfo

Sample = tuple[int, Bytes]  # frame index and picture (h, w, 3) RGB at analysis size

CLASS_OF: dict[Kind, int] = {"overlay": 0, "scene_text": 1}
SAMPLES_PER_SECOND = 6
STILL_SECOND_SCALE = 1.5  # a still picture is also segmented at this multiple of the analysis size


@dataclass(frozen=True)
class Detection:
    """The segmenter's answer for one sampled frame: mark probability (h, w) in [0, 1] at analysis size.

    pictures: (T, 3, h, w) RGB, the samples among which it was compared; this frame's is at `place`.
    """

    frame_index: int
    probability: Floats = field(repr=False)
    pictures: Bytes = field(repr=False)
    place: int = 0


def sampling_stride(info: VideoInfo) -> int:
    """Frames from one sample to the next: about SAMPLES_PER_SECOND samples a second, at most 8 frames apart."""
    return min(8, max(1, round(float(info.fps) / SAMPLES_PER_SECOND)))


def analysis_size(info: VideoInfo) -> tuple[int, int]:
    """(width, height) of the analysis picture in pixels; never larger than the video."""
    scale = min(1.0, ANALYSIS_LONG_SIDE_PIXELS / max(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def is_sampled(index: int, stride: int, total_frames: int) -> bool:
    """Whether a frame is sampled: every stride-th frame, and all of the first and last few, where the video may cut an interval short."""
    return index % stride == 0 or _is_near_an_end(index, total_frames)


def _is_near_an_end(index: int, total_frames: int) -> bool:
    return index < SEGMENTER_FRAMES or index >= total_frames - SEGMENTER_FRAMES


def segment(
    frames: Iterable[Frame],
    info: VideoInfo,
    network: Batcher,
    classes: frozenset[Kind],
    keep: Callable[[Sample], object] = lambda sample: None,
) -> Iterator[Detection]:
    """Yields the detection of every sampled frame, in order. `keep` is called with every sample.

    The network compares SEGMENTER_FRAMES samples with each other. A group with fewer new samples is filled up with earlier ones. The
    last frames of the video form their own group.
    """
    if info.container == "image":
        yield from (_detect_in_still(frame, info, network, classes, keep) for frame in frames)
        return
    width, height = analysis_size(info)
    stride, total_frames = sampling_stride(info), info.frames_estimate
    looks = _Looks(network, classes)
    fresh: list[Sample] = []  # not segmented yet
    recent: list[Sample] = []  # the last SEGMENTER_FRAMES samples, with the fresh ones at the end
    for frame in frames:
        if SEGMENTER_FRAMES <= frame.index == total_frames - SEGMENTER_FRAMES:
            yield from looks.at(recent, fresh)
            fresh = []
        if is_sampled(frame.index, stride, total_frames):
            sample = frame.index, shrink_rgb(frame, info, width, height)
            keep(sample)
            fresh, recent = [*fresh, sample], [*recent, sample][-SEGMENTER_FRAMES:]
        if len(fresh) == SEGMENTER_FRAMES:
            yield from looks.at(recent, fresh)
            fresh = []
    yield from looks.at(recent, fresh)


def _detect_in_still(
    frame: Frame, info: VideoInfo, network: Batcher, classes: frozenset[Kind], keep: Callable[[Sample], object]
) -> Detection:
    """The detection of a still picture: the mean of two scales. A mark is detected at both; a detail of the scene often is not."""
    width, height = analysis_size(info)
    pictures = [shrink_rgb(frame, info, round(scale * width), round(scale * height)) for scale in (1.0, STILL_SECOND_SCALE)]
    keep((frame.index, pictures[0]))
    answers = [mark_probability(to_float(picture.transpose(2, 0, 1)[None]), network, classes)[0] for picture in pictures]
    resized = [cv2.resize(answer, (width, height), interpolation=cv2.INTER_LINEAR) for answer in answers]
    probability: Floats = np.mean(resized, axis=0, dtype=np.float32)
    return Detection(frame.index, probability, pictures[0].transpose(2, 0, 1)[None])


@dataclass
class _Looks:
    """Looks at groups of samples with the network. What is the same as in the last group, bit by bit, is not looked at again."""

    network: Batcher
    classes: frozenset[Kind]
    _last: tuple[Bytes, Floats] | None = None  # the pictures (T, 3, h, w) of the last group, and the answer

    def at(self, recent: Sequence[Sample], fresh: Sequence[Sample]) -> Iterator[Detection]:
        """The detections of the fresh samples, which are the last of the recent ones, among which the network compares them."""
        if not fresh:
            return
        pictures = np.stack([picture for _, picture in recent]).transpose(0, 3, 1, 2)
        if self._last is None or not np.array_equal(pictures, self._last[0]):
            self._last = pictures, mark_probability(to_float(pictures), self.network, self.classes)
        for place, (index, _) in enumerate(fresh, len(recent) - len(fresh)):
            yield Detection(index, self._last[1][place], pictures, place)


def long_exposures(pictures: Floats, count: int = SEGMENTER_FRAMES) -> Floats:
    """The means of `count` consecutive groups of the pictures: (N, 3, h, w) -> (min(count, N), 3, h, w).

    In a mean over time a static mark loses its noise, and the scene blurs.
    """
    return np.stack([group.mean(0) for group in np.array_split(pictures, min(count, len(pictures)))])


def mark_probability(pictures: Floats, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """The probability (T, h, w) in [0, 1] that a pixel belongs to a mark: the highest of the requested classes.

    pictures: (T, 3, h, w) RGB in [0, 1], of one place at T times. Without a class of the segmenter, overlays are requested.
    """
    channels = [CLASS_OF[kind] for kind in sorted(classes) if kind in CLASS_OF] or [0]

    def probability(area: Area) -> Floats:
        part = pictures[(..., *area)]
        height, width = part.shape[-2:]
        (answer,) = network.run([{"frames": padded(part, SEGMENTER_MULTIPLE)}])
        highest: Floats = answer["probability"][:, channels, :height, :width].max(1)
        return highest

    size = round(ANALYSIS_LONG_SIDE_PIXELS * math.sqrt(SEGMENTER_FRAMES / len(pictures)))  # as many pixels as a video's samples have
    return in_tiles(probability, pictures.shape[-2], pictures.shape[-1], size)
