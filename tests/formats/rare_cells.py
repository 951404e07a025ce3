"""Videos with what few players know of: spheres, two views, profiles, what makers add, and fields that come later."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from PIL import ImageCms

from tests.formats.films import Film, NotWritten
from tests.formats.mixed_film import mixed
from tests.formats.movie_boxes import box, put, sample_entry
from tests.formats.seen_film import MAKERS_BOX, see
from tests.formats.walk import Cell

GROUP: Final = "What few players know of"
PROFILE: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SPHERE: Final = box(b"sv3d", box(b"svhd", bytes(5)) + box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20))))
PUT: Final[Mapping[str, tuple[Sequence[bytes], bytes]]] = {  # by what the file then carries: a folder, and what is put into it
    "360 degree projection": (sample_entry(b"avc1"), SPHERE),
    "3D layout": (sample_entry(b"avc1"), box(b"st3d", bytes(4) + b"\1")),
    "ICC profile": (sample_entry(b"avc1"), box(b"colr", b"prof" + PROFILE)),
    "ambient viewing environment": (sample_entry(b"avc1"), box(b"amve", struct.pack(">IHH", 3_140_000, 15_635, 16_450))),
    "further boxes": ((b"moov", b"udta"), box(MAKERS_BOX, bytes(8))),
}


def cells() -> Iterator[Cell]:
    """All of them."""
    for what, place in PUT.items():
        for container, target in (("mp4", ""), ("mov", ""), ("mp4", "mkv"), ("mov", "mp4")):
            yield _cell(f"{what}, in a box", container, partial(_with_box, place), target, what)
    tagged = Film("libvpx-vp9", configure=lambda _, stream: stream.metadata.update(stereo_mode="left_right"))
    for container, target in (("mkv", ""), ("webm", ""), ("webm", "mkv"), ("mkv", "mp4")):
        yield _cell("3D layout, in a tag", container, tagged.write, target, "3D layout")
    packed = Film(options={"x264-params": "frame-packing=3"})
    for container, target in (("mp4", ""), ("mov", ""), ("mkv", ""), ("avi", ""), ("mp4", "mkv")):
        yield _cell("3D layout, in the pictures", container, packed.write, target, "3D layout")
    for codec in ("libx264", "mpeg2video"):
        for target in ("", "mp4", "webm"):
            yield _cell(f"fields from the middle on, {codec}", "mkv", partial(_mixed, codec), target)


def _cell(row: str, container: str, make: Callable[[Path], object], target: str, needs: str = "") -> Cell:
    column = f"{container} to {target}" if target else container
    return Cell((GROUP, row, column), f".{container}", f".{target or container}", make, see, needs)


def _with_box(place: tuple[Sequence[bytes], bytes], path: Path) -> None:
    Film().write(path)
    try:
        put(path, *place)
    except StopIteration as error:
        raise NotWritten(f"{path.suffix} has no such folder") from error


def _mixed(codec: str, path: Path) -> None:
    mixed(path, codec)
