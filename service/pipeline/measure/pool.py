"""Step 5 in between: the same mark at several places is one mark, and what was seen of it anywhere counts everywhere.

Where a white mark stands over a white wall nothing can be told of its opacity, nor of its shape; where it stood a second ago,
over grass, everything can. Appearances are recognised by their shape and laid over each other. Pure; memory holds a few marks' crops.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline.picture.view import crop_padded
from service.pipeline.placement import bounding_box

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MIN_CORRELATION = 0.65  # correlation of two shapes that are one mark; two words of one length in one typeface have about 0.4
MAX_OPEN_MARKS = 8  # the latest marks, whose crops are kept until they are seen no more
MAX_UNCONFIRMED = 64  # the latest places that are no marks by themselves
MAX_OBSERVATIONS = 3  # of a mark: those that show most of it
EDGE_PIXELS = 3  # around a shape: its outline is a part of it
MIN_OPACITY = 0.1  # opacity that counts as shape
MAX_SIZE_RATIO = 4.0  # marks whose areas differ by more than this are not compared


@dataclass(frozen=True)
class Observation:
    """What was seen at one place. marked_crops (N, 3, h, w) and bare_crops (M, 3, h, w) uint8: with and without the mark.

    probability and shape (h, w) in [0, 1]: of being mark, and how opaque. `confirmed`: a mark by itself, not only if it matches one.
    """

    marked_crops: Bytes = field(repr=False)
    bare_crops: Bytes = field(repr=False)
    probability: Floats = field(repr=False)
    shape: Floats = field(repr=False)
    confirmed: bool = True


@dataclass(frozen=True)
class Registration:
    """Where a place lies in a mark's frame: that frame's (0, 0) is the place's (top, left)."""

    number: int
    top: int
    left: int


@dataclass(frozen=True)
class PooledMark:
    """One mark: all that was seen of it, as in `Observation`, in the frame of the place that showed most of it; and where it was seen."""

    marked_crops: Bytes = field(repr=False)
    bare_crops: Bytes = field(repr=False)
    probability: Floats = field(repr=False)
    registrations: tuple[Registration, ...]


@dataclass
class _OpenMark:
    """A mark that may be seen again. All spots are in the frame of the first place; the fullest appearances are kept."""

    registrations: list[Registration]
    kept: list[tuple[Registration, Observation]]


class MarkPool:
    """Lays appearances of one mark over each other, place by place."""

    def __init__(self) -> None:
        self._open: list[_OpenMark] = []
        self._unsure: list[tuple[int, Floats]] = []

    def add(self, number: int, seen: Observation) -> list[PooledMark]:
        """Takes in what was seen at a place; returns marks that have not been seen for long."""
        if not seen.confirmed:
            self._unsure = [*self._unsure, (number, seen.shape)][-MAX_UNCONFIRMED:]
            return []
        mark, registration = self._known(number, seen)
        self._open = [other for other in self._open if other is not mark] + [mark]
        mark.registrations.append(registration)
        mark.kept = sorted([*mark.kept, (registration, seen)], key=lambda kept: -float(kept[1].shape.sum()))[:MAX_OBSERVATIONS]
        gone, self._open = self._open[:-MAX_OPEN_MARKS], self._open[-MAX_OPEN_MARKS:]
        return [self._closed(mark) for mark in gone]

    def flush(self) -> list[PooledMark]:
        """The marks that are still open."""
        gone, self._open = self._open, []
        return [self._closed(mark) for mark in gone]

    def _known(self, number: int, seen: Observation) -> tuple[_OpenMark, Registration]:
        """The most similar open mark and where the place lies in its frame; a new one if none is alike."""
        best, chosen = 0.0, (_OpenMark([], []), Registration(number, 0, 0))
        for mark in self._open:
            likeness, registration = _best_match(mark, number, seen.shape)
            if registration and likeness > best:
                best, chosen = likeness, (mark, registration)
        return chosen

    def _closed(self, mark: _OpenMark) -> PooledMark:
        """The mark with every unsure place that looks like it."""
        fits = [(number, _best_match(mark, number, shape)[1]) for number, shape in self._unsure]
        mark.registrations += [registration for _, registration in fits if registration]
        self._unsure = [unsure for unsure, (_, registration) in zip(self._unsure, fits, strict=True) if not registration]
        return _stack(mark)


def _best_match(mark: _OpenMark, number: int, shape: Floats) -> tuple[float, Registration | None]:
    """How like the mark a place's shape is, and where it lies if it is the mark."""
    compared = [(match_shapes(seen.shape, shape), registration) for registration, seen in mark.kept]
    (likeness, top, left), registration = max(compared, key=lambda found: found[0][0])
    return likeness, Registration(number, registration.top + top, registration.left + left) if likeness > MIN_CORRELATION else None


def _stack(mark: _OpenMark) -> PooledMark:
    """In the frame of the fullest appearance, with the others that show all of it."""
    frame, fullest = mark.kept[0]
    height, width = fullest.shape.shape
    kept = [(_relative_to(registration, frame), seen) for registration, seen in mark.kept]
    whole = [(registration, seen) for registration, seen in kept if _contains(seen.shape, registration, fullest.shape)]

    def aligned(registration: Registration, values: NDArray[Any], repeat_edge: bool = True) -> NDArray[Any]:
        return crop_padded(values, registration.top, registration.left, height, width, repeat_edge)

    marked_crops = np.concatenate([aligned(registration, seen.marked_crops) for registration, seen in whole])
    bare_crops = np.concatenate([aligned(registration, seen.bare_crops) for registration, seen in whole])
    probability: Floats = np.max(
        [aligned(registration, seen.probability, repeat_edge=False) for registration, seen in whole], 0
    )  # seen once is seen
    return PooledMark(
        marked_crops, bare_crops, probability, tuple(_relative_to(registration, frame) for registration in mark.registrations)
    )


def _relative_to(registration: Registration, frame: Registration) -> Registration:
    return Registration(registration.number, registration.top - frame.top, registration.left - frame.left)


def _contains(place: Floats, registration: Registration, shape: Floats) -> bool:
    """Whether the whole shape lies inside the place."""
    if not (shape > MIN_OPACITY).any():
        return True
    own = bounding_box(shape > MIN_OPACITY)
    height, width = place.shape
    inside_rows = own.top + registration.top >= 0 and own.bottom + registration.top <= height
    return inside_rows and own.left + registration.left >= 0 and own.right + registration.left <= width


def match_shapes(known: Floats, seen: Floats) -> tuple[float, int, int]:
    """How like two shapes (h, w) are, shifted as suits best: (correlation, top, left), where known's (0, 0) is seen's (top, left)."""
    there, here = known > MIN_OPACITY, seen > MIN_OPACITY
    if not there.any() or not here.any() or not 1 / MAX_SIZE_RATIO < float(there.sum()) / float(here.sum()) < MAX_SIZE_RATIO:
        return 0.0, 0, 0
    own = bounding_box(there)
    top, left = own.top - EDGE_PIXELS, own.left - EDGE_PIXELS
    height, width = own.height + 2 * EDGE_PIXELS, own.width + 2 * EDGE_PIXELS
    if height > 2 * seen.shape[0] or width > 2 * seen.shape[1]:
        return 0.0, 0, 0
    pad_y, pad_x = height // 2 + 1, width // 2 + 1
    template = np.ascontiguousarray(crop_padded(known, top, left, height, width, repeat_edge=False))
    padded = np.pad(seen, ((pad_y, pad_y), (pad_x, pad_x)))
    likeness = cv2.matchTemplate(padded, template, cv2.TM_CCOEFF_NORMED)
    energy = cv2.matchTemplate(padded * padded, np.ones_like(template), cv2.TM_CCORR)
    likeness[energy < float(np.square(template).sum()) / MAX_SIZE_RATIO**2] = 0  # where there is nothing the correlation may be anything
    _, best, _, (x, y) = cv2.minMaxLoc(likeness)
    return float(best), y - pad_y - top, x - pad_x - left
