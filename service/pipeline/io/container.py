"""Opens a video with the one demuxer that its first bytes allow, and finds its main stream."""

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from service.errors import CleanplateError, DecodeFailed, NoVideoStream, Truncated, UnsupportedFormat
from service.pipeline.io.tags import WithoutTags, find_tags

DEMUXERS = {"mp4": "mov", "mov": "mov", "mkv": "matroska", "webm": "matroska", "avi": "avi"}
MUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".3gp": "3gp",
    ".3g2": "3g2",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
}  # by the target's suffix


def open_source(path: Path, container: str, *, with_tags: bool = True) -> InputContainer:
    """Open a video for reading; the caller closes it. container: as `container_of` names it. Raises InputError kinds.

    with_tags: if not, many tags are hidden from FFmpeg; a few may be there.
    """
    tags = find_tags(path, container)
    hidden = tags.are_many and not with_tags
    source = WithoutTags(path, tags.parts) if hidden else str(path.absolute())
    try:
        return av.open(source, "r", format=DEMUXERS[container], metadata_errors="replace")
    except av.FFmpegError as error:
        raise read_error(error, "the file ends early, or its index is broken") from error


def read_error(error: av.FFmpegError, damage: str) -> CleanplateError:
    """Our error for one of FFmpeg's while reading. Nearly all of them mean a damaged file, whatever their names say.

    damage: the message for that case.
    """
    if isinstance(error, MemoryError):
        return DecodeFailed("the decoder needs more memory than it may have")
    if isinstance(error, (av.DecoderNotFoundError, av.PatchWelcomeError)):
        return UnsupportedFormat("the video's codec, or a feature of it, is not supported")
    return Truncated(damage)


def is_cover(stream: Stream) -> bool:
    """Whether a stream is one picture that stands for the file, such as an album's cover."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def main_video_stream(source: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture. Raises NoVideoStream or UnsupportedFormat."""
    streams = [stream for stream in source.streams.video if not is_cover(stream)]
    if not streams:
        raise NoVideoStream("the file has no video stream")
    if streams[0].codec_context is None:
        raise UnsupportedFormat("the video's codec is not supported")
    return streams[0]
