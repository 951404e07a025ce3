"""Marks of interlaced pictures are removed from a picture of each field, so that what is filled in does not comb. The two are woven again.

The lines of its own field are in each such picture as they were stored, so outside the marks the woven picture is the one that was decoded.
"""

from collections.abc import Iterable
from dataclasses import replace

from service.pipeline.placement import Placement
from service.pipeline.remove.remove import Watcher
from service.pipeline.video import Frame, Plane


def in_fields(marks: Iterable[Placement]) -> tuple[Placement, ...]:
    """The marks of a video with twice as many pictures."""
    return tuple(replace(mark, first_frame=2 * mark.first_frame, last_frame=2 * mark.last_frame + 1) for mark in marks)


def weaving(watch: Watcher, *, bottom_first: bool) -> Watcher:
    """What to call with a picture of each field, marked and clean, in order, so that `watch` is called with the woven ones."""
    first: list[tuple[Frame, Frame]] = []

    def watch_fields(marked: Frame, clean: Frame) -> None:
        if not first:
            first.append((marked, clean))
            return
        of_marked, of_clean = first.pop()
        watch(_woven(of_marked, marked, bottom_first), _woven(of_clean, clean, bottom_first))

    return watch_fields


def _woven(first: Frame, second: Frame, bottom_first: bool) -> Frame:
    """The lines of each field's own picture."""
    one, two, three = (_of_lines(*planes, bottom_first) for planes in zip(first.planes, second.planes, strict=True))
    return Frame(first.index // 2, first.pts // 2, (one, two, three))


def _of_lines(first: Plane, second: Plane, bottom_first: bool) -> Plane:
    woven = first.copy()
    later = slice(0 if bottom_first else 1, None, 2)
    woven[later] = second[later]
    return woven
