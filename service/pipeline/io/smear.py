"""Turns a person's brush strokes, a smear, into the mask of what to remove.

The rule comes from the vendor whose clients send smears: every pixel that is neither pure black nor pure white is painted, in any
colour. Transparent pixels are not painted, since brushes leave an empty canvas, not a black one.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.arrays import Mask
from service.errors import DecodeFailed, EncodeFailed, InputError, RequestError
from service.pipeline.io import png, still
from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.io.probe import probe
from service.pipeline.picture.orientation import upright
from service.pipeline.sandbox.sandbox import Channel, Child, Message
from service.pipeline.video import Limits

# How far from black and from white a painted pixel must be, as a fraction of the peak value. JPEG and lossy WebP ring. Measured on 150
# strokes of ten colours at qualities from 75: a tolerance of 0 paints canvas up to 22 pixels from the stroke, 1.3 to 2.2 times its
# area; 40 / 255 paints less than 0.1 % of its area farther than 4 pixels away, and loses nothing of the stroke.
TOLERANCE: Final = {"PNG": 0.0, "JPEG": 40 / 255, "WEBP": 40 / 255}


def mask_from_smear(smear: Path, target: Path, size: tuple[int, int] | None, limits: Limits) -> None:
    """Write the mask of a smear to `target`, a PNG that is white where the smear is painted and black elsewhere.

    size: (width, height) in pixels, as shown, of the picture that the smear belongs to, None if not known yet. Raises RequestError for
    a smear that cannot be read, has another size or has no stroke.
    """
    try:
        info = probe(smear, limits)
    except InputError as error:
        raise RequestError(f"the smear cannot be read: {error}") from error
    if info.container != "image":
        raise RequestError("the smear is a video; it must be an image")
    if size is not None and size != (info.width, info.height):
        raise RequestError(f"the smear has {info.width}x{info.height} pixels, the picture {size[0]}x{size[1]}")
    with atomic_file(target) as unfinished:
        _write_mask(smear, info.orientation, unfinished, limits)


def painted_pixels(samples: NDArray[Any], tolerance: float) -> Mask:
    """The painted pixels of a smear, (h, w).

    samples: (h, w, channels) uint8 or uint16; 1 channel is grey, 3 are RGB, 4 RGBA. tolerance: in [0, 1].
    """
    peak = int(np.iinfo(samples.dtype).max)
    margin = round(tolerance * peak)
    colours = samples[..., :3]
    strokes: Mask = (colours.max(-1) > margin) & (colours.min(-1) < peak - margin)
    return strokes & (samples[..., 3] > 0) if samples.shape[-1] == 4 else strokes


def _write_mask(smear: Path, orientation: int, unfinished: Path, limits: Limits) -> None:
    """Decode the smear in a child process, as its bytes are not trusted."""
    with Child(
        _write_in_child,
        {"smear": str(smear.absolute()), "orientation": orientation, "unfinished": str(unfinished)},
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
        may_write=True,
    ) as child:
        child.receive()


def _write_in_child(channel: Channel, request: Message) -> None:
    path = Path(request["smear"])
    strokes = painted_pixels(_read_samples(path), TOLERANCE[still.format_of(path)])
    if not strokes.any():
        raise RequestError("the smear has no stroke: every pixel is pure black, pure white or transparent")
    try:
        Image.fromarray(upright(strokes, request["orientation"])).save(request["unfinished"], "PNG")
    except OSError as error:
        raise EncodeFailed(f"the mask cannot be written: {error.strerror}") from error
    channel.send(end=True)


def _read_samples(path: Path) -> NDArray[Any]:
    """The samples with alpha, (h, w, channels) uint8, or uint16 from a 16-bit PNG; `probe` has already checked the file."""
    if png.is_16_bit(path):
        return png.read_16_bit(path)
    with still.open_image(path) as image:
        return np.asarray(image.convert("RGBA"))
