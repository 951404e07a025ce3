"""A video as data: its description, the limits for inputs, and its decoded frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Limits:
    """The largest input that is accepted, and what its decoder may use."""

    # What each allows at least is checked where settings are read.
    file_bytes: Annotated[int, Gt(0)] = 200 * 2**20
    duration_seconds: Annotated[float, Gt(0)] = 360.0
    long_side_pixels: Annotated[int, Gt(0)] = 2048
    short_side_pixels: Annotated[int, Gt(0)] = 1088
    still_pixels: Annotated[int, Gt(0)] = 50 * 10**6  # width x height of an image, whose sides have no limit
    decoder_memory_bytes: Annotated[int, Ge(512 * 2**20)] = 2 * 2**30  # with 384 MiB it cannot load its libraries and decode 720p
    decoder_stall_seconds: Annotated[float, Gt(0)] = 60.0  # without a new frame


@dataclass(frozen=True)
class PixelFormat:
    """A planar YUV or RGB layout. name: FFmpeg's. chroma_shift_x, _y: log2 of the luma pixels per chroma sample, across and down."""

    name: str
    bit_depth: int
    chroma_shift_x: int
    chroma_shift_y: int


@dataclass(frozen=True)
class Colour:
    """How stored values stand for light: FFmpeg's integers, with the range as a bool."""

    full_range: bool
    matrix: int  # AVColorSpace
    primaries: int  # AVColorPrimaries
    transfer: int  # AVColorTransferCharacteristic


@dataclass(frozen=True)
class VideoInfo:
    """A probed video. width, height: of the coded picture, in pixels. rotation_degrees: counterclockwise, from coded to displayed."""

    width: int
    height: int
    rotation_degrees: int
    pixel_format: PixelFormat
    colour: Colour
    time_base: Fraction
    fps: Fraction
    duration_seconds: float
    frames_estimate: int
    codec: str
    container: str
    file_bytes: int
    video_bit_rate: int  # bits per second
    sample_aspect_ratio: Fraction | None = None  # width to height of one pixel; None: the file does not say
    display_matrix: tuple[int, ...] = ()  # FFmpeg's nine integers; empty: displayed as coded


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    planes: Y (H, W), U and V (H / 2 ** chroma_shift_y, W / 2 ** chroma_shift_x, rounded up), uint8 or uint16.
    pts: in units of the video's time base.
    """

    index: int
    pts: int
    planes: tuple[Plane, Plane, Plane]


@dataclass(frozen=True)
class Timeline:
    """When each frame of the video is shown. pts: presentation time stamps, in units of `time_base` seconds."""

    pts: Sequence[int] = field(repr=False)
    time_base: Fraction

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.pts)

    def seconds(self, index: int) -> float:
        """The presentation time of a frame, in seconds since the first frame."""
        return float((self.pts[index] - self.pts[0]) * self.time_base)
