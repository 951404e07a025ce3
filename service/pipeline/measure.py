"""Step 5 in between, on a second look at the file: each track at native size, its exact pixels, opacity, colour and ends."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocess import REACH_FRAMES, SEGMENTER_FRAMES
from service.inference.session import Networks
from service.pipeline.composite import crop_rgb
from service.pipeline.opacity import UNCLEAR_SCORE, believed, matte
from service.pipeline.placement import Box, Kind, Placement, common, meet
from service.pipeline.presence import Look, Scores, filled, first_and_last, parts, score
from service.pipeline.segment import mark_probability
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

CONTEXT_PIXELS = 16  # around a mark: what the networks need to see of the scene
INSIDE_FRAMES = 8  # looked at while the mark is there
VISIBLE_OPACITY = 0.06
SURE = 0.6  # probability at native size above which a pixel is surely mark
FAINT = 0.3  # and above which it is if the matte sees it too
CERTAIN = 0.85  # and above which it is though the matte sees nothing: eyes and counters that only darken the scene
EDGE_SHARE = 0.15  # of the mark's own opacity: what is fainter is beyond its edge
CONFIDENT = 0.815  # of a mark, 0 to 1: marks on held-out clips have 0.82 to 0.96, what resembles them seldom above 0.81
LEAST_SHARE = 3e-4  # of the picture's pixels: what is smaller is a detail of the scene
BESIDE = 0.7  # probability at native size that counts where the look from afar saw nothing
COARSE_WEIGHT = 0.2  # native size shows strokes more clearly, the look from afar what resembles a mark but is scene
LEAST_OF_BOX = 0.02  # a person's box in which less than this share is found to be mark is removed whole
SAME_SHARE = 0.7  # of a mark's pixels that another one has too, where both are the same
SEARCH_SAMPLES = 3  # beyond the samples that showed a mark to look for its ends: a group's only sample of a new place may miss it
BEYOND_FRAMES = 3  # beyond the first sample that did not show a mark it is taken to be there if that cannot be seen
REFERENCE_GAP_FRAMES = 2  # as in models.preprocess.reference_frames
AWAY_FRAMES = (1, 6, 18, REACH_FRAMES)  # beyond the search for the ends: frames that may show what the mark hides


@dataclass(frozen=True)
class Candidate:
    """A place to be measured: box in native pixels with context, probability (h, w) in it, and the frames that surely show the mark."""

    box: Box
    probability: Floats = field(repr=False)
    first_sample: int
    last_sample: int
    confidence: float
    kind: Kind
    slack_frames: int  # how far beyond its samples the mark may reach; 0 where a person gave the exact frames
    exact_mask: bool = False  # the mask was given and is not to be refined


@dataclass(frozen=True)
class Measured:
    """A placement, and what its place looked like just before and after: crops (3, h, w) uint8 by frame index."""

    placement: Placement
    uncovered: dict[int, Bytes] = field(repr=False)


@dataclass(frozen=True)
class _Plan:
    """Which frames of a candidate are wanted, for what."""

    inside: tuple[int, ...]
    outside: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def frames(self) -> set[int]:
        return {*self.inside, *self.outside, *self.ends}


def measure(frames: Iterable[Frame], info: VideoInfo, candidates: list[Candidate], networks: Networks, total_frames: int) -> list[Measured]:
    """Measures every candidate in one pass; a candidate's crops are let go as soon as it is measured."""
    plans = [_plan(candidate, candidates, total_frames) for candidate in candidates]
    wanted: dict[int, list[int]] = defaultdict(list)
    for number, plan in enumerate(plans):
        for index in plan.frames:
            wanted[index].append(number)
    crops: list[dict[int, Bytes]] = [{} for _ in candidates]
    found: list[Measured] = []
    for frame in frames:
        for number in wanted.get(frame.index, ()):
            crops[number][frame.index] = _bytes(crop_rgb(frame, candidates[number].box, info))
            if len(crops[number]) == len(plans[number].frames):
                found += _measured(candidates[number], plans[number], crops[number], networks, LEAST_SHARE * info.width * info.height)
                crops[number] = {}
    return sorted(_distinct(found), key=lambda m: m.placement.first_frame)


def _distinct(found: list[Measured]) -> list[Measured]:
    """Without those that another one, longer, already covers: parts of one mark may have been found from each other's side."""
    kept: list[Measured] = []
    for mark in sorted(found, key=lambda m: m.placement.first_frame - m.placement.last_frame):
        if mark.placement.kind == "user" or not any(_covers(other.placement, mark.placement) for other in kept):
            kept.append(mark)
    return kept


def _covers(longer: Placement, other: Placement) -> bool:
    """Whether most pixels of `other` are the longer one's too, in the same frames."""
    if longer.first_frame > other.first_frame or longer.last_frame < other.last_frame or not meet(longer.box, other.box):
        return False
    here, there = common(longer.box, other.box)
    shared = (longer.mask[here] > 0.5) & (other.mask[there] > 0.5)
    return float(shared.sum()) >= SAME_SHARE * float((other.mask > 0.5).sum())


def _plan(candidate: Candidate, all_of_them: list[Candidate], total: int) -> _Plan:
    first, last, slack = candidate.first_sample, candidate.last_sample, candidate.slack_frames
    inside = np.unique(np.linspace(first, last, INSIDE_FRAMES).round().astype(int)).tolist()
    if not slack:
        return _Plan(tuple(inside), (), ())
    reach = SEARCH_SAMPLES * slack
    around = [
        *range(first - reach - REFERENCE_GAP_FRAMES, first + slack),
        *range(last - slack + 1, last + reach + REFERENCE_GAP_FRAMES + 1),
    ]
    others = [c for c in all_of_them if c is not candidate and meet(c.box, candidate.box)]
    away = [first - reach - d for d in AWAY_FRAMES] + [last + reach + d for d in AWAY_FRAMES]
    free = [
        i
        for i in away
        if 0 <= i < total and not any(c.first_sample - c.slack_frames <= i <= c.last_sample + c.slack_frames for c in others)
    ]
    return _Plan(tuple(inside), tuple(free[:2] + free[-2:]), tuple(i for i in around if 0 <= i < total))


def _measured(candidate: Candidate, plan: _Plan, crops: dict[int, Bytes], networks: Networks, least_pixels: float) -> list[Measured]:
    """The candidate's placements: usually one; several where its parts come and go at different times; none where nothing is left."""
    inside = np.stack([_floats(crops[i]) for i in plan.inside])
    outside = np.stack([_floats(crops[i]) for i in plan.outside]) if plan.outside else inside[:0]
    probability = candidate.probability if candidate.exact_mask else _refined(candidate, inside, networks)
    confidence = _confidence(candidate, probability)
    if confidence < CONFIDENT:
        return []
    opacity, colour = matte(inside, probability, outside, networks.matte)
    mask = _pixels(candidate, probability, opacity)
    seen = _Seen(crops, mask)
    if mask.any():
        opacity = believed([seen.pair(i) for i in plan.inside], Look(mask.astype(np.float32), opacity, colour))
    if candidate.kind == "user" and not candidate.exact_mask:
        mask, opacity = _in_box(candidate, mask, opacity)
    if not mask.any() or (candidate.kind != "user" and mask.sum() < least_pixels):
        return []
    placements: dict[tuple[int, int], NDArray[np.bool_]] = {}
    split = parts(mask) if candidate.slack_frames else [mask]
    for part in split:
        ends = _ends(candidate, plan, seen, Look(part.astype(np.float32), opacity, colour), is_part=len(split) > 1)
        placements[ends] = placements.get(ends, np.zeros_like(part)) | part
    box, kept = _shrunk(candidate.box, mask)
    looks = {ends: Look(part[kept].astype(np.float32), opacity[kept], colour[:, *kept]) for ends, part in placements.items()}
    smaller = {index: crop[:, *kept] for index, crop in crops.items()}
    return [_placement(replace(candidate, box=box), ends, look, confidence, smaller) for ends, look in looks.items()]


class _Seen:
    """A candidate's crops by frame, and each with the mark's place filled in, which is done once."""

    def __init__(self, crops: dict[int, Bytes], mask: NDArray[np.bool_]) -> None:
        self._crops, self._mask = crops, mask
        self._fills: dict[int, Bytes] = {}

    def pair(self, frame: int) -> tuple[Floats, Floats]:
        crop = _floats(self._crops[frame])
        if frame not in self._fills:
            self._fills[frame] = _bytes(filled(crop, self._mask))
        return crop, _floats(self._fills[frame])


def _confidence(candidate: Candidate, probability: Floats) -> float:
    """Mean of the looks from afar and from near, over the pixels that are surely mark; 1 for what a person pointed at."""
    sure = probability > SURE
    if candidate.kind == "user":
        return 1.0
    return (float(probability[sure].mean()) + candidate.confidence) / 2 if sure.any() else 0.0


def _pixels(candidate: Candidate, probability: Floats, opacity: Floats) -> NDArray[np.bool_]:
    """The mark's pixels: where the segmenter looks and the matte, whose edges are sharper, sees something."""
    if candidate.exact_mask:
        return probability > 0.5
    sure = probability > SURE
    if not sure.any():
        return sure
    visible = max(VISIBLE_OPACITY, EDGE_SHARE * float(np.percentile(opacity[sure], 80)))
    return ((probability > FAINT) & (opacity > visible)) | (probability > CERTAIN)


def _in_box(candidate: Candidate, mask: NDArray[np.bool_], opacity: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Inside a person's box: the mark that was found there, or all of it, as opaque, where next to nothing was found."""
    given = candidate.probability > 0.5
    found = (cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & given  # H.264 carries a mark beyond its edge
    if found.sum() >= LEAST_OF_BOX * given.sum():
        return found, opacity
    return given, np.ones_like(opacity)


def _refined(candidate: Candidate, inside: Floats, networks: Networks) -> Floats:
    """Mark probability at native size, averaged over the stay, near where the coarse look saw it."""
    chosen = inside if len(inside) <= SEGMENTER_FRAMES else np.concatenate([inside[::2], inside[1::2]])
    groups = [chosen[i : i + SEGMENTER_FRAMES] for i in range(0, len(chosen), SEGMENTER_FRAMES)]
    seen = np.concatenate([mark_probability(group, networks.segmenter, frozenset({candidate.kind})) for group in groups]).mean(0)
    side = 2 * CONTEXT_PIXELS + 1
    coarse = (candidate.probability > 0.3).astype(np.uint8)
    near = cv2.dilate(coarse, np.ones((side, side), np.uint8)) > 0
    beside = cv2.dilate(coarse, np.ones((side, 2 * coarse.shape[1] + 1), np.uint8)) > 0  # a thin word may be lost in the shrunken picture
    both = (1 - COARSE_WEIGHT) * seen + COARSE_WEIGHT * candidate.probability
    return np.where(near, both, np.where(beside & (seen > BESIDE), seen, 0)).astype(np.float32)


def _ends(candidate: Candidate, plan: _Plan, seen: _Seen, look: Look, is_part: bool) -> tuple[int, int]:
    """(first, last) frame of the mark or of a part of it."""
    inside, slack = (candidate.first_sample, candidate.last_sample), candidate.slack_frames
    if not slack:
        return inside

    def score_of(frame: int) -> float:
        return score(*seen.pair(frame), look)

    present = float(np.median([score_of(i) for i in plan.inside]))
    if present < UNCLEAR_SCORE:  # a mark that hardly differs from the scene: rather too long than one marked frame
        near = [i for i in plan.ends if inside[0] - slack - BEYOND_FRAMES < i < inside[1] + slack + BEYOND_FRAMES]
        return min([inside[0], *near]), max([inside[1], *near])
    absent = float(np.median([score_of(i) for i in plan.outside])) if plan.outside else 0.0
    return first_and_last(Scores(plan.ends, score_of), inside, min(absent, 0.5 * present), present, is_part)


def _placement(candidate: Candidate, ends: tuple[int, int], look: Look, confidence: float, crops: dict[int, Bytes]) -> Measured:
    first, last = ends
    placement = Placement(first, last, candidate.box, look.mask, look.opacity, look.colour, confidence, candidate.kind)
    beside = (first - REFERENCE_GAP_FRAMES, last + REFERENCE_GAP_FRAMES)
    return Measured(placement, {i: crops[i] for i in beside if i in crops})


def _shrunk(box: Box, mask: NDArray[np.bool_]) -> tuple[Box, tuple[slice, slice]]:
    """What the mask needs of the box, with context; and the same as an index into arrays of the box."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    top, left = max(0, int(rows[0]) - CONTEXT_PIXELS), max(0, int(columns[0]) - CONTEXT_PIXELS)
    bottom, right = min(box.height, int(rows[-1]) + 1 + CONTEXT_PIXELS), min(box.width, int(columns[-1]) + 1 + CONTEXT_PIXELS)
    return Box(box.left + left, box.top + top, box.left + right, box.top + bottom), (slice(top, bottom), slice(left, right))


def grown(box: Box, pixels: int, info: VideoInfo) -> Box:
    """The box with `pixels` around it, as far as the picture goes."""
    return Box(
        max(0, box.left - pixels), max(0, box.top - pixels), min(info.width, box.right + pixels), min(info.height, box.bottom + pixels)
    )


def _bytes(rgb: Floats) -> Bytes:
    return np.rint(rgb * 255).astype(np.uint8)


def _floats(rgb: Bytes) -> Floats:
    return rgb.astype(np.float32) / np.float32(255)
