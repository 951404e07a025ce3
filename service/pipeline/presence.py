"""Step 5, second half: in which frames a measured mark is there, exact at both ends. Pure."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import pull_push

Floats = NDArray[np.float32]

THERE = 0.4  # between the mean score without the mark (0) and with it (1)
GONE = 0.25


@dataclass(frozen=True)
class Look:
    """A part of a mark: mask (h, w) of 0 and 1, opacity (h, w), colour (3, h, w)."""

    mask: Floats
    opacity: Floats
    colour: Floats


def score(crop: Floats, look: Look) -> float:
    """How much of the mark a crop (3, h, w) shows: about 1 when it is there, about 0 when it is not.

    The least-squares factor by which the mark's own effect on the filled surroundings, `opacity * (colour - fill)`, explains the crop.
    """
    hole = cv2.dilate((look.mask > 0.5).astype(np.float32), np.ones((5, 5), np.uint8)).astype(np.float32, copy=False)
    fill = pull_push(crop.transpose(1, 2, 0), 1 - hole).transpose(2, 0, 1)
    effect = look.opacity * look.mask * (look.colour - fill)
    return float((effect * (crop - fill)).sum() / max(float((effect * effect).sum()), 1e-6))


def first_and_last(
    scores: dict[int, float], inside: tuple[int, int], absent: float, present: float, is_part: bool = False
) -> tuple[int, int]:
    """Walks from the frames known to be inside outwards while the mark is there.

    scores: by frame, for the frames around both ends. inside: (first, last) sampled frame that showed the mark; a part of a mark may
    have gone before the rest of it. absent, present: scores typical without and with it. Returns (first, last).
    """
    there = absent + THERE * (present - absent)
    gone = absent + GONE * (present - absent)
    first, last = inside
    while is_part and first < last and scores.get(first, present) < gone:
        first += 1
    while is_part and last > first and scores.get(last, present) < gone:
        last -= 1
    while first - 1 in scores and scores[first - 1] > there:
        first -= 1
    while last + 1 in scores and scores[last + 1] > there:
        last += 1
    return first, last


def parts(mask: NDArray[np.bool_], most: int = 6) -> list[NDArray[np.bool_]]:
    """A mark's separate parts, each with a tenth of its pixels or more; small ones go with the nearest. One part if there are many."""
    joined = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    count, labels, _, centres = cv2.connectedComponentsWithStats(joined)
    sizes = [int((mask & (labels == label)).sum()) for label in range(count)]
    large = [label for label in range(1, count) if sizes[label] >= 0.1 * mask.sum()]
    if not 1 < len(large) <= most:
        return [mask]
    found = {label: mask & (labels == label) for label in large}
    for label in set(range(1, count)) - set(large):
        nearest = min(large, key=lambda other: float(np.hypot(*(centres[label] - centres[other]))))
        found[nearest] |= mask & (labels == label)
    return list(found.values())
