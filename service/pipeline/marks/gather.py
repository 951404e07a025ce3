"""Collect the crops of several places in one pass over the frames."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Bytes, Floats
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.placement import Box
from service.pipeline.video import Frame, VideoInfo

Crops = dict[int, Bytes]  # frame index -> (3, h, w) RGB


@dataclass(frozen=True)
class CropRequest:
    """A box, in pixels of the video, and the indices of the frames to crop it from."""

    box: Box
    frames: frozenset[int]


def gather_crops(frames: Iterable[Frame], info: VideoInfo, requests: Sequence[CropRequest]) -> Iterator[tuple[int, Crops]]:
    """Yields (index of the request, its crops) as soon as all crops of a request have been read.

    Only the crops of incomplete requests are held in memory. A request is never yielded if one of its frames is missing.
    """
    requests_of_frame: dict[int, list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        for index in request.frames:
            requests_of_frame[index].append(number)
    incomplete: dict[int, Crops] = defaultdict(dict)
    for frame in frames:
        for number in requests_of_frame.get(frame.index, ()):
            incomplete[number][frame.index] = to_uint8(crop_rgb(frame, requests[number].box, info))
            if len(incomplete[number]) == len(requests[number].frames):
                yield number, incomplete.pop(number)


def is_single_frame(crops: Sequence[object] | Floats | Bytes) -> bool:
    """Whether the crops (N, 3, h, w) are of a single frame, as those of a photo are: then nothing can be learned from changes."""
    return len(crops) == 1


def to_uint8(rgb: Floats) -> Bytes:
    """RGB in [0, 1] as bytes in [0, 255], rounded."""
    return np.rint(rgb * 255).astype(np.uint8)


def to_float(rgb: Bytes) -> Floats:
    """Bytes in [0, 255] as RGB in [0, 1]."""
    floats = rgb.astype(np.float32)
    floats /= np.float32(255)  # in place: of a mark that fills the picture the crops are the largest arrays
    return floats
