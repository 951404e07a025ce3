"""What a stream says about its pictures, besides their size and samples: fields, transparency, hidden edges."""

import av
from av.video.stream import VideoStream

from service.pipeline.io.pixels import pixel_format_of
from service.pipeline.video import PROGRESSIVE, Crop

ALPHA_CODECS = ("vp8", "vp9")  # whose transparency is a second stream of pictures beside the first
MIN_SHOWN_PIXELS = 16  # a crop to less than a macroblock is not meant


def is_interlaced(frame: av.VideoFrame, stream: VideoStream) -> bool:
    """Whether the lines of a stream's frames, of which this is the first, alternate between two moments."""
    return bool(frame.interlaced_frame) or stream.codec_context.field_order > PROGRESSIVE


def has_alpha(stream: VideoStream) -> bool:
    """Whether the pictures have transparency, which their frames do not show."""
    return stream.codec_context.codec.canonical_name in ALPHA_CODECS and any(
        key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()
    )


def crop_of(frame: av.VideoFrame, hidden: Crop | None) -> Crop | None:
    """The hidden edges that are cut off, whole chroma samples each, so that nothing hidden is shown. None for an absurd crop."""
    if hidden is None:
        return None
    form = pixel_format_of(frame)
    across, down = 1 << form.chroma_shift_x, (1 << form.chroma_shift_y) * (2 if frame.interlaced_frame else 1)
    left, right = (-(-edge // across) * across for edge in (hidden.left, hidden.right))
    top, bottom = (-(-edge // down) * down for edge in (hidden.top, hidden.bottom))
    crop = Crop(left, top, right, bottom)
    shown = (frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom)
    return crop if min(shown) >= MIN_SHOWN_PIXELS else None
