"""What one run is asked to remove: marks that the networks find, and places that a person points at; and what it must keep."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.media import container_of
from service.pipeline.placement import Box, Kind, Placement, pixel_box
from service.pipeline.video import Part, Timeline, VideoInfo
from service.timed_box import TimedBox

CLASSES: Final[tuple[Kind, ...]] = ("overlay", "scene_text")
MAX_NAMED: Final = 20  # marks in an error message

BoxInterval = tuple[int, int, Box]  # first frame, last frame, and the box in all of them


@dataclass(frozen=True)
class Request:
    """Which marks to remove. Raises RequestError for detection without a class.

    detect: look for marks of `classes`. boxes, mask: remove what they cover as well. mask: an image or a video, white = remove.
    keep: nothing changes in these boxes, whatever is found or pointed at. reject: the ids of marks that are not removed.
    only: the ids of those that are; empty: all.
    """

    boxes: tuple[TimedBox, ...] = ()
    mask: Path | None = None
    classes: frozenset[Kind] = frozenset({"overlay"})
    detect: bool = True
    keep: tuple[TimedBox, ...] = ()
    reject: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.detect and not self.classes:
            raise RequestError(f"no class to look for; choose from {', '.join(CLASSES)}")


def box_intervals(box: TimedBox, info: VideoInfo, timeline: Timeline) -> list[BoxInterval]:
    """A person's box over time. One that moves has a box for each frame.

    Raises RequestError for a box outside the picture, and for one that covers no frame.
    """
    covered = [index for index in range(timeline.frames) if box.covers(timeline.seconds(index))]
    if not covered:
        raise RequestError(f"box {box} lies after the end of the video, which lasts {timeline.seconds(timeline.frames - 1):.2f} s")
    if box.end is None:
        return [(covered[0], covered[-1], pixel_box(box, info.width, info.height))]
    return [(index, index, pixel_box(box, info.width, info.height, timeline.seconds(index))) for index in covered]


def within(request: Request, part: Part) -> Request:
    """The request for a part of a video, whose time begins at zero, without boxes of other times. Raises RequestError for a mask video."""
    if request.mask and container_of(request.mask) != "image":
        raise RequestError("a preview takes an image as its mask, not a video")
    boxes, keep = (tuple(box for given in all_of for box in _moved(given, part)) for all_of in (request.boxes, request.keep))
    return replace(request, boxes=boxes, keep=keep)


def _moved(box: TimedBox, part: Part) -> Iterator[TimedBox]:
    """The box in the time of the part, if it is there in it."""
    first, last = box.first_seconds or 0.0, math.inf if box.last_seconds is None else box.last_seconds
    if first < part.first_seconds + part.seconds and last >= part.first_seconds:
        begin, until = max(first, part.first_seconds), None if math.isinf(last) else last - part.first_seconds
        x1, y1, x2, y2 = box.corners_at(begin)
        yield TimedBox(x1, y1, x2, y2, begin - part.first_seconds, until, box.end)


def parse_part(text: str) -> Part:
    """Read `SECONDS` or `SECONDS@FROM`, such as `3@12.5`. Raises RequestError."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(?:@(\d+(?:\.\d*)?|\.\d+))?", text.strip())
    if match is None or float(match[1]) == 0:
        raise RequestError(f"preview '{text}' is not SECONDS or SECONDS@FROM, such as 3@12.5")
    return Part(float(match[2] or 0), float(match[1]))


def chosen_marks(marks: Sequence[Placement], reject: Collection[str], only: Collection[str] = ()) -> list[Placement]:
    """The marks whose ids are not rejected; with `only`, those alone. Raises RequestError for an id that no mark has."""
    found = list(dict.fromkeys(mark.id for mark in marks))  # a mark that moves has many placements
    if unknown := sorted({*reject, *only} - set(found)):
        names = f"the marks found are {', '.join(found[:MAX_NAMED])}" if found else "no mark was found"
        raise RequestError(f"no mark has the id {unknown[0]}; {names}{', ...' if len(found) > MAX_NAMED else ''}")
    return [mark for mark in marks if mark.id not in reject and (not only or mark.id in only)]


def parse_classes(text: str) -> frozenset[Kind]:
    """Read `overlay`, `scene_text` or both, separated by a comma. Raises RequestError for anything else."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise RequestError(f"unknown class '{','.join(unknown) or text}'; choose from {', '.join(CLASSES)}")
    return frozenset(kind for kind in CLASSES if kind in names)
