"""What a video carries besides the stream that is cleaned: its other streams, tags and chapters, and data of its pictures."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from service.pipeline.io.container import is_cover
from service.pipeline.io.movie_parts import movie_parts_of
from service.pipeline.io.picture_data import parts_of_picture
from service.pipeline.io.streams import is_written_anew, stream_part
from service.pipeline.io.tag_names import MUXERS_OWN, has_own_keys
from service.pipeline.video import Carried

MAX_PARTS: Final = 50  # of one file that are listed
MAX_TAGS: Final = 50  # of one file that are listed
MAX_DETAIL: Final = 80  # characters


def parts_of(source: InputContainer, main: VideoStream, first: av.VideoFrame, of_any: tuple[Carried, ...]) -> tuple[Carried, ...]:
    """What the streams carry, in the order of the file, at most MAX_PARTS.

    main: the stream that is cleaned. first: its first picture. of_any: what any of its pictures carries.
    """
    streams = (_of_stream(stream) for stream in source.streams if stream.index != main.index and not is_written_anew(stream))
    parts = [*islice(streams, MAX_PARTS), *parts_of_picture(first, main), *of_any]
    if chapters := len(source.chapters()):
        parts.append(Carried("chapters", detail=str(chapters)))
    return tuple(parts)


def file_parts_of(source: InputContainer, path: Path, container: str) -> tuple[Carried, ...]:
    """What a file carries beside its streams."""
    return _tags_of(source, path, container) + movie_parts_of(path, container)


def _tags_of(source: InputContainer, path: Path, container: str) -> tuple[Carried, ...]:
    """The tags of a whole file, by name. codec: `keys` where an MP4 or MOV would store them under their own names."""
    names = sorted(name for name in source.metadata if name.lower() not in MUXERS_OWN)[:MAX_TAGS]
    listed = ", ".join(_printable(name) for name in names)
    return (Carried("tags", "keys" if has_own_keys(path, container, source.metadata) else "", listed),) if names else ()


def is_further_video(stream: Stream) -> bool:
    """Whether a stream beside the main one shows pictures, which still have the mark; a cover does not count."""
    return stream.type == "video" and not is_cover(stream)


def _of_stream(stream: Stream) -> Carried:
    tags = (stream.metadata.get(name) for name in ("language", "title", "handler_name", "filename"))
    return replace(stream_part(stream), detail=_printable(", ".join(filter(None, (*_measures(stream), *tags)))))


def _measures(stream: Stream) -> Iterator[str]:
    """The size of pictures, the rate and channels of sound."""
    if isinstance(stream, av.VideoStream) and stream.codec_context:
        yield f"{stream.codec_context.width}x{stream.codec_context.height}"
    if isinstance(stream, av.AudioStream) and stream.codec_context:
        yield f"{stream.codec_context.sample_rate} Hz, {stream.codec_context.layout.name}"


def _printable(text: str) -> str:
    """The beginning of untrusted text, safe to print."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_DETAIL])
