"""Removes the sound from a file. Packets of all other streams are copied."""

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from service.errors import EncodeFailed
from service.media import container_of
from service.pipeline.io import xmp
from service.pipeline.io.aspect_ratio import write_aspect_ratio
from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.io.codec import muxer_of
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.copied import CopiedStreams
from service.pipeline.io.encode import DEFAULT_TIME_BASE, MEMORY_BYTES, STALL_SECONDS, copy_untouched
from service.pipeline.io.mux import copy_description, open_target
from service.pipeline.io.tag_names import has_own_keys
from service.pipeline.sandbox.sandbox import Channel, Child, Message


def mute(source: Path, target: Path) -> None:
    """Write the file without its audio streams. A file without audio, or an image, is copied byte by byte.

    Raises EncodeFailed, RequestError, or the InputError kind that fits the source. The target appears complete or not at all.
    """
    container = container_of(source)
    with atomic_file(target) as unfinished:
        if container == "image" or not _remux_without_audio(source, container, unfinished):
            copy_untouched(source, unfinished)


def _remux_without_audio(source: Path, container: str, unfinished: Path) -> bool:
    """Write the file without audio; returns False, with nothing written, if the source has none."""
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
        return bool(child.receive().get("had_audio"))


def _mute_in_child(channel: Channel, request: Message) -> None:
    with closing(open_source(Path(request["source"]), request["container"])) as source:
        had_audio = bool(source.streams.audio)
        if had_audio:
            try:
                own_keys = has_own_keys(Path(request["source"]), request["container"], source.metadata)
                _copy_all_but_audio(source, Path(request["unfinished"]), own_keys=own_keys)
                write_aspect_ratio(Path(request["unfinished"]), main_video_stream(source).sample_aspect_ratio or None)
                xmp.copy_xmp_packet(Path(request["source"]), Path(request["unfinished"]))
            except (av.FFmpegError, OSError) as error:
                raise EncodeFailed(f"the output cannot be written: {error.strerror}") from error
    channel.send(had_audio=had_audio)


def _copy_all_but_audio(source: InputContainer, unfinished: Path, *, own_keys: bool) -> None:
    time_base: Fraction = main_video_stream(source).time_base or DEFAULT_TIME_BASE
    with open_target(unfinished, muxer_of(unfinished.suffix), time_base, own_keys=own_keys) as target:
        copies = CopiedStreams(source, target, unfinished.suffix)
        for template in source.streams:
            if template.type != "audio":
                copies.add(template)
        copy_description(source, target)
        for packet in copies.packets():
            target.mux(packet)
