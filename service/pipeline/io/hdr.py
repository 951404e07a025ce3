"""HDR is kept: no picture is tone-mapped, and no file is refused because it is HDR.

In a video, the range, matrix, primaries and transfer (PQ or HLG) of the source are written to the output; `codec.py` chooses an encoder
that keeps the bit depth, and refuses the file if there is none. In a PNG, the chunks that mark it as HDR are copied.
Frames are rebuilt from their planes, so metadata of single frames (HDR10+, Dolby Vision) is not in the
output. HDR10's static metadata is read from the first frame and given to encoders that write it into the stream.
"""

import struct
from fractions import Fraction
from typing import Final, cast

import av
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.codeccontext import VideoCodecContext

from service.pipeline.io.pixels import FULL_RANGE_NAMES
from service.pipeline.picture.colour import MATRIX_RGB
from service.pipeline.video import Colour, Hdr10

CHROMATICITY_UNITS, LUMINANCE_UNITS = 50_000, 10_000  # per 1, and per cd/m2: those of HDR10's SEI messages
MASTERING_FORMAT: Final = "20i2i"  # AVMasteringDisplayMetadata: ten fractions, then whether it has primaries and luminance
HDR10_KEYS: Final = {  # by encoder: its keys for the mastering display and for the light level
    "libx264": ("mastering-display", "cll"),
    "libx265": ("master-display", "max-cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}
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


def read_hdr10(frame: av.VideoFrame) -> Hdr10:
    """The mastering display and the light level that a frame carries."""
    side_data = cast(SideDataContainer, frame.side_data)  # PyAV annotates one kind only
    mastering: tuple[int, ...] = ()
    if SideDataType.MASTERING_DISPLAY_METADATA in side_data:
        *numbers, has_primaries, has_luminance = struct.unpack_from(
            MASTERING_FORMAT, memoryview(side_data[SideDataType.MASTERING_DISPLAY_METADATA])
        )
        if has_primaries and has_luminance and all(numbers[1::2]):
            red, green, blue, white, lowest, highest = _in_units(numbers)
            mastering = (*green, *blue, *red, *white, *highest, *lowest)
    light: tuple[int, ...] = ()
    if SideDataType.CONTENT_LIGHT_LEVEL in side_data:
        light = struct.unpack_from("2I", memoryview(side_data[SideDataType.CONTENT_LIGHT_LEVEL]))
    return Hdr10(mastering, light)


def _in_units(numbers: list[int]) -> list[tuple[int, ...]]:
    """Chromaticities of red, green, blue and white, then the lowest and the highest luminance. numbers: numerators and denominators."""
    values = [Fraction(number, divisor) for number, divisor in zip(numbers[::2], numbers[1::2], strict=True)]
    points = [tuple(round(value * CHROMATICITY_UNITS) for value in values[i : i + 2]) for i in range(0, 8, 2)]
    return [*points, *((round(value * LUMINANCE_UNITS),) for value in values[8:])]


def hdr10_options(codec: str, hdr10: Hdr10) -> dict[str, str]:
    """What an encoder, by FFmpeg's name, is told so that it writes the metadata: its own keys and values. Empty if it cannot."""
    if codec not in HDR10_KEYS:
        return {}
    mastering_key, light_key = HDR10_KEYS[codec]
    options = {}
    if hdr10.mastering:
        in_real_units = codec == "libsvtav1"
        *points, highest, lowest = hdr10.mastering
        x_y = [f"{point / CHROMATICITY_UNITS:g}" if in_real_units else str(point) for point in points]
        luminance = [f"{value / LUMINANCE_UNITS:g}" if in_real_units else str(value) for value in (highest, lowest)]
        pairs = zip(("G", "B", "R", "WP", "L"), (x_y[0:2], x_y[2:4], x_y[4:6], x_y[6:8], luminance), strict=True)
        options[mastering_key] = "".join(f"{name}({','.join(pair)})" for name, pair in pairs)
    if hdr10.light:
        options[light_key] = ",".join(map(str, hdr10.light))
    return options
