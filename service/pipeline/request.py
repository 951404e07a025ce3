"""What one run is asked to remove: marks that the networks find, and places that a person points at; and what it must keep."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.media import container_of
from service.pipeline.placement import Box, Kind, Placement, pixel_box
from service.pipeline.video import Encoding, Part, Timeline, VideoInfo
from service.timed_box import TimedBox

CLASSES: Final[tuple[Kind, ...]] = ("overlay", "scene_text")
MAX_NAMED: Final = 20  # marks in an error message
REST_SECONDS: Final = 10**9  # more than any video lasts
TIME: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{0,9})?)")
BIT_RATE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([kKmM])")
CRF: Final = re.compile(r"\d{1,2}")
RATES: Final = {"k": 1000, "m": 1_000_000}  # bits per second

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
        raise RequestError("a part of a video takes an image as its mask, not a video")
    boxes, keep = (tuple(box for given in all_of for box in _moved(given, part)) for all_of in (request.boxes, request.keep))
    return replace(request, boxes=boxes, keep=keep)


def _moved(box: TimedBox, part: Part) -> Iterator[TimedBox]:
    """The box in the time of the part, if it is there in it."""
    first, last = box.first_seconds or 0.0, math.inf if box.last_seconds is None else box.last_seconds
    if first < part.first_seconds + part.seconds and last >= part.first_seconds:
        begin, until = max(first, part.first_seconds), None if math.isinf(last) else last - part.first_seconds
        x1, y1, x2, y2 = box.corners_at(begin)
        yield TimedBox(x1, y1, x2, y2, begin - part.first_seconds, until, box.end)


def part_between(start: str | None, end: str | None) -> Part | None:
    """The part from one time to another, as `ffmpeg -ss` and `-to` have them: seconds, or [HOURS:]MINUTES:SECONDS. Neither: no part.

    Raises RequestError.
    """
    if start is None and end is None:
        return None
    first = _seconds_of("0" if start is None else start)
    last = first + REST_SECONDS if end is None else _seconds_of(end)
    if last <= first:
        raise RequestError(f"the part ends at {end}, but begins at {start or 0}")
    return Part(float(first), float(last - first))


def _seconds_of(text: str) -> Fraction:
    """Exact seconds. Raises RequestError for another text."""
    match = TIME.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"time '{text}' is neither seconds nor [hours:]minutes:seconds, such as 12.5 or 1:02:03")
    hours, minutes, seconds = match.groups(default="0")
    return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)


def parse_encoding(
    quality: str | None = None, codec: str | None = None, preset: str | None = None, deinterlace: bool = False
) -> Encoding | None:
    """What is asked of the encoder; quality: a constant quality such as `20`, or a bit rate such as `4M`. Raises RequestError."""
    if quality is codec is preset is None and not deinterlace:
        return None
    if quality is None:
        return Encoding(codec=codec, preset=preset, deinterlace=deinterlace)
    match = BIT_RATE.fullmatch(quality.strip())
    if match and (bits := round(float(match[1]) * RATES[match[2].lower()])):
        return Encoding(bits_per_second=bits, codec=codec, preset=preset, deinterlace=deinterlace)
    if not CRF.fullmatch(quality.strip()):
        raise RequestError(f"quality '{quality}' is neither a constant quality, such as 20, nor a bit rate, such as 4M or 800k")
    return Encoding(crf=int(quality), codec=codec, preset=preset, deinterlace=deinterlace)


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
