"""How much two looks at a video say that one rigid mark is in both, at every shift between them. Pure.

A mark has the same pixels at both places; what is beside it, under it, or only looks like a mark to the segmenter has not. So what counts
is the correlation of the fine detail where both looks may show a mark, and on how many pixels it rests.
"""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats
from service.pipeline.marks.gather import to_float
from service.pipeline.marks.registration import fine_detail
from service.pipeline.picture.view import View, crop_padded

DETAIL_PIXELS = 9  # at analysis size, side of the mean that fine detail is what is left of: wider than the strokes of most marks
RIM_PIXELS = 2  # around a mark: its edges tell most of its shape
CORRELATED_PIXELS = 12  # of fine detail that say one thing together: nine cover a stroke's width, and a codec blurs
DETAIL_NOISE = 1e-5  # mean square of fine detail in [0, 1], what a codec alone makes of a flat wall: no evidence of anything


@dataclass(frozen=True)
class Look:
    """What is seen in a window: probability (h, w) that a pixel belongs to a mark, and fine detail (h, w, 3)."""

    probability: Floats = field(repr=False)
    detail: Floats = field(repr=False)

    def crop(self, view: View) -> "Look":
        """The part in a view, given from this look's (0, 0); nothing is seen outside."""
        at = view.top, view.left, view.height, view.width
        detail = crop_padded(self.detail.transpose(2, 0, 1), *at, repeat_edge=False).transpose(1, 2, 0)
        return Look(crop_padded(self.probability, *at, repeat_edge=False), detail)


def look_at(picture: Bytes, probability: Floats) -> Look:
    """A look at a picture (h, w, 3)."""
    return Look(probability, detail_of(picture))


def detail_of(picture: Bytes) -> Floats:
    """The fine detail (h, w, 3) of a picture (h, w, 3)."""
    return np.ascontiguousarray(fine_detail(to_float(picture.transpose(2, 0, 1)), DETAIL_PIXELS).transpose(1, 2, 0))


def best_agreement(known: Look, other: Look) -> tuple[float, int, int]:
    """(evidence, top, left): where the known look (h, w) lies in the other one (H, W), wholly inside it.

    evidence: in nats, beyond what the best of so many shifts reaches by chance.
    """
    evidence = agreement(known, other)
    top, left = (int(index) for index in np.unravel_index(int(evidence.argmax()), evidence.shape))
    return float(evidence[top, left]) - math.log(evidence.size), top, left


def agreement(known: Look, other: Look) -> NDArray[np.float64]:
    """(H - h + 1, W - w + 1): the log likelihood ratio of one mark in both looks to two that have nothing to do with each other, in nats.

    known: (h, w). other: (H, W).
    """
    (p, d), (q, e) = ((_with_rim(look.probability), np.ascontiguousarray(look.detail)) for look in (known, other))
    shared = np.maximum(_sums(q, p), 0)
    product, own, others = _sums(q[..., None] * e, p[..., None] * d), _sums(q, p * _power(d)), _sums(q * _power(e), p)
    noise = DETAIL_NOISE * d.shape[2] * (shared + 1)
    return evidence_of(product, np.maximum(own, 0), np.maximum(others, 0), noise, shared)


def evidence_of(
    product: NDArray[np.float64],
    own: NDArray[np.float64] | float,
    others: NDArray[np.float64],
    noise: NDArray[np.float64] | float,
    pixels: NDArray[np.float64] | int,
) -> NDArray[np.float64]:
    """The log likelihood ratio, in nats, of one fine detail in two places to two that have nothing to do with each other.

    product, own, others: sums over so many pixels, of the details' product and of either's square. noise: a codec's share of those squares.
    """
    correlation = np.maximum(product, 0) / np.sqrt((own + noise) * (others + noise))
    evidence: NDArray[np.float64] = -np.log1p(-np.square(np.minimum(correlation, 1 - DETAIL_NOISE))) / 2
    return evidence * pixels / CORRELATED_PIXELS


def _power(detail: Floats) -> Floats:
    """The sum of squares (h, w) over the colours of a detail (h, w, 3): NumPy is ten times as slow where it sums over the last axis."""
    red, green, blue = np.moveaxis(np.square(detail), 2, 0)
    power: Floats = red + green + blue
    return power


def _with_rim(probability: Floats) -> Floats:
    side = 2 * RIM_PIXELS + 1
    return cv2.dilate(probability, np.ones((side, side), np.uint8)).astype(np.float32, copy=False)


def _sums(wide: Floats, small: Floats) -> NDArray[np.float64]:
    """The sum of products of `small` with `wide` at every shift."""
    return np.asarray(cv2.matchTemplate(wide.astype(np.float32), small.astype(np.float32), cv2.TM_CCORR), np.float64)
