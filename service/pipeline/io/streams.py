"""What becomes of the streams that are not cleaned: copied, attached, converted, lost, or a reason to refuse the target."""

import os
from enum import Enum
from functools import cache

import av
from av.stream import DataStream, Discard, Stream

from service.errors import RequestError
from service.pipeline.io.codec import encoder_options, kept_in_pictures, muxer_of
from service.pipeline.io.container import is_cover
from service.pipeline.video import Carried, VideoInfo

COVER_CODECS = ("mjpeg", "png")
MOVIE_MUXERS = ("mp4", "mov", "3gp", "3g2")  # those of ISO base media files, which have edit lists
MP4_ALONE = frozenset(("opus", "libopus", "flac", "truehd"))  # which FFmpeg lists for all movie muxers, and refuses when it writes
TEXT_CODECS = ("subrip", "srt", "webvtt", "ass", "ssa", "text", "mov_text")  # FFmpeg's names of subtitles that are text
TEXT_OF_MUXER = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}  # what such text is converted to
NEEDED = ("audio", "subtitle")  # a target without these is refused
TELEMETRY = "bin_data"  # FFmpeg's name for what the movie muxers can copy of the data streams: GoPro's telemetry


CLOSED_CAPTIONS, TEXT_CAPTIONS = "closed captions", "CEA-608"  # as parts of a video: kind, and codec where text is in them


class Fate(Enum):
    """What becomes of a stream in a container."""

    COPIED = "copied"
    ATTACHED = "attached"  # as a file
    CONVERTED = "converted"  # its text is kept, its layout is not
    LOST = "lost"
    REFUSED = "refused"


def stream_part(stream: Stream) -> Carried:
    """A stream as data."""
    if stream.codec_context is not None:
        return Carried("cover" if is_cover(stream) else stream.type, stream.codec_context.name)
    is_data = isinstance(stream, DataStream) and not is_written_anew(stream)
    return Carried(stream.type, stream.name or "" if is_data else "")


def is_written_anew(stream: Stream) -> bool:
    """Whether a track holds the chapters' titles or the time code, which FFmpeg reads as tags, and writes as a track again."""
    return isinstance(stream, DataStream) and (stream.discard is Discard.all or "timecode" in stream.metadata)


def fate_of(part: Carried, muxer: str) -> Fate:
    """What becomes of a stream in a file of this muxer."""
    match part.kind:
        case "attachment":
            return Fate.ATTACHED if muxer == "matroska" else Fate.LOST
        case "cover" if muxer == "matroska":
            return Fate.ATTACHED if part.codec in COVER_CODECS else Fate.LOST
        case "cover":
            return Fate.COPIED if muxer == "mp4" and part.codec in COVER_CODECS else Fate.LOST
        case "data" | "unknown":
            return Fate.COPIED if part.codec == TELEMETRY and muxer in MOVIE_MUXERS else Fate.LOST
    if part.codec in _codecs_of(muxer):
        return Fate.COPIED
    if part.kind == "subtitle" and part.codec in TEXT_CODECS and muxer in TEXT_OF_MUXER:
        return Fate.CONVERTED
    return Fate.REFUSED


def check_streams(info: VideoInfo, suffix: str) -> None:
    """Raise RequestError or UnsupportedFormat if no file with this suffix, such as ".mp4", can hold the pictures, sound and subtitles."""
    if muxer_of(suffix) == "avi" != info.container:
        raise RequestError("an .avi file cannot say when each picture is shown; choose .mp4, .mov or .mkv")
    encoder_options(info, suffix)
    for part in info.carries:
        if part.kind in NEEDED and fate_of(part, muxer_of(suffix)) is Fate.REFUSED:
            raise refusal(part, suffix)


def captions_become_text(info: VideoInfo, suffix: str) -> bool:
    """Whether closed captions become a track of text, as new pictures do not hold them. Raises like `encoder_options`."""
    has_text = any((part.kind, part.codec) == (CLOSED_CAPTIONS, TEXT_CAPTIONS) for part in info.carries)
    return has_text and muxer_of(suffix) in TEXT_OF_MUXER and CLOSED_CAPTIONS not in kept_in_pictures(info, suffix)


def refusal(part: Carried, suffix: str) -> RequestError:
    """The error for a stream that a target with this suffix cannot hold."""
    name = part.codec or "unknown"
    return RequestError(f"{suffix} files cannot hold the source's {part.kind} stream ({name}); choose another output format")


@cache
def _codecs_of(muxer: str) -> frozenset[str]:
    """FFmpeg's names of the codecs that a muxer takes, of decoders and encoders."""
    with av.open(os.devnull, "w", format=muxer) as container:
        return frozenset(container.supported_codecs) - (MP4_ALONE if muxer in MOVIE_MUXERS and muxer != "mp4" else frozenset())
