"""HDR is kept: no picture is tone-mapped, and no file is refused because it is HDR.

In a video, the range, matrix, primaries and transfer (PQ or HLG) of the source are written to the output; `codec.py` chooses an encoder
that keeps the bit depth, and refuses the file if there is none. In a PNG, the chunks that mark it as HDR are copied.
Frames are rebuilt from their planes, so per-frame metadata (mastering display, content light level, HDR10+, Dolby Vision) is not in the
output.
"""

import av
from av.video.codeccontext import VideoCodecContext

from service.pipeline.io.pixels import FULL_RANGE_NAMES
from service.pipeline.picture.colour import MATRIX_RGB
from service.pipeline.video import Colour

HDR_PNG_CHUNKS = (b"cICP", b"mDCV", b"cLLI")
RANGE_UNSPECIFIED, RANGE_LIMITED, RANGE_FULL = 0, 1, 2  # AVColorRange


def read_colour_tags(frame: av.VideoFrame) -> Colour:
    """The colour tags of a frame, HDR or not. An RGB frame that does not state its range is full range."""
    rgb = frame.format.is_rgb
    implied_full = frame.format.name in FULL_RANGE_NAMES or (rgb and frame.color_range == RANGE_UNSPECIFIED)
    return Colour(
        full_range=implied_full or frame.color_range == RANGE_FULL,
        matrix=MATRIX_RGB if rgb else frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
    )


def write_colour_tags(encoder: VideoCodecContext, colour: Colour) -> None:
    """Give an encoder that is not open yet the source's colour tags, so that HDR stays HDR."""
    encoder.color_range = RANGE_FULL if colour.full_range else RANGE_LIMITED
    encoder.colorspace = colour.matrix
    encoder.color_primaries = colour.primaries
    encoder.color_trc = colour.transfer
