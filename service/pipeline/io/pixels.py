"""Between FFmpeg's frames and planes: which pixel formats are processed, and how samples are copied out and in."""

import av
import numpy as np
from numpy.typing import NDArray

from service.errors import UnsupportedFormat
from service.pipeline.picture.colour import MATRIX_RGB, Planes
from service.pipeline.video import Colour, PixelFormat, Plane

PIXEL_FORMATS = {
    f"yuv{layout}p{suffix}": PixelFormat(f"yuv{layout}p{suffix}", depth, shift_x, shift_y)
    for layout, shift_x, shift_y in (("420", 1, 1), ("422", 1, 0), ("444", 0, 0))
    for suffix, depth in (("", 8), ("10le", 10), ("12le", 12))
} | {"gbrp": PixelFormat("gbrp", 8, 0, 0)}

SAME_SAMPLES = {  # another order or name for the samples of a format above
    "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p",
    "nv12": "yuv420p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "p010le": "yuv420p10le",
} | dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp")
RELABELLED = ("yuvj420p", "yuvj422p", "yuvj444p")  # the planes are the same: nothing to convert
FULL_RANGE = 2  # AVCOL_RANGE_JPEG


def pixel_format_of(frame: av.VideoFrame) -> PixelFormat:
    """The layout in which the frame's planes are handed over."""
    name = frame.format.name
    form = PIXEL_FORMATS.get(SAME_SAMPLES.get(name, name))
    if form is None:
        raise UnsupportedFormat(f"the pixel format {name} is not supported")
    return form


def colour_of(frame: av.VideoFrame) -> Colour:
    """The frame's colour tags; RGB uses the whole range unless it says otherwise."""
    rgb = frame.format.is_rgb
    named_full = frame.format.name in RELABELLED or (rgb and frame.color_range == 0)
    return Colour(
        full_range=named_full or frame.color_range == FULL_RANGE,
        matrix=MATRIX_RGB if rgb else frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
    )


def planes_of(frame: av.VideoFrame, form: PixelFormat) -> Planes:
    """The frame's planes, (h, w) each, as views into it where its layout is `form`."""
    if frame.format.name not in (form.name, *RELABELLED):
        frame = frame.reformat(format=form.name)
    first, second, third = (_samples(plane, form) for plane in frame.planes)
    return first, second, third


def frame_of(planes: Planes, form: PixelFormat) -> av.VideoFrame:
    """A new frame with copies of the planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, form.name)
    for place, plane in zip(frame.planes, planes, strict=True):
        _samples(place, form)[...] = plane
    return frame


def _samples(plane: av.video.plane.VideoPlane, form: PixelFormat) -> Plane:
    """(h, w) view of a plane without the padding at the end of its lines."""
    lines: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    if plane.line_size < 0:
        lines = lines[::-1]
    if form.bit_depth == 8:
        return lines[:, : plane.width]
    return lines[:, : 2 * plane.width].view(np.uint16)
