"""Frames to file: encoded in a process of its own behind a few slots, published only when it is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.stream import Stream

from service.errors import EncodeFailed
from service.media import container_of
from service.pipeline.io import still, xmp
from service.pipeline.io.codec import EncoderSettings, encoder_options, muxer_of
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.mux import (
    Interleaver,
    add_copied_stream,
    add_encoded_stream,
    copied_packets,
    copy_description,
    open_target,
    start_encoders,
)
from service.pipeline.io.pixels import frame_of
from service.pipeline.io.whole_file import unfinished_name, whole_file
from service.pipeline.sandbox.ring import Layout, Ring
from service.pipeline.sandbox.sandbox import Child, Line, Message, Task
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Frame, VideoInfo

__all__ = ["Encoder", "EncoderSettings", "copy_untouched", "encoder_options"]

SAME_FILE = {"mp4": (".mp4", ".m4v"), "mov": (".mov",), "mkv": (".mkv",), "webm": (".webm", ".mkv"), "avi": (".avi",)}
DEFAULT_TIME_BASE = Fraction(1, 1000)
MEMORY_BYTES = 6 * 2**30  # of address space
STALL_SECONDS = 300.0  # the slowest encoder here ends a 1080p lookahead in a tenth of it


class Encoder:
    """Writes a video or an image like `source` with other pictures, as a context manager.

    The target appears, whole, when the block ends without an exception; otherwise nothing is left. All audio and subtitle packets,
    chapters, metadata, timing, rotation and colour tags are the source's.
    """

    def __init__(self, source: Path, target: Path, info: VideoInfo) -> None:
        self._target = target
        self._unfinished = unfinished_name(target)
        self._ring = Ring(Layout.of(info))
        self._written = 0
        request = {
            "source": str(source.absolute()),
            "target": str(target.absolute()),
            "unfinished": str(self._unfinished),
            "info": info_to_message(info),
            "memory": self._ring.file,
        }
        self._child = _start(_encode_in_child, request, share=(self._ring.file,))

    def write(self, frame: Frame) -> None:
        """Hand over the next frame; waits while the encoder is behind by all slots."""
        if self._written >= self._ring.slots:
            self._child.receive()
        self._ring.write(self._written, frame.planes)
        self._child.send(pts=frame.pts)
        self._written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._ring, self._child:
                if kind is None:
                    self._finish()
                    os.replace(self._unfinished, self._target)
        except OSError as failure:
            raise EncodeFailed(f"the output cannot be written: {failure.strerror}") from failure
        finally:
            self._unfinished.unlink(missing_ok=True)

    def _finish(self) -> None:
        if not self._written:
            raise EncodeFailed("there is no frame to encode")
        self._child.send(end=True)
        while not self._child.receive().get("end"):
            pass


def copy_untouched(source: Path, target: Path) -> None:
    """The source under another name where no mark was found: byte by byte, or its streams moved to another container."""
    container = container_of(source)
    with whole_file(target) as unfinished:
        if target.suffix.lower() in (still.suffixes_of(source) if container == "image" else SAME_FILE[container]):
            shutil.copyfile(source, unfinished)
        else:
            request = {"source": str(source.absolute()), "target": str(target), "unfinished": str(unfinished), "container": container}
            with _start(_copy_in_child, request) as child:
                child.receive()


def _start(task: Task, request: Message, share: tuple[int, ...] = ()) -> Child:
    return Child(
        task,
        request,
        work="encoder",
        failure=EncodeFailed,
        memory_bytes=MEMORY_BYTES,
        stall_seconds=STALL_SECONDS,
        may_write=True,
        share=share,
    )


def _encode_in_child(line: Line, request: Message) -> None:
    info = info_from_message(request["info"])
    ring = Ring(Layout.of(info), request["memory"])
    with _written_or_removed(Path(request["unfinished"])) as unfinished:
        frames = _received(line, ring)
        if info.container == "image":
            still.write(unfinished, next(frames).planes, Path(request["source"]), request["target"])
            next(frames, None)  # the end
        else:
            _encode(frames, Path(request["source"]), unfinished, Path(request["target"]).suffix, info)
            xmp.keep(Path(request["source"]), unfinished)
    line.send(end=True)


def _received(line: Line, ring: Ring) -> Iterator[Frame]:
    """Frames out of the ring, planes as views, until the parent says that it was the last; a slot is free when the next is asked for."""
    for index in count():
        message = line.receive()
        if message is None:
            raise EncodeFailed("the caller went away")
        if message.get("end"):
            return
        yield Frame(index, message["pts"], ring.view(index))
        line.send(taken=index)


def _encode(frames: Iterator[Frame], source_path: Path, unfinished: Path, suffix: str, info: VideoInfo) -> None:
    settings = encoder_options(info, suffix)
    with closing(open_source(source_path, info.container)) as source, open_target(unfinished, muxer_of(suffix), info.time_base) as target:
        main = main_video_stream(source)
        copies: dict[int, Stream] = {}
        for template in source.streams:
            if template.index == main.index:
                video = add_encoded_stream(target, info, settings, main)
            elif (copy := add_copied_stream(target, template, suffix)) is not None:
                copies[template.index] = copy
        copy_description(source, target)
        start_encoders(target)
        copied = Interleaver(copied_packets(source, copies), target)
        for frame in frames:
            copied.mux_until(frame.pts * info.time_base)
            picture = frame_of(frame.planes, info.pixel_format)
            picture.pts, picture.time_base = frame.pts, info.time_base
            target.mux(video.encode(picture))
        target.mux(video.encode(None))
        copied.mux_rest()


def _copy_in_child(line: Line, request: Message) -> None:
    source_path, target_path = Path(request["source"]), Path(request["target"])
    with _written_or_removed(Path(request["unfinished"])) as unfinished:
        if request["container"] == "image":
            still.write(unfinished, still.read(source_path), source_path, request["target"])
        else:
            _remux(source_path, request["container"], unfinished, target_path.suffix)
            xmp.keep(source_path, unfinished)
    line.send(end=True)


def _remux(source_path: Path, container: str, unfinished: Path, suffix: str) -> None:
    with closing(open_source(source_path, container)) as source:
        time_base = main_video_stream(source).time_base or DEFAULT_TIME_BASE
        with open_target(unfinished, muxer_of(suffix), time_base) as target:
            copies = {}
            for template in source.streams:
                if (copy := add_copied_stream(target, template, suffix)) is not None:
                    copies[template.index] = copy
            copy_description(source, target)
            for packet in copied_packets(source, copies):
                target.mux(packet)


@contextmanager
def _written_or_removed(unfinished: Path) -> Iterator[Path]:
    """Removes the file when writing it fails, which also covers a parent that was killed; an encoder's errors become ours."""
    try:
        yield unfinished
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, (av.FFmpegError, OSError)):
            raise EncodeFailed(f"the output cannot be written: {error.strerror}") from error
        raise
