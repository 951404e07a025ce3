"""File to frames, in presentation order, decoded in a process of its own that runs ahead."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import av

from service.errors import DecodeFailed, NoFrames, UnsupportedFormat
from service.pipeline.io import still
from service.pipeline.io.container import main_video_stream, open_source, read_error
from service.pipeline.io.pixels import pixel_format_of, planes_of
from service.pipeline.picture.colour import Planes
from service.pipeline.sandbox.ring import Layout, Ring
from service.pipeline.sandbox.sandbox import THREADS, Child, Line, Message
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Frame, Limits, VideoInfo


@contextmanager
def decode(path: Path, info: VideoInfo, limits: Limits) -> Iterator[Iterator[Frame]]:
    """The frames of a probed file. Their planes belong to the caller, their pts rise strictly.

    Raises DecodeFailed when the decoder's process dies, stalls or runs out of memory, Truncated where the file is broken,
    NoFrames at the end of a file that had none.
    """
    layout = Layout.of(info)
    with Ring(layout) as ring:
        request = {"path": str(path.absolute()), "info": info_to_message(info), "memory": ring.file}
        with Child(
            _decode_in_child,
            request,
            work="decoder",
            failure=DecodeFailed,
            memory_bytes=limits.decoder_memory_bytes,
            stall_seconds=limits.decoder_stall_seconds,
            share=(ring.file,),
        ) as child:
            yield _frames(child, ring)


def _frames(child: Child, ring: Ring) -> Iterator[Frame]:
    for index in count():
        message = child.receive()
        if message.get("end"):
            return
        pts = message.get("pts")
        if not isinstance(pts, int):
            raise DecodeFailed("the decoder sent a frame without a time")
        planes = ring.read(index)
        child.send(taken=index)
        yield Frame(index, pts, planes)


def _decode_in_child(line: Line, request: Message) -> None:
    """Write each frame into its slot and say so; a slot is written again once the parent has taken what was in it."""
    path, info = Path(request["path"]), info_from_message(request["info"])
    ring = Ring(Layout.of(info), request["memory"])
    index = -1
    pictures = iter([(0, still.read(path))]) if info.container == "image" else _pictures(path, info)
    for index, (pts, planes) in enumerate(pictures):
        if index >= ring.slots and line.receive() is None:
            return
        ring.write(index, planes)
        line.send(pts=pts)
    if index < 0:
        raise NoFrames("the video has no frames that can be decoded")
    line.send(end=True)


def _pictures(path: Path, info: VideoInfo) -> Iterator[tuple[int, Planes]]:
    """(pts, planes) of each picture of a video, planes as views that live until the next one."""
    with closing(open_source(path, info.container)) as source:
        stream = main_video_stream(source)
        stream.thread_type = "AUTO"
        stream.thread_count = THREADS
        times = _Times(from_zero=info.container == "avi")
        try:
            for frame in source.decode(stream):
                _check_unchanged(frame, info)
                yield times.of(frame), planes_of(frame, info.pixel_format)
        except av.FFmpegError as error:
            raise read_error(error, f"the video is damaged after {float((times.last or 0) * info.time_base):.1f} s") from error


class _Times:
    """The pts of one frame after the other: strictly rising, whatever the file says.

    `from_zero`: AVI has no times, only places in a row; the reader counts them from the decoder's delay, which depends on the codec.
    """

    def __init__(self, *, from_zero: bool) -> None:
        self.last: int | None = None
        self._from_zero = from_zero
        self._shift = 0

    def of(self, frame: av.VideoFrame) -> int:
        stated = frame.pts if frame.pts is not None else frame.dts
        if self.last is None:
            self._shift = stated or 0 if self._from_zero else 0
            self.last = (stated or 0) - self._shift
        else:
            self.last = self.last + 1 if stated is None else max(stated - self._shift, self.last + 1)
        return self.last


def _check_unchanged(frame: av.VideoFrame, info: VideoInfo) -> None:
    if (frame.width, frame.height) != (info.width, info.height):
        raise UnsupportedFormat(f"the picture changes its size, from {info.width}x{info.height} to {frame.width}x{frame.height}")
    if pixel_format_of(frame) != info.pixel_format:
        raise UnsupportedFormat(f"the pixel format changes, from {info.pixel_format.name} to {frame.format.name}")
