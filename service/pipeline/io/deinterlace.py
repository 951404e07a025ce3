"""Deinterlacing: of a frame whose lines show two moments, a picture of the first of them, or of each. FFmpeg's bwdif does it."""

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

import av
from av.filter import Graph

from service.pipeline.video import BOTTOM_FIRST, PROGRESSIVE

TimedFrame = tuple[int, av.VideoFrame]

ANY: Final = Fraction(1, 1000)  # a time base that nobody reads


def deinterlaced(frames: Iterator[TimedFrame], field_order: int) -> Iterator[TimedFrame]:
    """As many frames with the same pts. Frames that say they are progressive stay as they are, unless the first one does.

    field_order: what the stream says, as AVFieldOrder; then it counts, as the container may know better than the codec.
    """
    return _filtered(frames, lambda first: _options(first, field_order), 1)


def fields_of(frames: Iterator[TimedFrame], *, bottom_first: bool) -> Iterator[TimedFrame]:
    """Two pictures of each frame, in ticks half as long. The lines of its own field are in each as they were; the others are new."""
    return _filtered(frames, lambda _: f"mode=send_field:parity={_parity(bottom_first)}:deint=all", 2)


def _filtered(frames: Iterator[TimedFrame], options: Callable[[av.VideoFrame], str], pictures: int) -> Iterator[TimedFrame]:
    """All frames through filters with the options for the first one of each size and format. pictures: that come of a frame."""
    filtered: _Filter | None = None
    for pts, frame in frames:
        if filtered is None or not filtered.fits(frame):
            if filtered:
                yield from filtered.rest()
            filtered = _Filter(frame, options(frame), pictures)
        yield from filtered.after(pts, frame)
    if filtered:
        yield from filtered.rest()


class _Filter:
    """The filter for frames of one size and pixel format. It looks one frame ahead."""

    def __init__(self, first: av.VideoFrame, options: str, pictures: int) -> None:
        self._layout = _layout_of(first)
        self._pictures = pictures
        self._times: deque[int] = deque()  # of the pictures that are still to come of the frames in the filter
        self._graph = Graph()
        source = self._graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=ANY)
        self._graph.link_nodes(source, self._graph.add("bwdif", options), self._graph.add("buffersink"))
        self._graph.configure()

    def fits(self, frame: av.VideoFrame) -> bool:
        return _layout_of(frame) == self._layout

    def after(self, pts: int, frame: av.VideoFrame) -> Iterator[TimedFrame]:
        """The frames that are ready once this one is known."""
        frame.pts, frame.time_base = pts, ANY
        self._times.extend(self._pictures * pts + number for number in range(self._pictures))
        self._graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[TimedFrame]:
        """The frames that are left at the end."""
        self._graph.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[TimedFrame]:
        while self._times:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            yield self._times.popleft(), frame


def _options(first: av.VideoFrame, field_order: int) -> str:
    """Each frame says how it is interlaced, except where only the stream does."""
    if first.interlaced_frame or field_order <= PROGRESSIVE:
        return "mode=send_frame:parity=auto:deint=interlaced"
    return f"mode=send_frame:parity={_parity(field_order in BOTTOM_FIRST)}:deint=all"


def _parity(bottom_first: bool) -> str:
    return "bff" if bottom_first else "tff"


def _layout_of(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
