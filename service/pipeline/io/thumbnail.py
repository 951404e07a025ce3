"""A small picture of a file for lists and players: its first frame as displayed."""

from pathlib import Path
from typing import Final

from PIL import Image

from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.video import Limits, VideoInfo

JPEG_QUALITY: Final = 85


def thumbnail(path: Path, target: Path, limits: Limits, long_side_pixels: int = 640) -> None:
    """Write the first frame of a video or image to `target`: a JPEG, upright, with square pixels, never enlarged.

    HDR is not tone-mapped: its thumbnail looks flat, as HDR does in a player for SDR. Raises like `probe` and `decode`, and EncodeFailed.
    """
    info = probe(path, limits)
    with decode(path, info, limits) as frames:
        frame = next(frames)
    picture = Image.fromarray(shrink_rgb(frame, info, *shrunk_size(info, long_side_pixels)))
    with atomic_file(target) as unfinished:
        picture.save(unfinished, "JPEG", quality=JPEG_QUALITY, optimize=True)


def shrunk_size(info: VideoInfo, long_side_pixels: int) -> tuple[int, int]:
    """Width and height in pixels: square pixels, and at most this long side."""
    aspect = info.sample_aspect_ratio or 1
    width, height = info.width * max(aspect, 1), info.height / min(aspect, 1)
    scale = min(1, long_side_pixels / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
