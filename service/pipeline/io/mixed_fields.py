"""Whether later pictures of a video are interlaced though its first one is not, as where a broadcast changes from a film to the news.

Only H.264 and MPEG-2 can change so within a stream. Their key frames are looked at: of H.264 only where the stream allows fields at all.
"""

from contextlib import closing
from pathlib import Path
from typing import Final

import av
from av.stream import Stream

from service.pipeline.io import avc
from service.pipeline.io.container import main_video_stream, open_source

MAX_LOOKED_AT: Final = 100  # key frames, evenly over the video: at most 2 s for pictures of 1080 lines


def may_have_fields(stream: Stream, key_packet: bytes) -> bool:
    """Whether a stream, of which this is the packet of a key frame, can have interlaced pictures among others."""
    context = stream.codec_context
    match context and context.codec.canonical_name:
        case "mpeg2video":
            return True
        case "h264":
            return avc.allows_fields(context.extradata or b"", key_packet)
    return False


def has_fields(path: Path, container: str, key_frames: int) -> bool:
    """Whether a key frame of the main stream is interlaced. key_frames: how many there are. What cannot be decoded is left out."""
    step, number = -(-key_frames // MAX_LOOKED_AT), 0
    with closing(open_source(path, container, with_tags=False)) as source:
        stream = main_video_stream(source)
        try:
            for packet in source.demux(stream):
                if packet.size and not packet.is_keyframe:
                    continue
                number += 1
                is_looked_at = not packet.size or number % step == 0
                if is_looked_at and any(frame.interlaced_frame for frame in stream.decode(packet)):
                    return True
        except av.FFmpegError:
            return False
    return False
