"""What a video is on its way through the pipeline: its description, its limits, its frames."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Limits:
    """What an input may be at most."""

    file_bytes: int = 200 * 2**20
    duration_seconds: float = 360.0
    long_side_pixels: int = 2048
    short_side_pixels: int = 1088
    still_pixels: int = 50 * 10**6  # of an image, in place of the two sides
    decoder_memory_bytes: int = 2 * 2**30
    decoder_stall_seconds: float = 60.0  # without a new frame


@dataclass(frozen=True)
class PixelFormat:
    """A planar YUV layout: `name` as FFmpeg spells it, chroma shifts as powers of two."""

    name: str
    bit_depth: int
    chroma_shift_x: int
    chroma_shift_y: int


@dataclass(frozen=True)
class Colour:
    """How YUV values stand for light; FFmpeg's own integers, `full_range` resolved to a bool."""

    full_range: bool
    matrix: int  # AVColorSpace
    primaries: int  # AVColorPrimaries
    transfer: int  # AVColorTransferCharacteristic


@dataclass(frozen=True)
class VideoInfo:
    """A probed video. Width and height are those of the coded picture, before rotation."""

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
    sample_aspect_ratio: Fraction | None = None  # of a pixel, width to height; None: the file does not say
    display_matrix: tuple[int, ...] = ()  # FFmpeg's nine integers; empty: shown as it is


@dataclass(frozen=True)
class Frame:
    """One decoded picture. `planes` are Y, U, V: (H, W) and twice (H >> sy, W >> sx) rounded up, uint8 or uint16."""

    index: int
    pts: int
    planes: tuple[Plane, Plane, Plane]
