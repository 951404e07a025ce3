"""A second look where captions take turns.

The segmenter compares samples, and what is in one of four alone passes for a scene that moves: so does a word that is shown that briefly
(decision 58). At a place where others come and go, each sample in which none was seen is looked at by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise, product
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from service.inference.batcher import Batcher
from service.pipeline.locate.closer_look import SURROUNDINGS_PIXELS, LookCloser, closer_look, seen_enlarged
from service.pipeline.locate.segment import Detection, analysis_size
from service.pipeline.locate.track import LOOK_SAMPLES, MAX_GAP_FRAMES, MIN_BRIEF_CONFIDENCE, Track, merge_gaps, track
from service.pipeline.marks.appearance import Appearance, is_another
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.placement import Box, Kind, bounding_box, hull, intersect
from service.pipeline.video import Frame, VideoInfo

SHIFTS: Final = tuple(product(range(-2, 3), repeat=2))  # pixels at analysis size, by which a mark's outline may be off


class _Turn(NamedTuple):
    """When a caption was seen, by its first and last sample's frame, and where, at analysis size."""

    first: int
    last: int
    box: Box
    track: Track


@dataclass(frozen=True)
class _Line:
    """Marks at one place, beside each other or one after the other. box: all of them."""

    box: Box
    turns: tuple[_Turn, ...]

    def joined(self, other: "_Line") -> "_Line":
        """Both as one."""
        return _Line(hull(self.box, other.box), self.turns + other.turns)

    @property
    def take_turns(self) -> bool:
        """Whether one of them begins after another has ended."""
        return max((turn.first for turn in self.turns), default=0) > min((turn.last for turn in self.turns), default=0)

    def rows(self, width: int, height: int) -> Box:
        """The box with what letters may reach beyond it, in a picture of this size."""
        return self.box.expanded(self.box.height // 4, width, height)


@dataclass(frozen=True)
class Gap:
    """Samples in which nothing was seen of the captions of a line, at most MAX_GAP_FRAMES from one; rows: where they are looked for.

    line: where the captions are, both at analysis size.
    """

    line: Box
    rows: Box
    frames: tuple[int, ...]


def note_lines(tracks: Iterable[Track]) -> None:
    """Note of marks that take turns at one place that they are of a line, where some have other strokes than those before them."""
    for line in _lines(tracks):
        if line.take_turns and any(_are_different(early.track, late.track) for early, late in pairwise(line.turns)):
            for turn in line.turns:
                turn.track.in_line = True


def gaps_between(tracks: Iterable[Track], stride: int, total_frames: int) -> list[Gap]:
    """Where and when to look again: beside marks that take turns at one place, every stride-th frame."""
    lines = _lines(tracks)
    gaps = []
    for line in lines:
        if line.take_turns:
            height, width = line.turns[0].track.size
            rows = line.rows(width, height)
            here = tuple(turn for other in lines for turn in other.turns if intersect(turn.box, rows))
            seen = _without_standing(replace(line, turns=here)).turns
            gaps += [Gap(line.box, rows, frames) for frames in _unseen(line, seen, stride, total_frames)]
    return gaps


def look_between(frames: Iterable[Frame], info: VideoInfo, gaps: Sequence[Gap], network: Batcher, classes: frozenset[Kind]) -> list[Track]:
    """The captions that are seen in the gaps' samples, each looked at by itself. `network` is the segmenter."""
    width, height = analysis_size(info)
    gaps_of: dict[int, list[int]] = defaultdict(list)
    for number, gap in enumerate(gaps):
        for index in gap.frames:
            gaps_of[index].append(number)
    detections: dict[int, list[Detection]] = defaultdict(list)
    found: list[Track] = []
    for frame in frames:
        if wanted := gaps_of.pop(frame.index, []):
            picture = shrink_rgb(frame, info, width, height).transpose(2, 0, 1)[None]
            for number in wanted:
                gap = gaps[number]
                detections[number].append(Detection(frame.index, _seen_in(gap, picture, network, classes), picture))
                if frame.index == gap.frames[-1]:
                    tracks = track(detections.pop(number), _each_alone(closer_look(network, classes)))
                    found += [one for one in tracks if _is_caption(one, gap.line)]
        if not gaps_of:
            break
    return found


def with_found(tracks: Sequence[Track], found: Sequence[Track]) -> list[Track]:
    """The tracks with what was found between them, which may be the end of one of them; the unconfirmed ones last, as before."""
    confirmed = [one for one in tracks if one.confirmed]
    return merge_gaps([*confirmed, *found]) + [one for one in tracks if not one.confirmed]


def _lines(tracks: Iterable[Track]) -> list[_Line]:
    """The marks that are at one place, in the order in which they begin, without those that stand there while others come and go."""
    lines: list[_Line] = []
    for one in tracks:
        if one.confirmed and not one.static:
            line = _Line(box := one.box, (_Turn(one.first_sample, one.last_sample, box, one),))
            while near := [other for other in lines if _are_one_line(other.box, line.box)]:
                lines = [other for other in lines if other not in near]
                line = reduce(_Line.joined, near, line)
            lines.append(line)
    return [_without_standing(line) for line in lines]


def _without_standing(line: _Line) -> _Line:
    """The line in order, without marks beside which others take turns, such as a logo; a word of a line that grows is none."""
    line = replace(line, turns=tuple(sorted(line.turns, key=attrgetter("first", "last"))))
    firsts, lasts = (np.array([getattr(turn, end) for turn in line.turns]) for end in ("first", "last"))

    def stands(number: int, turn: _Turn) -> bool:
        beside = (firsts <= turn.last) & (lasts >= turn.first)
        beside[number] = False
        return not turn.track.in_line and bool(beside.any() and lasts[beside].min() < firsts[beside].max())

    return replace(line, turns=tuple(turn for number, turn in enumerate(line.turns) if not stands(number, turn)))


def _are_one_line(line: Box, box: Box) -> bool:
    """Whether two boxes are of one line of text: beside each other, and each reaches across the middle of the other's height."""
    near = box.left < line.right + SURROUNDINGS_PIXELS and line.left < box.right + SURROUNDINGS_PIXELS
    return near and all(2 * one.top < other.top + other.bottom < 2 * one.bottom for one, other in ((line, box), (box, line)))


def _are_different(early: Track, late: Track) -> bool:
    """Whether two marks have other strokes, wherever in the line they stand: a logo may have moved by less than its width.

    A part of a mark, such as the word of a logo, stands where it stood in the whole; a mark that moved is compared from its corner.
    """
    before, after = early.looks[-1], late.looks[0]
    if not is_another(before, after):
        return False
    (top, left), (y, x) = (_corner(look) for look in (before, after))
    shifts = {(dy + down, dx + right) for dy, dx in SHIFTS for down, right in ((0, 0), (top - y, left - x))} - {(0, 0)}
    return all(is_another(before, _moved(after, *shift)) for shift in shifts)


def _corner(look: Appearance) -> tuple[int, int]:
    """(top, left) of a mark's pixels, at analysis size."""
    pixels = bounding_box(look.pixels)
    return look.box.top + pixels.top, look.box.left + pixels.left


def _moved(look: Appearance, dy: int, dx: int) -> Appearance:
    """The same look (dy, dx) pixels away; as it is where it would reach beyond the picture's first row or column."""
    box = look.box
    if min(box.top + dy, box.left + dx) < 0:
        return look
    return replace(look, box=Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy))


def _unseen(line: _Line, here: Sequence[_Turn], stride: int, total_frames: int) -> Iterator[tuple[int, ...]]:
    """The samples near a line's captions in which no mark was seen in its rows; together those that follow each other."""
    seen, near = np.zeros((2, total_frames), bool)
    for turn in here:
        seen[turn.first : turn.last + 1] = True
    for turn in line.turns:
        near[max(0, turn.first - MAX_GAP_FRAMES) : turn.last + 1 + MAX_GAP_FRAMES] = True
    samples = np.arange(0, total_frames, stride)
    samples = samples[(near & ~seen)[samples]]
    for run in np.split(samples, np.flatnonzero(np.diff(samples) > stride) + 1):
        if len(run):
            yield tuple(int(frame) for frame in run)


def _seen_in(gap: Gap, picture: Bytes, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """The probability (h, w) of a mark in a line's rows, in one picture (1, 3, h, w); 0 elsewhere."""
    height, width = picture.shape[-2:]
    window = gap.line.expanded(SURROUNDINGS_PIXELS, width, height)
    probability = np.zeros((height, width), np.float32)
    probability[window.slices] = seen_enlarged(network, classes, picture[(..., *window.slices)])[0]
    probability[: gap.rows.top] = probability[gap.rows.bottom :] = 0
    return probability


def _each_alone(look: LookCloser) -> LookCloser:
    """The same look at each picture by itself."""

    def alone(pictures: Bytes | Floats, masks: Sequence[Mask]) -> NDArray[np.float32]:
        return np.concatenate([look(picture[None], masks) for picture in pictures], axis=1)

    return alone


def _is_caption(one: Track, line: Box) -> bool:
    """Whether a track is clearly one of a line's captions."""
    clear = one.detection_count >= LOOK_SAMPLES or one.confidence > MIN_BRIEF_CONFIDENCE
    return one.confirmed and clear and _are_one_line(line, one.box)
