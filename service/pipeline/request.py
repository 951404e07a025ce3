"""What one run is asked to remove: marks that the networks find, and places that a person points at; and what it must keep."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.pipeline.placement import Box, Kind, Placement, pixel_box
from service.pipeline.video import Timeline, VideoInfo
from service.timed_box import TimedBox

CLASSES: Final[tuple[Kind, ...]] = ("overlay", "scene_text")
MAX_NAMED: Final = 20  # marks in an error message


@dataclass(frozen=True)
class Request:
    """Which marks to remove. Raises RequestError for detection without a class.

    detect: look for marks of `classes`. boxes, mask: remove what they cover as well. mask: an image or a video, white = remove.
    keep: nothing changes in these boxes, whatever is found or pointed at. reject: the ids of marks that are not removed.
    """

    boxes: tuple[TimedBox, ...] = ()
    mask: Path | None = None
    classes: frozenset[Kind] = frozenset({"overlay"})
    detect: bool = True
    keep: tuple[TimedBox, ...] = ()
    reject: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.detect and not self.classes:
            raise RequestError(f"no class to look for; choose from {', '.join(CLASSES)}")


def box_intervals(box: TimedBox, info: VideoInfo, timeline: Timeline) -> list[tuple[int, int, Box]]:
    """A person's box over time: (first frame, last frame, box). One that moves has a box for each frame.

    Raises RequestError for a box outside the picture, and for one that covers no frame.
    """
    covered = [index for index in range(timeline.frames) if box.covers(timeline.seconds(index))]
    if not covered:
        raise RequestError(f"box {box} lies after the end of the video, which lasts {timeline.seconds(timeline.frames - 1):.2f} s")
    if box.end is None:
        return [(covered[0], covered[-1], pixel_box(box, info.width, info.height))]
    return [(index, index, pixel_box(box, info.width, info.height, timeline.seconds(index))) for index in covered]


def without_rejected(marks: Sequence[Placement], reject: Collection[str]) -> list[Placement]:
    """The marks whose ids are not rejected. Raises RequestError for an id that no mark has."""
    found = {mark.id for mark in marks}
    if unknown := sorted(set(reject) - found):
        names = f"the marks found are {', '.join(mark.id for mark in marks[:MAX_NAMED])}" if found else "no mark was found"
        raise RequestError(f"no mark has the id {unknown[0]}; {names}{', ...' if len(marks) > MAX_NAMED else ''}")
    return [mark for mark in marks if mark.id not in reject]


def parse_classes(text: str) -> frozenset[Kind]:
    """Read `overlay`, `scene_text` or both, separated by a comma. Raises RequestError for anything else."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise RequestError(f"unknown class '{','.join(unknown) or text}'; choose from {', '.join(CLASSES)}")
    return frozenset(kind for kind in CLASSES if kind in names)
