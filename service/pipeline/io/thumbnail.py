"""A small picture of a file for lists and players: its first frame as displayed."""

from pathlib import Path
from typing import Final

from PIL import Image

from service.errors import DecodeFailed
from service.pipeline.io import still
from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.sandbox.sandbox import Channel, Child, Message
from service.pipeline.video import Limits, VideoInfo

JPEG_QUALITY: Final = 85

EXIF_TRANSPOSES: Final = {  # by EXIF orientation, except 1: what makes the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ROTATIONS: Final = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def thumbnail(path: Path, target: Path, limits: Limits, long_side_pixels: int = 640) -> None:
    """Write the first frame of a video or image to `target`: a JPEG, upright, with square pixels, never enlarged.

    HDR is not tone-mapped: its thumbnail looks flat, as HDR does in a player for SDR. Raises like `probe` and `decode`, and EncodeFailed.
    """
    info = probe(path, limits)
    with decode(path, info, limits) as frames:
        frame = next(frames)
    picture = Image.fromarray(shrink_rgb(frame, info, *shrunk_size(info, long_side_pixels)))
    if info.container == "image":
        transpose = EXIF_TRANSPOSES.get(_exif_orientation(path, limits))
    else:
        transpose = ROTATIONS.get(info.rotation_degrees % 360)
    if transpose is not None:
        picture = picture.transpose(transpose)
    with atomic_file(target) as unfinished:
        picture.save(unfinished, "JPEG", quality=JPEG_QUALITY, optimize=True)


def shrunk_size(info: VideoInfo, long_side_pixels: int) -> tuple[int, int]:
    """Width and height in pixels before rotation: square pixels, and at most this long side."""
    aspect = info.sample_aspect_ratio or 1
    width, height = info.width * max(aspect, 1), info.height / min(aspect, 1)
    scale = min(1, long_side_pixels / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _exif_orientation(path: Path, limits: Limits) -> int:
    """The EXIF orientation of an image, 1 to 8, read in a child process; 1 if there is none."""
    with Child(
        _read_orientation_in_child,
        {"path": str(path.absolute())},
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
    ) as child:
        orientation = child.receive().get("orientation")
    return orientation if isinstance(orientation, int) else 1


def _read_orientation_in_child(channel: Channel, request: Message) -> None:
    channel.send(orientation=still.orientation_of(Path(request["path"])))
