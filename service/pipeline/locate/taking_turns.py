"""A second look where captions take turns.

The segmenter compares samples, and what is in one of four alone passes for a scene that moves: so does a word that is shown that briefly
(decision 58). At a place where others come and go, each sample in which none was seen is looked at by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from service.inference.batcher import Batcher
from service.pipeline.locate.closer_look import SURROUNDINGS_PIXELS, LookCloser, closer_look, seen_enlarged
from service.pipeline.locate.segment import Detection, analysis_size
from service.pipeline.locate.track import LOOK_SAMPLES, MAX_GAP_FRAMES, MIN_BRIEF_CONFIDENCE, Track, track
from service.pipeline.marks.appearance import is_another
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.placement import Box, Kind, hull
from service.pipeline.video import Frame, VideoInfo


class _Turn(NamedTuple):
    """When a caption was seen, by its first and last sample's frame, and where, at analysis size."""

    first: int
    last: int
    box: Box
    track: Track


@dataclass(frozen=True)
class Gap:
    """Samples in which nothing was seen of the captions of a line, within a second of one. line: where they are, at analysis size."""

    line: Box
    frames: tuple[int, ...]


def note_lines(tracks: Iterable[Track]) -> None:
    """Note of marks that take turns at one place that they are of a line, where some have other strokes than those before them."""
    for line in _lines(tracks):
        if _take_turns(line) and any(is_another(early.track.looks[-1], late.track.looks[0]) for early, late in pairwise(line)):
            for turn in line:
                turn.track.in_line = True


def gaps_between(tracks: Iterable[Track], stride: int, total_frames: int) -> list[Gap]:
    """Where and when to look again: beside marks that take turns at one place, every stride-th frame."""
    lines = (line for line in _lines(tracks) if _take_turns(line))
    return [Gap(_hull(line), frames) for line in lines for frames in _unseen(line, stride, total_frames)]


def _lines(tracks: Iterable[Track]) -> list[list[_Turn]]:
    """The marks that are at one place, one after the other or beside each other, in the order in which they begin."""
    seen = (_Turn(one.first_sample, one.last_sample, one.box, one) for one in tracks if one.confirmed and not one.static)
    lines: list[list[_Turn]] = []
    for turn in sorted(seen, key=attrgetter("first")):
        line = next((line for line in lines if _of_one_line(_hull(line), turn.box)), None)
        if line is None:
            lines.append([turn])
        else:
            line.append(turn)
    return lines


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
        for number in gaps_of.pop(frame.index, ()):
            gap, picture = gaps[number], shrink_rgb(frame, info, width, height).transpose(2, 0, 1)[None]
            detections[number].append(Detection(frame.index, _seen_in(gap.line, picture, network, classes), picture))
            if frame.index == gap.frames[-1]:
                tracks = track(detections.pop(number), _each_alone(closer_look(network, classes)))
                found += [one for one in tracks if _is_caption(one, gap.line)]
        if not gaps_of:
            break
    return found


def _hull(line: Sequence[_Turn]) -> Box:
    """Where a line's captions are."""
    whole = line[0].box
    for turn in line[1:]:
        whole = hull(whole, turn.box)
    return whole


def _of_one_line(line: Box, box: Box) -> bool:
    """Whether a box is beside or on a line of text: each reaches across the middle of the other's height."""
    near = box.left < line.right + SURROUNDINGS_PIXELS and line.left < box.right + SURROUNDINGS_PIXELS
    return near and all(2 * one.top < other.top + other.bottom < 2 * one.bottom for one, other in ((line, box), (box, line)))


def _take_turns(line: Sequence[_Turn]) -> bool:
    """Whether one of them begins after another has ended."""
    return max(turn.first for turn in line) > min(turn.last for turn in line)


def _unseen(line: Sequence[_Turn], stride: int, total_frames: int) -> Iterator[tuple[int, ...]]:
    """The samples near a line's captions in which none was seen; together those that follow each other."""
    seen, near = np.zeros((2, total_frames), bool)
    for turn in line:
        seen[turn.first : turn.last + 1] = True
        near[max(0, turn.first - MAX_GAP_FRAMES) : turn.last + 1 + MAX_GAP_FRAMES] = True
    samples = np.arange(0, total_frames, stride)
    samples = samples[(near & ~seen)[samples]]
    for run in np.split(samples, np.flatnonzero(np.diff(samples) > stride) + 1):
        if len(run):
            yield tuple(int(frame) for frame in run)


def _seen_in(line: Box, picture: Bytes, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """The probability (h, w) of a mark in the line, in one picture (1, 3, h, w); 0 elsewhere."""
    height, width = picture.shape[-2:]
    window = line.expanded(SURROUNDINGS_PIXELS, width, height)
    probability = np.zeros((height, width), np.float32)
    probability[window.slices] = seen_enlarged(network, classes, picture[(..., *window.slices)])[0]
    rows = line.expanded(line.height // 4, width, height)
    probability[: rows.top] = probability[rows.bottom :] = 0
    return probability


def _each_alone(look: LookCloser) -> LookCloser:
    """The same look at each picture by itself."""

    def alone(pictures: Bytes | Floats, masks: Sequence[Mask]) -> NDArray[np.float32]:
        return np.concatenate([look(picture[None], masks) for picture in pictures], axis=1)

    return alone


def _is_caption(one: Track, line: Box) -> bool:
    """Whether a track is clearly one of a line's captions."""
    clear = one.detection_count >= LOOK_SAMPLES or one.confidence > MIN_BRIEF_CONFIDENCE
    return one.confirmed and clear and _of_one_line(line, one.box)
