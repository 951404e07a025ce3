"""Crops of the places that are looked at again: in one pass over the frames, each place's crops together as soon as it has them all."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.composite import crop_rgb
from service.pipeline.placement import Box
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Crops = dict[int, Bytes]  # (3, h, w) RGB by frame index


@dataclass(frozen=True)
class CropRequest:
    """A box in native pixels and the frames in which it is to be seen."""

    box: Box
    frames: frozenset[int]


def gather_crops(frames: Iterable[Frame], info: VideoInfo, places: Sequence[CropRequest]) -> Iterator[tuple[int, Crops]]:
    """(number of the place, its crops), in the order in which the places are complete; memory holds the incomplete ones only."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for number, place in enumerate(places):
        for index in place.frames:
            wanted[index].append(number)
    crops: dict[int, Crops] = defaultdict(dict)
    for frame in frames:
        for number in wanted.get(frame.index, ()):
            crops[number][frame.index] = to_uint8(crop_rgb(frame, places[number].box, info))
            if len(crops[number]) == len(places[number].frames):
                yield number, crops.pop(number)


def is_still(crops: NDArray[Any]) -> bool:
    """Whether the crops (N, 3, h, w) are of a single frame, as those of a photo are: then nothing can be learned from changes."""
    return len(crops) == 1


def to_uint8(rgb: Floats) -> Bytes:
    """[0, 1] to [0, 255]."""
    return np.rint(rgb * 255).astype(np.uint8)


def to_float(rgb: Bytes) -> Floats:
    """[0, 255] to [0, 1]."""
    return rgb.astype(np.float32) / np.float32(255)
