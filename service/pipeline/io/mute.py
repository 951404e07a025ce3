"""The same file without its sound: every other stream is copied, packet by packet."""

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from service.errors import EncodeFailed
from service.media import container_of
from service.pipeline.io import xmp
from service.pipeline.io.codec import muxer_of
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.encode import DEFAULT_TIME_BASE, MEMORY_BYTES, STALL_SECONDS, copy_untouched
from service.pipeline.io.mux import add_copied_stream, copied_packets, copy_description, open_target
from service.pipeline.io.whole_file import whole_file
from service.pipeline.sandbox.sandbox import Child, Line, Message


def mute(source: Path, target: Path) -> None:
    """The file without its audio streams; one that has none, an image too, is copied as it is.

    Raises EncodeFailed, or the `InputError` that says what is wrong with the source; the target appears whole or not at all.
    """
    container = container_of(source)
    with whole_file(target) as unfinished:
        if container == "image" or not _written_silent(source, container, unfinished):
            copy_untouched(source, unfinished)


def _written_silent(source: Path, container: str, unfinished: Path) -> bool:
    """Whether there was sound to leave out; only then something is written."""
    request = {"source": str(source.absolute()), "container": container, "unfinished": str(unfinished)}
    with Child(
        _mute_in_child,
        request,
        work="encoder",
        failure=EncodeFailed,
        memory_bytes=MEMORY_BYTES,
        stall_seconds=STALL_SECONDS,
        may_write=True,
    ) as child:
        return bool(child.receive().get("written"))


def _mute_in_child(line: Line, request: Message) -> None:
    with closing(open_source(Path(request["source"]), request["container"])) as source:
        sound = bool(source.streams.audio)
        if sound:
            try:
                _copy_all_but_audio(source, Path(request["unfinished"]))
                xmp.keep(Path(request["source"]), Path(request["unfinished"]))
            except (av.FFmpegError, OSError) as error:
                raise EncodeFailed(f"the output cannot be written: {error.strerror}") from error
    line.send(written=sound)


def _copy_all_but_audio(source: InputContainer, unfinished: Path) -> None:
    time_base: Fraction = main_video_stream(source).time_base or DEFAULT_TIME_BASE
    with open_target(unfinished, muxer_of(unfinished.suffix), time_base) as target:
        copies = {}
        for template in source.streams:
            if template.type != "audio" and (copy := add_copied_stream(target, template, unfinished.suffix)) is not None:
                copies[template.index] = copy
        copy_description(source, target)
        for packet in copied_packets(source, copies):
            target.mux(packet)
