"""Chooses the encoder and its options: the source's codec family, bit depth and quality, as far as the target allows."""

from dataclasses import dataclass, field

from service.errors import RequestError, UnsupportedFormat
from service.pipeline.io.container import MUXERS
from service.pipeline.io.hdr import HDR10_KEYS, hdr10_options
from service.pipeline.io.wanted import wanted_families, with_wishes
from service.pipeline.video import VideoInfo

EIGHT_BIT = ("yuv420p", "yuv422p", "yuv444p")
TEN_BIT = tuple(f"{name}10le" for name in EIGHT_BIT)
TWELVE_BIT = tuple(f"{name}12le" for name in EIGHT_BIT)
RGB = "gbrp"

ENCODERS = {  # by codec family: FFmpeg's encoders and the pixel formats that they take
    "h264": (("libx264", (*EIGHT_BIT, *TEN_BIT)), ("libx264rgb", (RGB,))),
    "hevc": (("libx265", (*EIGHT_BIT, *TEN_BIT, *TWELVE_BIT)),),
    "vp8": (("libvpx", ("yuv420p",)),),
    "vp9": (("libvpx-vp9", EIGHT_BIT),),
    "av1": (("libsvtav1", ("yuv420p", "yuv420p10le")),),
    "mpeg4": (("mpeg4", ("yuv420p",)),),
}
FAMILIES = {  # by muxer: the codec families that it holds, best substitute first
    "mp4": ("h264", "hevc", "vp9", "av1"),
    "mov": ("h264", "hevc", "mpeg4"),
    "3gp": ("h264", "mpeg4"),
    "3g2": ("h264", "mpeg4"),
    "matroska": ("h264", "hevc", "vp9", "av1", "vp8"),
    "webm": ("vp9", "av1", "vp8"),
    "avi": ("h264", "mpeg4"),
}
ODD_SIZE_ENCODERS = ("libvpx", "libvpx-vp9", "libsvtav1", "mpeg4")  # encoders for pictures that end inside a chroma sample
INTERLACED_ENCODERS = ("libx264", "libx264rgb", "mpeg4")
ALPHA_ENCODERS = ("libvpx", "libvpx-vp9")
ALPHA_MUXERS = ("matroska", "webm")
ALPHA_FORMATS = {"yuv420p": "yuva420p"}
CAPTION_ENCODERS = ("libx264", "libx264rgb", "libx265")  # those that write CEA-608 and CEA-708 captions into the pictures
SPECIAL_OPTIONS = {
    "libx264": "x264-params",
    "libx264rgb": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}  # options that take an encoder's own
QUALITY = {  # constant quality at which a re-encoded clip cannot be distinguished from its source
    "libx264": {"preset": "faster", "crf": "17"},
    "libx264rgb": {"preset": "faster", "crf": "17"},
    "libx265": {"preset": "fast", "crf": "19", "x265-params": "log-level=none"},
    "libvpx": {"deadline": "good", "cpu-used": "4", "crf": "6", "qmin": "0"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "crf": "22", "row-mt": "1"},
    "libsvtav1": {"preset": "8", "crf": "22"},
    "mpeg4": {"qmin": "2", "mbd": "rd", "flags": "+mv4"},
}
HEADROOM = 1.25  # largest bit rate, as a multiple of the source's
MIN_BITS_PER_PIXEL = 0.02  # a source with fewer is starved; its rate does not show what it needs
MIN_BITS_PER_SECOND = 200_000
BUFFER_SECONDS = 2.0  # size of the rate buffer, or a quarter of a short video
BUFFER_START = 0.9  # fill of the buffer at the first picture, the encoders' default


@dataclass(frozen=True)
class EncoderSettings:
    """An encoder by FFmpeg's name, its options, and the pixel format of its input."""

    codec: str
    options: dict[str, str] = field(hash=False)
    pixel_format: str


def encoder_options(info: VideoInfo, target_suffix: str) -> EncoderSettings:
    """The settings to encode `info` into a file with this suffix, such as ".mp4".

    Raises RequestError for an unknown suffix, UnsupportedFormat if no encoder of this container fits.
    """
    muxer = muxer_of(target_suffix)
    codec = _choose_encoder(info, muxer)
    usual = QUALITY[codec] | _rate_limit(info, codec)
    options = with_wishes(usual, codec, info.encoding) if info.encoding else usual
    if muxer == "avi":
        options["bf"] = "0"  # AVI has no presentation times, so it must store pictures in display order
    if info.interlaced:
        options["flags"] = options.get("flags", "") + "+ildct+ilme"
    if info.alpha:
        options["auto-alt-ref"] = "0"  # libvpx cannot look ahead in two streams of pictures at once
    if info.captions and codec == "libx265":
        options["a53cc"] = "1"
    if special := hdr10_options(codec, info.hdr10) | _field_options(codec, info):
        key = SPECIAL_OPTIONS[codec]
        options[key] = ":".join([*filter(None, [options.get(key)]), *(f"{name}={value}" for name, value in special.items())])
    return EncoderSettings(codec, options, "rgb24" if codec == "libx264rgb" else coded_format(info))


def _field_options(codec: str, info: VideoInfo) -> dict[str, str]:
    """x264's own option for which field comes first; it does not ask the pictures."""
    return {"bff": "1"} if codec in ("libx264", "libx264rgb") and info.interlaced and info.bottom_first else {}


def kept_in_pictures(info: VideoInfo, target_suffix: str) -> frozenset[str]:
    """Which kinds of data, of those in the source's pictures beside the samples, are in the new ones too. Raises like `encoder_options`."""
    codec = encoder_options(info, target_suffix).codec
    captions = {"closed captions"} if codec in CAPTION_ENCODERS else set()
    return frozenset(captions | ({"HDR10 mastering display", "HDR10 light level"} if codec in HDR10_KEYS else set()))


def coded_family(info: VideoInfo, target_suffix: str) -> str:
    """FFmpeg's name of the codec of the new pictures. Raises like `encoder_options`."""
    codec = encoder_options(info, target_suffix).codec
    return next(family for family, encoders in ENCODERS.items() if codec in dict(encoders))


def coded_format(info: VideoInfo) -> str:
    """FFmpeg's name of the pixel format that is encoded: with the transparency, which is not among the planes."""
    return ALPHA_FORMATS[info.pixel_format.name] if info.alpha else info.pixel_format.name


def muxer_of(target_suffix: str) -> str:
    """FFmpeg's muxer for a target's suffix. Raises RequestError for an unknown suffix."""
    try:
        return MUXERS[target_suffix.lower()]
    except KeyError:
        raise RequestError(
            f"a video cannot be written as {target_suffix or 'a file without a suffix'}; choose from {', '.join(MUXERS)}"
        ) from None


def _choose_encoder(info: VideoInfo, muxer: str) -> str:
    """An encoder of the source's family if the muxer holds it, else the first one that fits the pixels."""
    families = FAMILIES[muxer]
    if info.encoding and info.encoding.codec:
        families = wanted_families(info.encoding.codec, families, muxer)
    own = [info.codec] if info.codec in families else []
    for family in (*own, *families):
        for codec, pixel_formats in ENCODERS[family]:
            if info.pixel_format.name in pixel_formats and _keeps_size(codec, info) and _keeps_fields_and_alpha(codec, info, muxer):
                return codec
    traits = " interlaced" * info.interlaced + " transparent" * info.alpha
    hint = (
        "; deinterlace them (--deinterlace, or deinterlace in an order), or choose mp4, mov or mkv" * info.interlaced
        + "; choose webm or mkv" * info.alpha
    )
    raise UnsupportedFormat(f"{info.pixel_format.name}{traits} pictures of {info.width}x{info.height} cannot be written to {muxer}{hint}")


def _keeps_fields_and_alpha(codec: str, info: VideoInfo, muxer: str) -> bool:
    """Whether interlaced pictures stay interlaced, of which two lines of chroma belong together, and whether transparency is kept."""
    if info.interlaced and (codec not in INTERLACED_ENCODERS or info.height % (2 << info.pixel_format.chroma_shift_y)):
        return False
    return not info.alpha or (codec in ALPHA_ENCODERS and muxer in ALPHA_MUXERS and info.pixel_format.name in ALPHA_FORMATS)


def _keeps_size(codec: str, info: VideoInfo) -> bool:
    """Whether a picture's size is kept: not every encoder takes an odd width or height where chroma is halved."""
    form = info.pixel_format
    return codec in ODD_SIZE_ENCODERS or not (info.width % (1 << form.chroma_shift_x) or info.height % (1 << form.chroma_shift_y))


def _rate_limit(info: VideoInfo, codec: str) -> dict[str, str]:
    """Options that keep the file within HEADROOM of the source's size.

    Some encoders take the limit as their target rate. The others also spend a buffer that starts almost full; it is a large part
    of a short video, so it counts towards the limit.
    """
    floor = max(MIN_BITS_PER_SECOND, MIN_BITS_PER_PIXEL * info.width * info.height * float(info.fps))
    rate = max(HEADROOM * info.video_bit_rate, floor)
    if codec in ("libvpx", "libvpx-vp9", "mpeg4"):
        return {"b": str(round(rate))}
    buffer_seconds = min(BUFFER_SECONDS, info.duration_seconds / 4)
    steady = rate * info.duration_seconds / (info.duration_seconds + BUFFER_START * buffer_seconds)
    return {"maxrate": str(round(steady)), "bufsize": str(round(buffer_seconds * steady))}
