"""What a video carries besides the stream that is cleaned: its other streams, tags and chapters, and data of its pictures."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Stream
from av.video.stream import VideoStream

from service.pipeline.io.boxes import boxes, read_at
from service.pipeline.io.container import is_cover
from service.pipeline.io.pixels import WIDENED_FORMATS
from service.pipeline.io.streams import is_written_anew, stream_part
from service.pipeline.io.tag_names import MUXERS_OWN, has_own_keys
from service.pipeline.io.xmp import XMP_UUID
from service.pipeline.video import Carried

MAX_PARTS: Final = 50  # of one file that are listed
MAX_TAGS: Final = 50  # of one file that are listed
MAX_DETAIL: Final = 80  # characters
PICTURE_DATA: Final = {  # by the kind of side data of the first picture
    Type.MASTERING_DISPLAY_METADATA: "HDR10 mastering display",
    Type.CONTENT_LIGHT_LEVEL: "HDR10 light level",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid",
    Type.DOVI_METADATA: "Dolby Vision",
    Type.DOVI_RPU_BUFFER: "Dolby Vision",
}
CREDENTIALS_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # type of the box, from the C2PA specification


def parts_of(source: InputContainer, main: VideoStream, first: av.VideoFrame, captions: tuple[Carried, ...]) -> tuple[Carried, ...]:
    """What the streams carry, in the order of the file, at most MAX_PARTS.

    main: the stream that is cleaned. first: its first picture. captions: those in any of its pictures.
    """
    streams = (_of_stream(stream) for stream in source.streams if stream.index != main.index and not is_written_anew(stream))
    side_data = cast(SideDataContainer, first.side_data)  # PyAV annotates one kind only
    of_pictures = dict.fromkeys(name for kind, name in PICTURE_DATA.items() if kind in side_data)
    parts = [*islice(streams, MAX_PARTS), *(Carried(kind) for kind in of_pictures), *captions]
    if first.format.name in WIDENED_FORMATS:
        parts.append(Carried("pixel format", first.format.name))
    if chapters := len(source.chapters()):
        parts.append(Carried("chapters", detail=str(chapters)))
    return tuple(parts)


def file_parts_of(source: InputContainer, path: Path, container: str) -> tuple[Carried, ...]:
    """What a file carries beside its streams."""
    return _tags_of(source, path, container) + _movie_parts_of(path, container)


def _tags_of(source: InputContainer, path: Path, container: str) -> tuple[Carried, ...]:
    """The tags of a whole file, by name. codec: `keys` where an MP4 or MOV would store them under their own names."""
    names = sorted(name for name in source.metadata if name.lower() not in MUXERS_OWN)[:MAX_TAGS]
    listed = ", ".join(_printable(name) for name in names)
    return (Carried("tags", "keys" if has_own_keys(path, container, source.metadata) else "", listed),) if names else ()


def _movie_parts_of(path: Path, container: str) -> tuple[Carried, ...]:
    """What an MP4 or MOV carries beside its streams; nothing for other containers."""
    if container not in ("mp4", "mov"):
        return ()
    kinds = {XMP_UUID: "XMP", CREDENTIALS_UUID: "Content Credentials"}
    with path.open("rb") as file:
        found = [kinds.get(read_at(file, start, 16)) for name, start, _ in boxes(file, 0, path.stat().st_size) if name == b"uuid"]
    return tuple(Carried(kind) for kind in found if kind)


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
