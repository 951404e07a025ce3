"""What a stream says about its pictures, besides their size and samples: fields, transparency, hidden edges."""

import av
from av.video.stream import VideoStream

from service.pipeline.io.pixels import pixel_format_of
from service.pipeline.video import PROGRESSIVE, Crop

TOP_FIELD_FIRST = 2  # AVFieldOrder
ALPHA_CODECS = ("vp8", "vp9")  # whose transparency is a second stream of pictures beside the first
MIN_SHOWN_PIXELS = 16  # a crop to less than a macroblock is not meant


def field_order_of(frame: av.VideoFrame, stream: VideoStream) -> int:
    """The AVFieldOrder of a stream with this first frame. An interlaced one that does not state it is top field first, as most are."""
    stated: int = stream.codec_context.field_order
    if stated > PROGRESSIVE:
        return stated
    return TOP_FIELD_FIRST if frame.interlaced_frame else PROGRESSIVE


def has_alpha(stream: VideoStream) -> bool:
    """Whether the pictures have transparency, which their frames do not show."""
    return stream.codec_context.codec.canonical_name in ALPHA_CODECS and stream.metadata.get("alpha_mode") == "1"


def crop_of(frame: av.VideoFrame, hidden: Crop | None, *, interlaced: bool) -> Crop | None:
    """The hidden edges that are cut off, whole chroma samples each, so that nothing hidden is shown. None for an absurd crop."""
    if hidden is None:
        return None
    form = pixel_format_of(frame)
    across, down = 1 << form.chroma_shift_x, (1 << form.chroma_shift_y) * (2 if interlaced else 1)
    left, right = (-(-edge // across) * across for edge in (hidden.left, hidden.right))
    top, bottom = (-(-edge // down) * down for edge in (hidden.top, hidden.bottom))
    crop = Crop(left, top, right, bottom)
    shown = (frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom)
    return crop if min(shown) >= MIN_SHOWN_PIXELS else None
