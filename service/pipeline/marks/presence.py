"""Step 5, second half: in which frames a measured mark is there, exact at both ends. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import pull_push
from service.pipeline.picture.view import crop_padded

Floats = NDArray[np.float32]

PRESENT_SCORE = 0.4  # between the mean score without the mark (0) and with it (1)
ABSENT_SCORE = 0.35
MAX_PARTS = 3  # that may come and go by themselves
PART_GAPS_PIXELS = (5, 9, 13, 19, 27)  # tried from the smallest: letters of a word are nearer to each other than a word to its logo
SPECK_SHARE = 0.02  # of a mark's pixels: what is smaller is no part


@dataclass(frozen=True)
class MarkModel:
    """A part of a mark: mask (h, w) of 0 and 1, opacity (h, w), colour (3, h, w), and the opacity's likely error (h, w)."""

    mask: Floats
    opacity: Floats
    colour: Floats
    opacity_sigma: Floats


def crop_model(model: MarkModel, top: int, left: int, height: int, width: int) -> MarkModel:
    """The look in another window of the same plane, from (top, left) on; nothing beyond its own."""
    return MarkModel(
        *(
            crop_padded(v, top, left, height, width, repeat_edge=False)
            for v in (model.mask, model.opacity, model.colour, model.opacity_sigma)
        )
    )


def dilate(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The mask (h, w) with so many pixels around it, in squares."""
    square = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    result: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), square) > 0
    return result


def fill_hole(crop: Floats, mask: NDArray[np.bool_], around_pixels: int = 2) -> Floats:
    """A crop (3, h, w) with the mask (h, w) and a few pixels around it filled in from beyond."""
    known = (~dilate(mask, around_pixels)).astype(np.float32)
    return pull_push(crop.transpose(1, 2, 0), known).transpose(2, 0, 1)


def mark_effect(fill: Floats, model: MarkModel) -> Floats:
    """What the mark does to its filled surroundings (3, h, w)."""
    return model.opacity * model.mask * (model.colour - fill)


def presence_score(crop: Floats, fill: Floats, model: MarkModel) -> float:
    """How much of the mark a crop (3, h, w) shows: about 1 when it is there, about 0 when it is not.

    The least-squares factor by which the mark's own effect on the filled surroundings, `opacity * (colour - fill)`, explains the crop.
    """
    own = mark_effect(fill, model)
    return float((own * (crop - fill)).sum() / max(float((own * own).sum()), 1e-6))


def presence_scores(crops: Iterable[Floats], model: MarkModel) -> list[float]:
    """The score of each crop (3, h, w) against a fill of its own."""
    return [presence_score(crop, fill_hole(crop, model.mask > 0.5), model) for crop in crops]


class LazyScores(Mapping[int, float]):
    """Scores by frame, each computed when it is first asked for: a walk from the middle outwards ends soon."""

    def __init__(self, frames: Iterable[int], score_of: Callable[[int], float]) -> None:
        self._frames = dict.fromkeys(frames)
        self._score_of = score_of
        self._known: dict[int, float] = {}

    def __getitem__(self, frame: int) -> float:
        if frame not in self._known:
            if frame not in self._frames:
                raise KeyError(frame)
            self._known[frame] = self._score_of(frame)
        return self._known[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._frames

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


def first_and_last_frame(presence_scores: Mapping[int, float], inside: tuple[int, int], absent: float, present: float) -> tuple[int, int]:
    """Walks from the frames known to be inside outwards while the mark is there.

    scores: by frame, for the frames around both ends. inside: (first, last) sampled frame that showed the mark, or was taken to: the
    segmenter sees several frames at once, and a part of a mark may have gone before the rest of it. absent, present: scores typical
    without and with it. Returns (first, last).
    """
    there = absent + PRESENT_SCORE * (present - absent)
    gone = absent + ABSENT_SCORE * (present - absent)
    first, last = inside
    while first < last and presence_scores.get(first, present) < gone:
        first += 1
    while last > first and presence_scores.get(last, present) < gone:
        last -= 1
    while first - 1 in presence_scores and presence_scores[first - 1] > there:
        first -= 1
    while last + 1 in presence_scores and presence_scores[last + 1] > there:
        last += 1
    return first, last


def split_parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """A mark's separate parts, such as its logo and its word: letters and strokes near each other are one. Specks go with the nearest.

    The gap that separates is the smallest that leaves no more than MAX_PARTS; one part where none does, as in a pattern.
    """
    for gap in PART_GAPS_PIXELS:
        joined = cv2.dilate(mask.astype(np.uint8), np.ones((gap, gap), np.uint8))
        count, labels, _, centres = cv2.connectedComponentsWithStats(joined)
        sizes = np.bincount(labels[mask], minlength=count)
        large = [label for label in range(1, count) if sizes[label] >= SPECK_SHARE * mask.sum()]
        if len(large) > MAX_PARTS:
            continue
        if len(large) < 2:
            break
        found = {label: mask & (labels == label) for label in large}
        for label in set(range(1, count)) - set(large):
            nearest = min(large, key=lambda other: float(np.hypot(*(centres[label] - centres[other]))))
            found[nearest] |= mask & (labels == label)
        return list(found.values())
    return [mask]
