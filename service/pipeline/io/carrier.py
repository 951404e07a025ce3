"""Pictures to encode. Where the source's frames carry more than planes, the new planes are put into those frames.

Captions, the order of fields and transparency are in FFmpeg's frames, and can be set in no other way. So the encoder's process decodes
the source once more, only for files that have them.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import PictureType

from service.errors import EncodeFailed
from service.pipeline.io.codec import coded_format
from service.pipeline.io.decode import decoded_frames, within
from service.pipeline.io.pixels import frame_of, write_planes
from service.pipeline.video import Frame, VideoInfo


def pictures_of(frames: Iterator[Frame], path: Path, info: VideoInfo) -> Iterator[tuple[int, av.VideoFrame]]:
    """(pts, picture) of each frame of the video at `path`, which `info` describes as it is stored.

    Raises EncodeFailed if the source lacks one of them.
    """
    if not (info.captions or info.interlaced or info.alpha):
        for frame in frames:
            yield frame.pts, frame_of(frame.planes, info.pixel_format)
        return
    carriers = decoded_frames(path, info, with_alpha=info.alpha)
    if info.part:
        carriers = within(carriers, info.part, info.time_base)
    for frame in frames:
        pts, carrier = next(carriers, (None, None))
        if carrier is None or pts != frame.pts:
            raise EncodeFailed("the source cannot be decoded twice in the same way")
        yield frame.pts, _with_planes(carrier, frame, info)


def _with_planes(carrier: av.VideoFrame, frame: Frame, info: VideoInfo) -> av.VideoFrame:
    """The carrier with the frame's planes. Its own are converted only to get the layout."""
    picture = carrier.reformat(width=info.width, height=info.height, format=coded_format(info))
    picture.make_writable()
    write_planes(picture, frame.planes, info.pixel_format)
    picture.pict_type = PictureType.NONE  # the encoder chooses
    return picture
