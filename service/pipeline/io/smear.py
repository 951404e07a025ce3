"""A person's brush strokes as the mask of what to remove.

The rule is the vendor's whose clients send them: whatever is neither pure black nor pure white is painted, in any colour. What is
transparent is not painted: brushes leave a canvas that is empty, not black.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import DecodeFailed, EncodeFailed, InputError, RequestError
from service.pipeline.io import png, still
from service.pipeline.io.probe import probe
from service.pipeline.io.whole_file import whole_file
from service.pipeline.sandbox.sandbox import Child, Line, Message
from service.pipeline.video import Limits

# How far from black and white a pixel must be, of 255. JPEG and lossy WebP ring: around 150 strokes of ten colours, at qualities of 75
# and more, a tolerance of 0 paints the canvas up to 22 pixels from the stroke, 1.3 to 2.2 times its area; 40 leaves below 0.1 % of its
# area outside a margin of 4 pixels, and loses none of the stroke.
TOLERANCE: Final = {"PNG": 0.0, "JPEG": 40 / 255, "WEBP": 40 / 255}


def mask_from_smear(smear: Path, target: Path, size: tuple[int, int] | None, limits: Limits) -> None:
    """Write the mask of a smear to `target`, a PNG with white where it is painted.

    size: (width, height) of the picture that it was painted on, None where that is not known yet. Raises RequestError for a smear
    that cannot be read, has another size or no stroke.
    """
    try:
        info = probe(smear, limits)
    except InputError as error:
        raise RequestError(f"the smear cannot be read: {error}") from error
    if info.container != "image":
        raise RequestError("the smear is a video; it must be an image")
    if size is not None and size != (info.width, info.height):
        raise RequestError(f"the smear is {info.width}x{info.height}, the picture {size[0]}x{size[1]}")
    with whole_file(target) as unfinished:
        _write_mask(smear, unfinished, limits)


def painted(samples: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """Where a smear is painted, (h, w). samples: (h, w, 1 grey, 3 RGB or 4 RGBA) uint8 or uint16; tolerance: in [0, 1]."""
    peak = int(np.iinfo(samples.dtype).max)
    margin = round(tolerance * peak)
    colours = samples[..., :3]
    strokes: NDArray[np.bool_] = (colours.max(-1) > margin) & (colours.min(-1) < peak - margin)
    return strokes & (samples[..., 3] > 0) if samples.shape[-1] == 4 else strokes


def _write_mask(smear: Path, unfinished: Path, limits: Limits) -> None:
    """Decode in a process of its own: these are a stranger's bytes."""
    with Child(
        _write_in_child,
        {"smear": str(smear.absolute()), "unfinished": str(unfinished)},
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
        may_write=True,
    ) as child:
        child.receive()


def _write_in_child(line: Line, request: Message) -> None:
    path = Path(request["smear"])
    strokes = painted(_samples(path), TOLERANCE[still.format_of(path)])
    if not strokes.any():
        raise RequestError("the smear has no stroke: all of it is pure black, pure white or transparent")
    try:
        Image.fromarray(strokes).save(request["unfinished"], "PNG")
    except OSError as error:
        raise EncodeFailed(f"the mask cannot be written: {error.strerror}") from error
    line.send(end=True)


def _samples(path: Path) -> NDArray[Any]:
    """The picture with its alpha, (h, w, channels) uint8, or uint16 of a 16-bit PNG; `probe` has found it sound."""
    if png.is_deep(path):
        return png.read_deep(path)
    with Image.open(path, formats=[still.format_of(path)]) as image:
        return np.asarray(image.convert("RGBA"))
