"""FFmpeg's frames and planes: which pixel formats are processed, and how samples are copied out and in."""

import av
import numpy as np

from models.arrays import Bytes
from service.errors import UnsupportedFormat
from service.pipeline.picture.colour import Planes
from service.pipeline.video import PixelFormat, Plane

PIXEL_FORMATS = {
    f"yuv{layout}p{suffix}": PixelFormat(f"yuv{layout}p{suffix}", depth, shift_x, shift_y)
    for layout, shift_x, shift_y in (("420", 1, 1), ("422", 1, 0), ("444", 0, 0))
    for suffix, depth in (("", 8), ("10le", 10), ("12le", 12))
} | {"gbrp": PixelFormat("gbrp", 8, 0, 0)}

EQUIVALENT_FORMATS = {  # the same samples as a format above, in another order or under another name
    "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p",
    "nv12": "yuv420p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "p010le": "yuv420p10le",
} | dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp")
WIDENED_FORMATS = {  # formats that no encoder here takes, and the one whose chroma planes can hold all of theirs
    "yuv411p": "yuv422p",
    "gray": "yuv420p",
    "gray10le": "yuv420p10le",
    "gray12le": "yuv420p12le",
}
ALPHA_NAMES = ("yuva420p",)  # the transparency comes after the other planes
FULL_RANGE_NAMES = ("yuvj420p", "yuvj422p", "yuvj444p")  # only the name differs; the planes need no conversion


def pixel_format_of(frame: av.VideoFrame) -> PixelFormat:
    """The layout of the planes that `planes_of` returns. Raises UnsupportedFormat."""
    name = frame.format.name
    form = PIXEL_FORMATS.get((EQUIVALENT_FORMATS | WIDENED_FORMATS).get(name, name))
    if form is None:
        raise UnsupportedFormat(f"the pixel format {name} is not supported")
    return form


def planes_of(frame: av.VideoFrame, form: PixelFormat) -> Planes:
    """The frame's planes in the layout `form`, (h, w) each; views into the frame where it needs no conversion."""
    if frame.format.name in WIDENED_FORMATS:
        return _widened(frame, form)
    if frame.format.name not in (form.name, *FULL_RANGE_NAMES, *ALPHA_NAMES):
        frame = frame.reformat(format=form.name)
    first, second, third = (_plane_samples(plane, form) for plane in frame.planes[:3])
    return first, second, third


def _widened(frame: av.VideoFrame, form: PixelFormat) -> Planes:
    """The planes of a frame of WIDENED_FORMATS: grey chroma for one that has none, else each chroma sample as often as it is shown."""
    luma, *chroma = (_plane_samples(plane, form) for plane in frame.planes)
    width, height = -(-frame.width >> form.chroma_shift_x), -(-frame.height >> form.chroma_shift_y)
    if not chroma:
        neutral = np.full((height, width), 1 << (form.bit_depth - 1), luma.dtype)
        return luma, neutral, neutral
    first, second = (plane.repeat(-(-width // plane.shape[1]), axis=1)[:, :width] for plane in chroma)
    return luma, first, second


def frame_of(planes: Planes, form: PixelFormat) -> av.VideoFrame:
    """A new frame with copies of the planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, form.name)
    write_planes(frame, planes, form)
    return frame


def write_planes(frame: av.VideoFrame, planes: Planes, form: PixelFormat) -> None:
    """Replace a frame's planes by copies of these; a further one, of transparency, stays."""
    for place, plane in zip(frame.planes, planes, strict=False):
        _plane_samples(place, form)[...] = plane


def _plane_samples(plane: av.video.plane.VideoPlane, form: PixelFormat) -> Plane:
    """The samples of a plane, a view (h, w) uint8 or uint16 without the padding at the end of each line."""
    lines: Bytes = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    if plane.line_size < 0:
        lines = lines[::-1]
    if form.bit_depth == 8:
        return lines[:, : plane.width]
    return lines[:, : 2 * plane.width].view(np.uint16)
