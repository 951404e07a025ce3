"""A small picture of a file for lists and players: its first frame, as a person sees it."""

import struct
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image

from service.errors import DecodeFailed
from service.pipeline.io import still
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.io.whole_file import whole_file
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.sandbox.sandbox import Child, Line, Message
from service.pipeline.video import Limits, VideoInfo

QUALITY: Final = 85

TURNS: Final = {  # of a stored picture, by EXIF's orientation, so that it is upright; 1 is
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNS_OF_VIDEO: Final = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def thumbnail(path: Path, target: Path, info_limits: Limits, long_side_pixels: int = 640) -> None:
    """Write a JPEG of the first frame of a video or image to `target`, upright, with square pixels, never larger than it is.

    HDR is not tone-mapped: such a picture looks flat, as it does in players that know nothing of it. Raises what `probe` and `decode` do.
    """
    info = probe(path, info_limits)
    with decode(path, info, info_limits) as frames:
        frame = next(frames)
    picture = Image.fromarray(shrink_rgb(frame, info, *shrunk_size(info, long_side_pixels)))
    turn = TURNS.get(_orientation(path, info_limits)) if info.container == "image" else TURNS_OF_VIDEO.get(info.rotation_degrees % 360)
    if turn is not None:
        picture = picture.transpose(turn)
    with whole_file(target) as unfinished:
        picture.save(unfinished, "JPEG", quality=QUALITY, optimize=True)


def shrunk_size(info: VideoInfo, long_side_pixels: int) -> tuple[int, int]:
    """Width and height of a picture with square pixels and at most this long side, before it is turned."""
    aspect = info.sample_aspect_ratio or 1
    width, height = info.width * max(aspect, 1), info.height / min(aspect, 1)
    scale = min(1, long_side_pixels / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _orientation(path: Path, limits: Limits) -> int:
    """EXIF's orientation of an image, 1 to 8, read in a process of its own; 1 where there is none."""
    with Child(
        _orientation_in_child,
        {"path": str(path.absolute())},
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
    ) as child:
        orientation = child.receive().get("orientation")
    return orientation if isinstance(orientation, int) else 1


def _orientation_in_child(line: Line, request: Message) -> None:
    path = Path(request["path"])
    try:
        with Image.open(path, formats=[still.format_of(path)]) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, struct.error):  # damaged metadata of a sound picture
        orientation = None
    line.send(orientation=orientation if isinstance(orientation, int) else 1)
