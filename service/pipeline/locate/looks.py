"""Which samples the segmenter looks at. What lies between two looks that agree is not looked at, unless a glance at it shows more.

A look compares a few samples with each other, a glance sees one by itself and costs a fourth. Most of a video shows the same marks for
seconds. So looks are first taken far apart. Where two that follow each other show different marks, the samples between them are looked at
as well, from the middle on, so the first and the last sample of every mark are found as if all were looked at.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from models.arrays import Bytes, Floats, Mask
from models.preprocess import SEGMENTER_FRAMES
from service.pipeline.locate.detection import Detection, Sample
from service.pipeline.locate.track import MIN_PROBABILITY, SAME_MARK_IOU, STABLE_IOU, find_regions, neighbourhood
from service.pipeline.marks.similarity import iou

MAX_GROUPS_BETWEEN = SEGMENTER_FRAMES - 1  # two looks: a faint mark that is shown for less than their two seconds may be missed
KEPT_GLANCES = 2 * SEGMENTER_FRAMES  # as many as there may be between two looks and in them

Network = Callable[[Bytes], Floats]  # pictures (T, 3, h, w) of one place at T times -> mark probability (T, h, w)


@dataclass(frozen=True, eq=False)
class Group:
    """Samples that are compared with each other. fresh: how many of them, the last ones, belong to no earlier group.

    brief: they follow each other frame by frame, at an end of the video, and show hardly more than one of them by itself.
    """

    samples: Sequence[Sample] = field(repr=False)
    fresh: int
    brief: bool

    def detections(self, probability: Iterable[Floats]) -> list[Detection]:
        """Those of the fresh samples, from the probability (h, w) of each."""
        return [Detection(index, of) for (index, _), of in zip(self.samples[-self.fresh :], probability, strict=True)]


@dataclass(eq=False)
class Looks:
    """Looks at samples with the network, and remembers its last glances and its last look."""

    network: Network
    _glances: deque[tuple[int, Floats]] = field(default_factory=lambda: deque(maxlen=KEPT_GLANCES))
    _last: tuple[Bytes, Floats] | None = None  # the pictures (T, 3, h, w) of the last look, and the answer

    def at(self, group: Group) -> list[Detection]:
        """The detections of a group. What is the same as in the last look, bit by bit, is not looked at again."""
        pictures = np.stack([picture for _, picture in group.samples]).transpose(0, 3, 1, 2)
        if self._last is None or not np.array_equal(pictures, self._last[0]):
            self._last = pictures, self.network(pictures)
        return group.detections(self._last[1][-group.fresh :])

    def alone(self, sample: Sample) -> Floats:
        """The probability (h, w) in a sample by itself."""
        index, picture = sample
        for known, seen in self._glances:
            if known == index:
                return seen
        probability: Floats = self.network(picture.transpose(2, 0, 1)[None])[0]
        self._glances.append((index, probability))
        return probability

    def agree(self, before: Sequence[Detection], after: Sequence[Detection]) -> bool:
        """Whether two looks show the same marks, and the glances between them no others.

        They need not be more alike than the samples of one look are. What a glance near either of them shows as well, such as text of the
        scene, is known not to be a mark.
        """
        within = (least_iou(look[0].probability, look[-1].probability) for look in (before, after))
        last, first = before[-1], after[0]
        if least_iou(last.probability, first.probability) < max(SAME_MARK_IOU, min(STABLE_IOU, *within)):
            return False
        glances = sorted(self._glances, key=itemgetter(0))
        inside = [seen for index, seen in glances if last.frame_index < index < first.frame_index]
        earlier = [seen for index, seen in glances if index <= last.frame_index][-1:]
        later = [seen for index, seen in glances if index >= first.frame_index][:1]
        known = neighbourhood(_any_mark([last.probability, first.probability, *earlier, *later]))
        return all(_is_known(region, known) for seen in inside for region in find_regions(seen))


def alike(one: Floats, other: Floats) -> bool:
    """Whether two probabilities (h, w) show the same marks at the same places."""
    return least_iou(one, other) >= SAME_MARK_IOU


def least_iou(one: Floats, other: Floats) -> float:
    """The least IoU of a mark in two probabilities (h, w), each with the most similar one of the other; 1 without marks."""
    ours, theirs = find_regions(one), find_regions(other)
    if len(ours) != len(theirs):
        return 0.0
    return min((max(iou(region, match) for match in theirs) for region in ours), default=1.0)


def _any_mark(probabilities: Iterable[Floats]) -> Mask:
    marked: Mask = np.logical_or.reduce([probability > MIN_PROBABILITY for probability in probabilities])
    return marked


def _is_known(region: Mask, known: Mask) -> bool:
    """Whether most of a region (h, w) is known."""
    return bool(2 * np.count_nonzero(region & known) > np.count_nonzero(region))


def watch(groups: Iterable[Group], looks: Looks) -> Iterator[Detection]:
    """The detections of all fresh samples, in order. Between looks that agree, the detections are their mean."""
    before: list[Detection] = []  # of the last look; empty: none yet
    opening: Group | None = None
    waiting: list[Group] = []
    for group in groups:
        if group.brief and not before and not waiting and opening is None:
            opening = group
            continue
        waiting.append(group)
        if group.brief or (before and len(waiting) <= MAX_GROUPS_BETWEEN):
            continue
        after = looks.at(waiting.pop())
        if opening:
            yield from _at_an_end(opening, opening.samples[0], after[0], looks)
            opening = None
        yield from _between(before, waiting, after, looks)
        yield from after
        before, waiting = after, []
    yield from _rest(opening, before, waiting, looks)


def _rest(opening: Group | None, before: list[Detection], waiting: list[Group], looks: Looks) -> Iterator[Detection]:
    """The detections at the end of the video."""
    if opening:
        yield from looks.at(opening)
    closing = waiting.pop() if waiting and waiting[-1].brief else None
    if waiting:
        after = looks.at(waiting.pop())
        yield from _between(before, waiting, after, looks)
        yield from after
        before = after
    if closing and before:
        yield from _at_an_end(closing, closing.samples[-1], before[-1], looks)
    elif closing:
        yield from looks.at(closing)


def _at_an_end(group: Group, outermost: Sample, beside: Detection, looks: Looks) -> list[Detection]:
    """The detections of a brief group. If its outermost sample by itself shows what the look beside it does, so do the others."""
    if alike(looks.alone(outermost), beside.probability):
        return group.detections([beside.probability] * group.fresh)
    return looks.at(group)


def _between(before: list[Detection], groups: Sequence[Group], after: list[Detection], looks: Looks) -> Iterator[Detection]:
    """The detections of groups between two looks."""
    if not groups:
        return
    if looks.agree(before, after):
        mean = (before[-1].probability + after[0].probability) / np.float32(2)
        for group in groups:
            yield from group.detections([mean] * group.fresh)
        return
    middle = len(groups) // 2
    here = looks.at(groups[middle])
    yield from _between(before, groups[:middle], here, looks)
    yield from here
    yield from _between(here, groups[middle + 1 :], after, looks)
