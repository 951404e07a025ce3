"""A closer look at what was found: enlarged, with only its surroundings in view.

A mark looks like one at any size. What the segmenter takes for one, a wall or a row of windows, mostly depends on its size and on what else
is in the picture (decision 56).
"""

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from service.inference.batcher import Batcher
from service.pipeline.locate.segment import mark_probability
from service.pipeline.marks.gather import to_float
from service.pipeline.placement import Box, Kind, bounding_box, hull, intersect

ENLARGED = 1.5  # as a still picture's second scale
SURROUNDINGS_PIXELS = 48  # at analysis size, around what is looked at

# The probability of each mask's pixels (h, w), enlarged: (masks, T) for pictures (T, 3, h, w).
LookCloser = Callable[[Bytes | Floats, Sequence[Mask]], NDArray[np.float32]]


def closer_look(network: Batcher, classes: frozenset[Kind]) -> LookCloser:
    """A closer look with this network, for these classes."""
    return partial(_look, network, classes)


def _look(network: Batcher, classes: frozenset[Kind], pictures: Bytes | Floats, masks: Sequence[Mask]) -> NDArray[np.float32]:
    height, width = pictures.shape[-2:]
    boxes = [bounding_box(mask).expanded(SURROUNDINGS_PIXELS, width, height) for mask in masks]
    answers = np.zeros((len(masks), len(pictures)), np.float32)
    for window in _windows(boxes):
        probability = seen_enlarged(network, classes, pictures[(..., *window.slices)])
        for number, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
            if hull(window, box) == window:
                answers[number] = probability[:, mask[window.slices]].mean(1)
    return answers


def _windows(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that hold all of these and do not meet: what lies near each other is looked at together."""
    windows: list[Box] = []
    for box in boxes:
        while near := [window for window in windows if intersect(window, box)]:
            windows = [window for window in windows if window not in near]
            for window in near:
                box = hull(box, window)
        windows.append(box)
    return windows


def seen_enlarged(network: Batcher, classes: frozenset[Kind], pictures: Bytes | Floats) -> Floats:
    """The probability (T, h, w) that the segmenter gives to pictures (T, 3, h, w) of ENLARGED times the size."""
    height, width = pictures.shape[-2:]
    size = round(ENLARGED * width), round(ENLARGED * height)
    large = [cv2.resize(one.transpose(1, 2, 0), size, interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1) for one in _floats(pictures)]
    probability = mark_probability(np.stack(large), network, classes)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in probability])


def _floats(pictures: Bytes | Floats) -> Floats:
    return to_float(pictures.view(np.uint8)) if pictures.dtype == np.uint8 else pictures.astype(np.float32, copy=False)
