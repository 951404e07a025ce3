"""Which encoder writes a video, and how: the source's codec family, depth and quality, as far as the target can hold them."""

from dataclasses import dataclass, field

from service.errors import RequestError, UnsupportedFormat
from service.pipeline.io.container import MUXERS
from service.pipeline.video import VideoInfo

EIGHT_BIT = ("yuv420p", "yuv422p", "yuv444p")
TEN_BIT = tuple(f"{name}10le" for name in EIGHT_BIT)
TWELVE_BIT = tuple(f"{name}12le" for name in EIGHT_BIT)
RGB = "gbrp"

ENCODERS = {  #
    "h264": (("libx264", (*EIGHT_BIT, *TEN_BIT)), ("libx264rgb", (RGB,))),
    "hevc": (("libx265", (*EIGHT_BIT, *TEN_BIT, *TWELVE_BIT)),),
    "vp8": (("libvpx", ("yuv420p",)),),
    "vp9": (("libvpx-vp9", EIGHT_BIT),),
    "av1": (("libsvtav1", ("yuv420p", "yuv420p10le")),),
    "mpeg4": (("mpeg4", ("yuv420p",)),),
}
FAMILIES = {  # what a muxer holds, best substitute first
    "mp4": ("h264", "hevc", "vp9", "av1"),
    "mov": ("h264", "hevc", "mpeg4"),
    "matroska": ("h264", "hevc", "vp9", "av1", "vp8"),
    "webm": ("vp9", "av1", "vp8"),
    "avi": ("h264", "mpeg4"),
}
ODD_SIZES = ("libvpx", "libvpx-vp9", "libsvtav1", "mpeg4")  # encoders that take a picture that ends inside a chroma sample
STATE_PIXEL_SHAPE = ("libx264", "libx264rgb", "libx265", "mpeg4")  # encoders that write the sample aspect ratio into the stream
QUALITY = {  # constant quality at which a re-encoded real clip is not told from its source
    "libx264": {"preset": "faster", "crf": "17"},
    "libx264rgb": {"preset": "faster", "crf": "17"},
    "libx265": {"preset": "fast", "crf": "19", "x265-params": "log-level=none"},
    "libvpx": {"deadline": "good", "cpu-used": "4", "crf": "6", "qmin": "0"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "crf": "22", "row-mt": "1"},
    "libsvtav1": {"preset": "8", "crf": "22"},
    "mpeg4": {"qmin": "2", "mbd": "rd", "flags": "+mv4"},
}
HEADROOM = 1.25  # of the size over the source's
LEAST_BITS_PER_PIXEL = 0.02  # below, a source is so starved that its own rate says nothing about what it needs
LEAST_BITS_PER_SECOND = 200_000
BUFFER_SECONDS = 2.0  # of the steady rate, or a quarter of a short video
BUFFER_START = 0.9  # how full it is at the first picture, an encoder's default


@dataclass(frozen=True)
class EncoderSettings:
    """An encoder by FFmpeg's name, its options, and the pixel format that it is fed."""

    codec: str
    options: dict[str, str] = field(hash=False)
    pixel_format: str


def encoder_options(info: VideoInfo, target_suffix: str) -> EncoderSettings:
    """How `info` is encoded into a file with the suffix (".mp4"); raises RequestError or UnsupportedFormat where it cannot be."""
    muxer = muxer_of(target_suffix)
    codec = _encoder(info, muxer)
    options = QUALITY[codec] | _rate_limit(info, codec)
    if muxer == "avi":
        options["bf"] = "0"  # AVI has no presentation times, so pictures must be stored in their order
    return EncoderSettings(codec, options, "rgb24" if codec == "libx264rgb" else info.pixel_format.name)


def muxer_of(target_suffix: str) -> str:
    """FFmpeg's name for the container of a target's suffix."""
    try:
        return MUXERS[target_suffix.lower()]
    except KeyError:
        raise RequestError(
            f"a video cannot be written as {target_suffix or 'a file without suffix'}, only as {', '.join(MUXERS)}"
        ) from None


def _encoder(info: VideoInfo, muxer: str) -> str:
    """The source's own family if the muxer holds it, else the first that takes the pixel format."""
    families = FAMILIES[muxer]
    own = [info.codec] if info.codec in families else []
    for family in (*own, *families):
        for codec, pixel_formats in ENCODERS[family]:
            if info.pixel_format.name in pixel_formats and _takes_shape(codec, info, muxer):
                return codec
    pixels = "" if info.sample_aspect_ratio in (None, 1) else f" with pixels of {info.sample_aspect_ratio}"
    raise UnsupportedFormat(f"{info.pixel_format.name} pictures of {info.width}x{info.height}{pixels} cannot be written to {muxer}")


def _takes_shape(codec: str, info: VideoInfo, muxer: str) -> bool:
    """Whether picture size and pixel shape survive. Matroska's own field for the shape is out of this library's reach."""
    if _ends_inside_chroma(info) and codec not in ODD_SIZES:
        return False
    return info.sample_aspect_ratio in (None, 1) or muxer not in ("matroska", "webm") or codec in STATE_PIXEL_SHAPE


def _ends_inside_chroma(info: VideoInfo) -> bool:
    """Whether the picture's size is odd where chroma is halved."""
    form = info.pixel_format
    return bool(info.width % (1 << form.chroma_shift_x) or info.height % (1 << form.chroma_shift_y))


def _rate_limit(info: VideoInfo, codec: str) -> dict[str, str]:
    """Options that keep the size within HEADROOM of the source's; some encoders take the limit as the rate itself.

    The others may spend a buffer at once that starts almost full, which in a short video is a large part of it and is counted in.
    """
    floor = max(LEAST_BITS_PER_SECOND, LEAST_BITS_PER_PIXEL * info.width * info.height * float(info.fps))
    rate = max(HEADROOM * info.video_bit_rate, floor)
    if codec in ("libvpx", "libvpx-vp9", "mpeg4"):
        return {"b": str(round(rate))}
    buffer_seconds = min(BUFFER_SECONDS, info.duration_seconds / 4)
    steady = rate * info.duration_seconds / (info.duration_seconds + BUFFER_START * buffer_seconds)
    return {"maxrate": str(round(steady)), "bufsize": str(round(buffer_seconds * steady))}
