"""What one candidate's crops show: its mark probability at native size, its shape, and whether it counts as a mark by itself."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.inference.batcher import Batcher
from service.inference.session import Networks
from service.pipeline.locate.segment import long_exposures, mark_probability
from service.pipeline.marks.candidate import Candidate, Detected, Static, Tiled
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import Crops, to_float
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import CONTEXT_PIXELS, FramePlan
from service.pipeline.marks.presence import presence_scores
from service.pipeline.measure.opacity import MIN_PROBABILITY, SURE_PROBABILITY, predict_matte
from service.pipeline.measure.pool import Observation
from service.pipeline.picture.morphology import dilate, dilate_by
from service.pipeline.placement import Kind, intersect, shared_slices

MIN_PROBABILITY_BESIDE = 0.7  # at native size, where the shrunken picture showed nothing
MIN_COARSE_WEIGHT = 0.25  # of the shrunken picture's probability; 1 if that was at native size
ABSENT_SCORE_SHARE = 0.3  # of its usual score: with less, a static mark is absent from a frame
MAX_ABSENT_FRAMES = 1  # of the frames read


def own_pixels(candidates: Sequence[Candidate], number: int) -> Mask | None:
    """The pixels (h, w) of its box that are nearer to a word of a line than to the others of its time; None of what is of no line."""
    word = candidates[number]
    if not word.in_line:
        return None
    seen, others = word.probability > MIN_PROBABILITY, np.zeros(word.probability.shape, bool)
    for other in candidates:
        together = other.first_sample <= word.last_sample and word.first_sample <= other.last_sample
        if other is not word and together and isinstance(other.origin, Detected | Static) and intersect(word.box, other.box):
            here, there = shared_slices(word.box, other.box)
            others[here] |= other.probability[there] > MIN_PROBABILITY
    others &= ~seen
    return _distance(seen) <= _distance(others) if others.any() else ~others


def observe(
    candidate: Candidate,
    frames: FramePlan,
    crops: Crops,
    networks: Networks,
    classes: frozenset[Kind],
    notes: Notes = UNNOTED,
    own: Mask | None = None,
) -> Observation:
    """The candidate's crops, its refined probability, and its shape: the predicted opacity where the segmenter suspects the mark.

    classes: what the segmenter looks for. own: (h, w), all that may be of it; None for everything.
    """
    marked_crops = np.stack([crops[i] for i in frames.marked_frames])
    bare_crops = np.stack([crops[i] for i in frames.bare_frames]) if frames.bare_frames else marked_crops[:0]
    if candidate.is_exact:
        return Observation(marked_crops, bare_crops, candidate.probability, candidate.probability)
    marked = to_float(marked_crops)
    probability = _refine_probability(candidate, marked, networks.segmenter, classes, own)
    matte = predict_matte(marked, probability, to_float(bare_crops), networks.matte)
    if candidate.must_span_video and not is_in_every_frame(marked, matte.of(probability > SURE_PROBABILITY), notes):
        return Observation(marked_crops, bare_crops, probability, np.zeros_like(probability), confirmed=False)
    confidence = mean_confidence(candidate.confidence, probability)
    notes("confidence", confidence, None, "confirmed" if candidate.confirmed else "unconfirmed: counts only if it matches a confirmed mark")
    shape = np.where(probability > MIN_PROBABILITY, matte.opacity, 0).astype(np.float32)
    return Observation(marked_crops, bare_crops, probability, shape, candidate.confirmed, matte, own)


def mean_confidence(coarse: float, probability: Floats) -> float:
    """Mean of the confidence in the shrunken picture and of that at native size, over the pixels that are surely mark; 0 if none is."""
    sure = probability > SURE_PROBABILITY
    return (float(probability[sure].mean()) + coarse) / 2 if sure.any() else 0.0


def blend_probabilities(native: Floats, coarse: Floats, scale: float) -> Floats:
    """One probability (h, w) from that at native size, which shows strokes better, and that of the picture shrunk to `scale`.

    The shrunken picture as a whole separates mark and scene better, the more so the closer it is to native size.
    """
    weight = np.float32(max(MIN_COARSE_WEIGHT, 1.5 * scale - 0.5))
    return (1 - weight) * native + weight * coarse


def is_in_every_frame(crops: Floats, model: MarkModel, notes: Notes) -> bool:
    """Whether all crops (N, 3, h, w) show the mark, and all of it.

    Given frames far apart, the segmenter sees in all of them what is only in some.
    """
    scores = presence_scores(crops, model)
    absent = sum(score < ABSENT_SCORE_SHARE * float(np.median(scores)) for score in scores)
    notes("frames without it", absent, MAX_ABSENT_FRAMES, "kept" if absent <= MAX_ABSENT_FRAMES else "dropped: it does not span the video")
    return absent <= MAX_ABSENT_FRAMES


def _refine_probability(candidate: Candidate, crops: Floats, segmenter: Batcher, classes: frozenset[Kind], own: Mask | None) -> Floats:
    """Mark probability (h, w) at native size, averaged over the crops (N, 3, h, w), near where the shrunken picture showed the mark."""
    native = mark_probability(long_exposures(crops), segmenter, classes).mean(0)
    coarse = candidate.probability > MIN_PROBABILITY
    near = dilate(coarse, CONTEXT_PIXELS)
    beside = dilate_by(coarse, CONTEXT_PIXELS, coarse.shape[1])  # a thin word may be lost in the shrunken picture
    if own is not None:
        near, beside = near & own, beside & own
    match candidate.origin:
        case Tiled():  # its tiles confirm each other
            blended = np.maximum(native * near, candidate.probability)
        case Detected(scale=scale) | Static(scale=scale):
            blended = blend_probabilities(native, candidate.probability, scale)
        case _:
            raise AssertionError("what is exact is measured by itself")
    return np.where(near, blended, np.where(beside & (native > MIN_PROBABILITY_BESIDE), native, 0)).astype(np.float32)


def _distance(mask: Mask) -> Floats:
    """The distance (h, w) of each pixel to the mask, in pixels."""
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
