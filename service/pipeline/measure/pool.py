"""Pooling: the observations of one mark at several places are registered by its shape, so that their evidence adds up. Pure.

Over a white wall neither the opacity nor the shape of a white mark can be seen. If the same mark was over grass a second before, both
can. Memory holds the crops of a few marks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from service.pipeline.locate.track import MAX_UNCONFIRMED
from service.pipeline.marks.appearance import appearance, is_another
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.marks.mark_model import Matte
from service.pipeline.marks.similarity import MIN_VALUE, match_shapes
from service.pipeline.picture.view import crop_padded
from service.pipeline.placement import bounding_box

MIN_CORRELATION = 0.65  # of two shapes of one mark; two words of one length in one typeface have about 0.4
MAX_OPEN_MARKS = 8  # the latest marks, whose crops are kept in case they are seen again
MAX_OBSERVATIONS = 3  # of one mark: those that show most of it


@dataclass(frozen=True)
class Observation:
    """What was seen at one place: crops (N, 3, h, w) with the mark and (M, 3, h, w) without, uint8; its probability and its shape.

    probability: (h, w) in [0, 1], of being mark. shape: (h, w) in [0, 1], the predicted opacity where a mark is suspected. confirmed:
    whether it counts as a mark by itself; otherwise it counts only if it matches one. matte: what the matte network
    predicts from these crops. own: (h, w) of a word of a line or a caption, all pixels that are not another word's.
    """

    marked_crops: Bytes = field(repr=False)
    bare_crops: Bytes = field(repr=False)
    probability: Floats = field(repr=False)
    shape: Floats = field(repr=False)
    confirmed: bool = True
    matte: Matte | None = field(default=None, repr=False)
    own: Mask | None = None


@dataclass(frozen=True)
class Registration:
    """Where a place lies in a mark's frame of reference, whose (0, 0) is the place's (top, left)."""

    number: int  # of the candidate
    top: int
    left: int


@dataclass(frozen=True)
class PooledMark:
    """Everything seen of one mark, as in `Observation`, in the frame of reference of the place that showed most of it; and its places.

    matte: what the matte network predicts from all of it, where that is known.
    """

    marked_crops: Bytes = field(repr=False)
    bare_crops: Bytes = field(repr=False)
    probability: Floats = field(repr=False)
    registrations: tuple[Registration, ...]
    matte: Matte | None = field(default=None, repr=False)
    own: Mask | None = None


@dataclass
class _OpenMark:
    """A mark that may be seen again: its places, and the observations that show most of it. The first place is the frame of reference."""

    registrations: list[Registration]
    kept: list[tuple[Registration, Observation]]


class MarkPool:
    """Collects observations place by place, and returns each mark when no new observation of it is expected."""

    def __init__(self, decisions: Decisions = UNRECORDED, are_at_once: Callable[[int, int], bool] = lambda one, other: False) -> None:
        """are_at_once: whether a candidate is seen in the middle of another one's time, somewhere else, so that they are two things."""
        self._decisions = decisions
        self._are_at_once = are_at_once
        self._open: list[_OpenMark] = []
        self._unconfirmed: list[tuple[int, Floats]] = []

    def add(self, number: int, observation: Observation) -> list[PooledMark]:
        """Take in the observation of one candidate; return the marks that are complete.

        That is a word of a line at once, and others when they have not been seen for long.
        An unconfirmed place counts only if it shows a mark that is no such word.
        """
        if not observation.confirmed:
            self._unconfirmed = [*self._unconfirmed, (number, observation.shape)][-MAX_UNCONFIRMED:]
            return []
        # A word of a line has its neighbours in its picture, and a caption may be a part of another: their shapes and strokes agree.
        if observation.own is not None:
            here = Registration(number, 0, 0)
            return [_stack(_OpenMark([here], [(here, observation)]))]
        mark, registration = self._match(number, observation)
        self._open = [other for other in self._open if other is not mark] + [mark]
        mark.registrations.append(registration)
        by_size = sorted([*mark.kept, (registration, observation)], key=lambda kept: -float(kept[1].shape.sum()))
        mark.kept = by_size[:MAX_OBSERVATIONS]
        closed, self._open = self._open[:-MAX_OPEN_MARKS], self._open[-MAX_OPEN_MARKS:]
        return [self._close(mark) for mark in closed]

    def flush(self) -> list[PooledMark]:
        """Return the marks that are still open."""
        closed, self._open = self._open, []
        marks = [self._close(mark) for mark in closed]
        for number, _ in self._unconfirmed:
            self._decisions.about("candidate", number)("matches a confirmed mark", None, None, "dropped: it is none")
        return marks

    def _match(self, number: int, observation: Observation) -> tuple[_OpenMark, Registration]:
        """The open mark with the most similar shape, and where the place lies in its frame of reference; a new mark if none is similar."""
        best, match = 0.0, (_OpenMark([], []), Registration(number, 0, 0))
        for mark in self._open:
            similarity, registration = _best_registration(mark, number, observation.shape, observation)
            if registration and similarity > best:
                best, match = similarity, (mark, registration)
        if match[0].registrations:
            self._note(number, match[0], best, "the same mark as")
        return match

    def _note(self, number: int, mark: _OpenMark, similarity: float, outcome: str) -> None:
        outcome = f"{outcome} candidate {mark.registrations[0].number}"
        self._decisions.about("candidate", number)("correlation of its shape with a mark's", similarity, MIN_CORRELATION, outcome)

    def _close(self, mark: _OpenMark) -> PooledMark:
        """The mark, with the unconfirmed places whose shape matches it, best first, but for those where it is not at that time."""
        matches = [(*_best_registration(mark, number, shape), number) for number, shape in self._unconfirmed]
        for similarity, registration, number in sorted(matches, key=lambda match: -match[0]):
            elsewhere = any(self._are_at_once(number, place.number) for place in mark.registrations)
            outcome = "unlike" if not registration else "at the same time elsewhere than" if elsewhere else "kept: the same mark as"
            self._note(number, mark, similarity, outcome)
            if registration and not elsewhere:
                mark.registrations.append(registration)
        known = {place.number for place in mark.registrations}
        self._unconfirmed = [place for place in self._unconfirmed if place[0] not in known]
        return _stack(mark)


def _best_registration(
    mark: _OpenMark, number: int, shape: Floats, observation: Observation | None = None
) -> tuple[float, Registration | None]:
    """How similar a place's shape (h, w) is to the mark's, and where the place lies if it shows the mark: with its strokes, if observed.

    The strokes are those of the place that shows most of the mark: where it was hardly seen, its shape holds what belongs to the scene.
    """
    matches = [(match_shapes(known.shape, shape), registration) for registration, known in mark.kept]
    (similarity, top, left), registration = max(matches, key=lambda match: match[0][0])
    place = Registration(number, registration.top + top, registration.left + left)
    frame, fullest = mark.kept[0]
    at = place.top - frame.top, place.left - frame.left
    if similarity <= MIN_CORRELATION or (observation and _are_different(fullest, observation, *at)):
        return similarity, None
    return similarity, place


def _are_different(known: Observation, observation: Observation, top: int, left: int) -> bool:
    """Whether two places show different marks where their shapes meet: `known`'s (0, 0) lies at the other's (top, left).

    A caption may hold the word that another one is, so each has to show all of the other.
    """
    return _lacks(observation, known, top, left) or _lacks(known, observation, -top, -left)


def _lacks(place: Observation, mark: Observation, top: int, left: int) -> bool:
    """Whether a place shows another mark instead of this one, whose (0, 0) lies at its (top, left)."""
    height, width = mark.shape.shape
    pixels, marked = mark.shape > MIN_VALUE, mark.probability > MIN_VALUE
    there = crop_padded(place.marked_crops, top, left, height, width, repeat_edge=True)
    before, after = (appearance(_mean_picture(crops), pixels, marked) for crops in (mark.marked_crops, there))
    return is_another(before, after)


def _mean_picture(crops: Bytes) -> Bytes:
    """The mean (h, w, 3) of crops (N, 3, h, w)."""
    return np.asarray(np.rint(crops.mean(0)), np.uint8).transpose(1, 2, 0)


def _stack(mark: _OpenMark) -> PooledMark:
    """The observations that show the whole mark, in the frame of reference of the one that shows most of it."""
    frame, fullest = mark.kept[0]
    height, width = fullest.shape.shape
    kept = [(_relative_to(registration, frame), observation) for registration, observation in mark.kept]
    whole = [(registration, observation) for registration, observation in kept if _contains(observation.shape, registration, fullest.shape)]

    def aligned(registration: Registration, values: NDArray[Any], repeat_edge: bool = True) -> NDArray[Any]:
        return crop_padded(values, registration.top, registration.left, height, width, repeat_edge)

    marked_crops = np.concatenate([aligned(registration, observation.marked_crops) for registration, observation in whole])
    bare_crops = np.concatenate([aligned(registration, observation.bare_crops) for registration, observation in whole])
    probabilities = [aligned(registration, observation.probability, repeat_edge=False) for registration, observation in whole]
    probability: Floats = np.max(probabilities, 0)  # a pixel seen at one place was seen
    places = tuple(_relative_to(place, frame) for place in mark.registrations)
    return PooledMark(marked_crops, bare_crops, probability, places, fullest.matte if len(whole) == 1 else None, fullest.own)


def _relative_to(registration: Registration, frame: Registration) -> Registration:
    return Registration(registration.number, registration.top - frame.top, registration.left - frame.left)


def _contains(place: Floats, registration: Registration, shape: Floats) -> bool:
    """Whether the whole shape (h, w) lies inside the place (h, w)."""
    if not (shape > MIN_VALUE).any():
        return True
    box = bounding_box(shape > MIN_VALUE)
    height, width = place.shape
    inside_rows = box.top + registration.top >= 0 and box.bottom + registration.top <= height
    return inside_rows and box.left + registration.left >= 0 and box.right + registration.left <= width
