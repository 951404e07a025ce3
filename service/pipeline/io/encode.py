"""Frames to file, encoded in a child process. The target appears only when it is complete."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from service.errors import EncodeFailed
from service.media import container_of
from service.pipeline.io import still, xmp
from service.pipeline.io.aspect_ratio import write_aspect_ratio
from service.pipeline.io.atomic_file import atomic_file, unfinished_name
from service.pipeline.io.captions import CaptionTrack
from service.pipeline.io.carrier import pictures_of
from service.pipeline.io.codec import EncoderSettings, encoder_options, muxer_of
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.copied import CopiedStreams, packets_within
from service.pipeline.io.mux import (
    Interleaver,
    add_encoded_stream,
    copy_description,
    open_target,
    start_encoders,
)
from service.pipeline.io.splice import splice
from service.pipeline.io.streams import MOVIE_MUXERS, captions_become_text, check_streams
from service.pipeline.io.tag_names import has_own_keys
from service.pipeline.io.timed_stream import TimedStream
from service.pipeline.io.video_parts import is_further_video
from service.pipeline.picture.orientation import planes_as_stored
from service.pipeline.sandbox.ring import Layout, Ring
from service.pipeline.sandbox.sandbox import Channel, Child, Message, Task
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Frame, VideoInfo

__all__ = ["Encoder", "EncoderSettings", "copy_untouched", "encoder_options"]

SAME_CONTAINER = {  # by container: the suffixes under which a file is copied byte by byte
    "mp4": (".mp4", ".m4v", ".3gp", ".3g2"),
    "mov": (".mov",),
    "mkv": (".mkv",),
    "webm": (".webm", ".mkv"),
    "avi": (".avi",),
}
DEFAULT_TIME_BASE = Fraction(1, 1000)
MEMORY_BYTES = 6 * 2**30  # of address space for the encoder's process
STALL_SECONDS = 300.0  # the slowest encoder here fills a 1080p lookahead in a tenth of that


class Encoder:
    """A context manager that writes a video or an image like `source`, with new pictures, which are turned as its own are stored.

    The complete target appears when the block ends without an exception; otherwise nothing is left. Audio and subtitle packets,
    chapters, metadata, timing, rotation and colour tags are the source's. stretches: of the frames that are written, in rising order, if
    all other packets are the source's too.
    Raises EncodeFailed if the encoder or the disk fails or there was no frame, RequestError or UnsupportedFormat if the target
    cannot hold the source.
    """

    def __init__(self, source: Path, target: Path, info: VideoInfo, stretches: Sequence[range] | None = None) -> None:
        self._target = target
        self._unfinished = unfinished_name(target)
        self._ring = Ring(Layout.of(info))
        self._sent = 0
        request = {
            "source": str(source.absolute()),
            "target": str(target.absolute()),
            "unfinished": str(self._unfinished),
            "info": info_to_message(info),
            "memory": self._ring.file,
            "stretches": None if stretches is None else [(stretch.start, stretch.stop) for stretch in stretches],
        }
        self._child = _start_encoder(_encode_in_child, request, share=(self._ring.file,))

    def write(self, frame: Frame) -> None:
        """Send the next frame to the encoder; waits while all slots of the ring are full."""
        if self._sent >= self._ring.slots:
            self._child.receive()
        self._ring.write(self._sent, frame.planes)
        self._child.send(pts=frame.pts)
        self._sent += 1

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
        if not self._sent:
            raise EncodeFailed("there is no frame to encode")
        self._child.send(end=True)
        while not self._child.receive().get("end"):
            pass


def check_target(info: VideoInfo, suffix: str) -> None:
    """Raise RequestError or UnsupportedFormat, before any work, if no file with this suffix can hold the source."""
    if info.container == "image":
        still.check_target(info, suffix)
    else:
        check_streams(info, suffix)


def is_copied(container: str, source: Path, target: Path) -> bool:
    """Whether a source without marks becomes the target byte by byte. container: the source's."""
    return target.suffix.lower() in (still.suffixes_of(source) if container == "image" else SAME_CONTAINER[container])


def can_copy(info: VideoInfo, target: Path) -> bool:
    """Whether `copy_untouched` keeps what is shown of a video: containers other than its own may not take over what it hides."""
    if info.container == "image" or target.suffix.lower() in SAME_CONTAINER[info.container]:
        return True
    return info.crop is None and (not info.begins_hidden or muxer_of(target.suffix) in MOVIE_MUXERS)


def copy_untouched(source: Path, target: Path) -> None:
    """Copy a source without marks: byte by byte, or its streams into another container. Raises like `Encoder`."""
    container = container_of(source)
    with atomic_file(target) as unfinished:
        if is_copied(container, source, target):
            shutil.copyfile(source, unfinished)
        else:
            request = {"source": str(source.absolute()), "target": str(target), "unfinished": str(unfinished), "container": container}
            with _start_encoder(_copy_in_child, request) as child:
                child.receive()


def _start_encoder(task: Task, request: Message, share: tuple[int, ...] = ()) -> Child:
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


def _encode_in_child(channel: Channel, request: Message) -> None:
    info = info_from_message(request["info"])
    ring = Ring(Layout.of(info), request["memory"])
    with _removed_on_failure(Path(request["unfinished"])) as unfinished:
        frames = _received_frames(channel, ring, info.orientation)
        if info.container == "image":
            still.check_target(info, Path(request["target"]).suffix)
            still.write(unfinished, next(frames).planes, Path(request["source"]), request["target"])
            next(frames, None)  # the end
        else:
            source, suffix, stretches = Path(request["source"]), Path(request["target"]).suffix, request["stretches"]
            if stretches is None:
                _encode(frames, source, unfinished, suffix, info.as_stored)
            else:
                splice(frames, source, unfinished, suffix, info.as_stored, [range(*stretch) for stretch in stretches])
            write_aspect_ratio(unfinished, info.as_stored.sample_aspect_ratio)
            xmp.copy_xmp_packet(source, unfinished)
    channel.send(end=True)


def _received_frames(channel: Channel, ring: Ring, orientation: int) -> Iterator[Frame]:
    """Frames from the ring, turned as they are stored, until the parent sends the end.

    Planes are views; a slot is free again when the next frame is requested.
    """
    for index in count():
        message = channel.receive()
        if message is None:
            raise EncodeFailed("the parent process ended")
        if message.get("end"):
            return
        yield Frame(index, message["pts"], planes_as_stored(ring.view(index), orientation))
        channel.send(taken=index)


def _encode(frames: Iterator[Frame], source_path: Path, unfinished: Path, suffix: str, info: VideoInfo) -> None:
    settings, muxer = encoder_options(info, suffix), muxer_of(suffix)
    with (
        closing(open_source(source_path, info.container)) as source,
        open_target(unfinished, muxer, info.time_base, own_keys=has_own_keys(source_path, info.container, source.metadata)) as target,
    ):
        main = main_video_stream(source)
        copies = CopiedStreams(source, target, suffix)
        for template in source.streams:
            if template.index == main.index:
                video = add_encoded_stream(target, info, settings, main)
            elif not is_further_video(template):
                copies.add(template)
        captions = CaptionTrack(target) if captions_become_text(info, suffix) else None
        copy_description(source, target, with_chapters=info.part is None)
        start_encoders(target)
        pictures = pictures_of(frames, source_path, info)
        first = next(pictures)
        start = first[0] if info.part else 0  # a part begins at zero, and what is copied along with it
        packets = copies.packets()
        if info.part:
            packets = packets_within(packets, start * info.time_base, info.part.length)
        copied = Interleaver(packets, target)
        encoded = TimedStream(target, video, end := _end_of(info, start), sums_durations=muxer in MOVIE_MUXERS)
        for pts, picture in chain([first], pictures):
            copied.mux_until((pts - start) * info.time_base)
            if captions:
                target.mux(list(captions.packets(picture, (pts - start) * info.time_base)))
            picture.pts, picture.time_base = pts - start, info.time_base
            encoded.write(picture)
        if captions:
            target.mux(list(captions.rest((pts - start if end is None else end) * info.time_base)))
        encoded.finish()
        copied.mux_rest()


def _end_of(info: VideoInfo, start: int) -> int | None:
    """When the last picture has been shown, in ticks since `start`; None if the container does not say."""
    if info.end_pts is None:
        return None
    end = info.end_pts - start
    return min(end, round(info.part.length / info.time_base)) if info.part else end


def _copy_in_child(channel: Channel, request: Message) -> None:
    source_path, target_path = Path(request["source"]), Path(request["target"])
    with _removed_on_failure(Path(request["unfinished"])) as unfinished:
        if request["container"] == "image":
            still.write(unfinished, still.read(source_path), source_path, request["target"])
        else:
            aspect_ratio = _remux(source_path, request["container"], unfinished, target_path.suffix)
            write_aspect_ratio(unfinished, aspect_ratio)
            xmp.copy_xmp_packet(source_path, unfinished)
    channel.send(end=True)


def _remux(source_path: Path, container: str, unfinished: Path, suffix: str) -> Fraction | None:
    """Copy the streams into another container; returns the aspect ratio of the pixels."""
    with closing(open_source(source_path, container)) as source:
        main = main_video_stream(source)
        time_base = main.time_base or DEFAULT_TIME_BASE
        with open_target(unfinished, muxer_of(suffix), time_base, own_keys=has_own_keys(source_path, container, source.metadata)) as target:
            copies = CopiedStreams(source, target, suffix)
            for template in source.streams:
                copies.add(template)
            copy_description(source, target)
            for packet in copies.packets():
                target.mux(packet)
        return main.sample_aspect_ratio or None


@contextmanager
def _removed_on_failure(unfinished: Path) -> Iterator[Path]:
    """Remove the file if writing fails, also when the parent was killed. Errors of FFmpeg and the disk become EncodeFailed."""
    try:
        yield unfinished
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, (av.FFmpegError, OSError)):
            raise EncodeFailed(f"the output cannot be written: {error.strerror}") from error
        raise
