"""What a person may ask of an encoder: a constant quality or a bit rate, a codec, a preset; as the encoder's own options."""

from dataclasses import dataclass
from typing import Final

from service.errors import RequestError
from service.pipeline.video import Encoding

UNLIMITED_BITS_PER_SECOND: Final = "1000000000"  # libvpx keeps to a constant quality below a rate
RATE_OPTIONS: Final = frozenset({"crf", "b", "maxrate", "bufsize"})
NAMED_PRESETS: Final = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


@dataclass(frozen=True)
class Scale:
    """What an encoder understands.

    worst_crf: 0 is the best; None: it has no constant quality. preset_option: FFmpeg's name of what sets its speed.
    """

    worst_crf: int | None
    preset_option: str = ""
    presets: tuple[str, ...] = ()


VPX: Final = Scale(63, "cpu-used", tuple(map(str, range(9))))
SCALES: Final = {  # by FFmpeg's encoder
    "libx264": Scale(51, "preset", NAMED_PRESETS),
    "libx264rgb": Scale(51, "preset", NAMED_PRESETS),
    "libx265": Scale(51, "preset", NAMED_PRESETS),
    "libvpx": VPX,
    "libvpx-vp9": VPX,
    "libsvtav1": Scale(63, "preset", tuple(map(str, range(14)))),
    "mpeg4": Scale(None),
}


def wanted_families(codec: str, families: tuple[str, ...], muxer: str) -> tuple[str, ...]:
    """The codec family that is asked for, alone. Raises RequestError if it is not among those of the target's container."""
    if codec not in families:
        raise RequestError(f"the codec {codec} does not go into {muxer}; choose from {', '.join(families)}")
    return (codec,)


def with_wishes(usual: dict[str, str], encoder: str, encoding: Encoding) -> dict[str, str]:
    """The usual options of an encoder, and what is asked for in place of them. Raises RequestError for what the encoder does not have."""
    options = usual | _preset_option(encoder, encoding.preset)
    rate = _rate_options(encoder, encoding)
    return {name: value for name, value in options.items() if not rate or name not in RATE_OPTIONS} | rate


def _rate_options(encoder: str, encoding: Encoding) -> dict[str, str]:
    if encoding.bits_per_second is not None:
        return {"b": str(encoding.bits_per_second)}
    if encoding.crf is None:
        return {}
    worst = SCALES[encoder].worst_crf
    if worst is None:
        raise RequestError(f"{encoder} has no constant quality; give a bit rate, such as 4M")
    if encoding.crf > worst:
        raise RequestError(f"quality {encoding.crf}: {encoder} takes 0, the best, to {worst}")
    return {"crf": str(encoding.crf)} | ({"b": UNLIMITED_BITS_PER_SECOND} if SCALES[encoder] is VPX else {})


def _preset_option(encoder: str, preset: str | None) -> dict[str, str]:
    scale = SCALES[encoder]
    if preset is None:
        return {}
    if preset not in scale.presets:
        raise RequestError(f"{encoder} has no preset '{preset}'; choose from {', '.join(scale.presets) or 'another codec'}")
    return {scale.preset_option: preset}
