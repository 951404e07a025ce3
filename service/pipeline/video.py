"""A video as data: its description, the limits for inputs, and its decoded frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]

# By EXIF orientation: what makes the stored picture upright.
ROTATIONS = {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 270, 7: 270, 8: 90}  # degrees, counterclockwise, after mirroring
MIRRORED = frozenset({2, 4, 5, 7})  # left to right
LYING = frozenset({5, 6, 7, 8})  # stored rows are upright columns
PROGRESSIVE = 1  # of AVFieldOrder, where 0 means unknown
BOTTOM_FIRST = (3, 4)  # of AVFieldOrder: the bottom field is shown first, whichever is stored first


@dataclass(frozen=True)
class Limits:
    """The largest input that is accepted, and what cleaning it may use."""

    # What each allows at least is checked where settings are read.
    file_bytes: Annotated[int, Gt(0)] = 200 * 2**20
    duration_seconds: Annotated[float, Gt(0)] = 360.0
    long_side_pixels: Annotated[int, Gt(0)] = 2048
    short_side_pixels: Annotated[int, Gt(0)] = 1088
    still_pixels: Annotated[int, Gt(0)] = 50 * 10**6  # width x height of an image, whose sides have no limit
    decoder_memory_bytes: Annotated[int, Ge(512 * 2**20)] = 2 * 2**30  # with 384 MiB it cannot load its libraries and decode 720p
    decoder_stall_seconds: Annotated[float, Gt(0)] = 60.0  # without a new frame
    memory_bytes: Annotated[int, Ge(256 * 2**20)] = (
        2**30
    )  # of a job's pictures and what is computed from them, beside its processes' programs

    @property
    def kept_bytes(self) -> int:
        """Of the frames of a short file that are kept between the steps."""
        return self.memory_bytes // 16

    @property
    def crop_pixels(self) -> int:
        """Of all crops from which one mark is measured: for each of them measuring takes about 180 bytes."""
        return self.memory_bytes // 178

    @property
    def around_bytes(self) -> int:
        """Of the frames before and after one that is restored, among which its references are."""
        return self.memory_bytes // 4

    @property
    def encoded_bytes(self) -> int:
        """Of the inpainter's encodings that are kept."""
        return self.memory_bytes // 8


@dataclass(frozen=True)
class PixelFormat:
    """A planar YUV or RGB layout. name: FFmpeg's, of the file. chroma_shift_x, _y: log2 of the luma pixels per chroma sample, across
    and down."""

    name: str
    bit_depth: int
    chroma_shift_x: int
    chroma_shift_y: int

    def samples_of(self, rows: slice, columns: slice) -> tuple[tuple[slice, slice], ...]:
        """For each plane, the rows and columns of its samples that cover any of these pixels."""
        shifts = ((0, 0), *((self.chroma_shift_y, self.chroma_shift_x),) * 2)
        return tuple((_covering(rows, down), _covering(columns, across)) for down, across in shifts)


def _covering(pixels: slice, shift: int) -> slice:
    return slice(pixels.start >> shift, -(-pixels.stop >> shift))


@dataclass(frozen=True)
class Colour:
    """How stored values stand for light: FFmpeg's integers, with the range as a bool."""

    full_range: bool
    matrix: int  # AVColorSpace
    primaries: int  # AVColorPrimaries
    transfer: int  # AVColorTransferCharacteristic


@dataclass(frozen=True)
class Part:
    """A part of a video: it begins with the frame that is shown `first_seconds` after the first one, and lasts `seconds`."""

    first_seconds: float
    seconds: float

    @property
    def start(self) -> Fraction:
        """`first_seconds`, as exact as it was written."""
        return Fraction(str(self.first_seconds))

    @property
    def length(self) -> Fraction:
        """`seconds`, as exact as it was written."""
        return Fraction(str(self.seconds))


@dataclass(frozen=True)
class Encoding:
    """What a person wants of a video's new pictures; None: as the source has it.

    crf: constant quality, on the encoder's scale. codec: a family, such as "hevc". preset: the encoder's, from slow and small to fast.
    deinterlace: each of an interlaced video's pictures shows one moment.
    """

    crf: int | None = None
    bits_per_second: int | None = None
    codec: str | None = None
    preset: str | None = None
    deinterlace: bool = False


@dataclass(frozen=True)
class Crop:
    """Rows and columns at the edges of the stored picture that the container hides from viewers, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Hdr10:
    """HDR10's static metadata. Empty: none.

    mastering: x and y of the green, blue and red primary and of the white point in 0.00002, then the highest and the lowest luminance
    in 0.0001 cd/m2. light: the brightest pixel and the brightest mean of a frame in cd/m2.
    """

    mastering: tuple[int, ...] = ()
    light: tuple[int, ...] = ()


@dataclass(frozen=True)
class Carried:
    """Something that a file carries besides the pictures that are cleaned.

    kind: such as "audio" or "gain map"; of a stream, FFmpeg's type. codec: FFmpeg's name of a stream's codec. detail: for people.
    """

    kind: str
    codec: str = ""
    detail: str = ""


@dataclass(frozen=True)
class NotKept:
    """Something that a source carries and its result does not. what, reason: one phrase each, for people."""

    what: str
    reason: str


@dataclass(frozen=True)
class VideoInfo:
    """A probed video or image, as it is shown: upright. All sizes, boxes and planes refer to the upright picture.

    width, height: in pixels. orientation: how the file stores the picture, as EXIF numbers it, 1 to 8; 1 is upright.
    pixel_format: its chroma shifts are those of the upright planes.
    """

    width: int
    height: int
    orientation: int
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
    display_matrix: tuple[int, ...] = ()  # FFmpeg's nine integers, for the copy; empty: none in the file
    end_pts: int | None = None  # when the last picture has been shown, in units of `time_base`; None: the container does not say
    begins_hidden: bool = False  # the first pictures in the file are decoded only because later ones refer to them
    crop: Crop | None = None  # what is hidden of the stored pictures; not part of width, height and planes
    interlaced: bool = False  # the lines of a frame alternate between two moments
    field_order: int = 0  # AVFieldOrder; 0: the file does not say
    by_field: bool = False  # each picture is decoded as two, one of each field
    alpha: bool = False  # the pictures have transparency, which is not among the planes
    captions: bool = False  # CEA-608 or CEA-708, inside the pictures
    hdr10: Hdr10 = Hdr10()
    part: Part | None = None  # all that is decoded and encoded; None: the whole video
    encoding: Encoding | None = None  # how the new pictures are to be encoded; None: as the source's
    carries: tuple[Carried, ...] = ()  # what else is in the file, in its order
    decoded_chroma_shifts: tuple[int, int] = (0, 0)  # down and across; of a picture whose chroma the decoder has enlarged, as in the file

    @property
    def rotation_degrees(self) -> int:
        """By how much the stored picture is rotated to be shown, counterclockwise, after it is mirrored: 0, 90, 180 or 270."""
        return ROTATIONS[self.orientation]

    @property
    def mirrored(self) -> bool:
        """Whether the stored picture is mirrored, left to right, to be shown."""
        return self.orientation in MIRRORED

    @property
    def as_stored(self) -> "VideoInfo":
        """The same video, with size, chroma shifts and sample aspect ratio of the picture that the file stores."""
        return replace(self._transposed if self.orientation in LYING else self, orientation=1)

    def wished(self, encoding: Encoding | None) -> "VideoInfo":
        """The same video, encoded as a person asks: an image is not encoded so, and what is not interlaced is not deinterlaced."""
        if encoding is None or self.container == "image":
            return self
        if encoding.deinterlace and self.interlaced:
            return replace(self, encoding=encoding, interlaced=False, field_order=PROGRESSIVE)
        encoding = replace(encoding, deinterlace=False)
        return self if encoding == Encoding() else replace(self, encoding=encoding)

    @property
    def deinterlaced(self) -> bool:
        """Whether the pictures are deinterlaced as they are decoded."""
        return self.encoding is not None and self.encoding.deinterlace

    @property
    def bottom_first(self) -> bool:
        """Whether the bottom field of an interlaced picture is shown first. DV does not say it: there it is."""
        return self.field_order in BOTTOM_FIRST or (not self.field_order and self.codec == "dvvideo")

    @property
    def in_fields(self) -> "VideoInfo | None":
        """The same video with a picture of each field; None where pictures have none, or are not stored upright, or not all are used."""
        if not self.interlaced or self.orientation != 1 or self.part:
            return None
        frames, fps, time_base = 2 * self.frames_estimate, 2 * self.fps, self.time_base / 2
        return replace(self, by_field=True, interlaced=False, frames_estimate=frames, fps=fps, time_base=time_base)

    def turned_upright(self, orientation: int) -> "VideoInfo":
        """The inverse of `as_stored`: this is the stored picture, and `orientation` says how it is stored."""
        return replace(self._transposed if orientation in LYING else self, orientation=orientation)

    @property
    def _transposed(self) -> "VideoInfo":
        form, ratio = self.pixel_format, self.sample_aspect_ratio
        return replace(
            self,
            width=self.height,
            height=self.width,
            pixel_format=replace(form, chroma_shift_x=form.chroma_shift_y, chroma_shift_y=form.chroma_shift_x),
            sample_aspect_ratio=1 / ratio if ratio else None,
            decoded_chroma_shifts=self.decoded_chroma_shifts[::-1],
        )


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
