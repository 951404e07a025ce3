"""Pictures as files store them turned, in the eight orientations of EXIF. Pillow and PyAV are the oracles."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tests.footage import FPS, Picture

ORIENTATIONS = range(1, 9)
STORING = {  # what Pillow does to an upright picture to store it in an orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
DISPLAYING: dict[int, dict[str, Any]] = {  # what makes it upright, in the words of PyAV
    1: {"degrees": 0},
    2: {"degrees": 0, "hflip": True},
    3: {"degrees": 180},
    4: {"degrees": 0, "vflip": True},
    5: {"degrees": 90, "vflip": True},
    6: {"degrees": 270},
    7: {"degrees": 90, "hflip": True},
    8: {"degrees": 90},
}


def stored(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An upright plane (h, w) or picture (h, w, 3), as a file of this orientation stores it."""
    if orientation == 1:
        return picture
    return np.asarray(Image.fromarray(picture).transpose(STORING[orientation]))


def shown(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The inverse of `stored`."""
    return stored(picture, {6: 8, 8: 6}.get(orientation, orientation))


def tag(orientation: int) -> Image.Exif:
    """Metadata that says how the picture is stored."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def write_photo(path: Path, picture: Picture, orientation: int) -> Path:
    """Store an upright picture turned, with its tag."""
    Image.fromarray(stored(picture, orientation)).save(path, exif=tag(orientation))
    return path


def write_turned_film(path: Path, pictures: Sequence[Picture], orientation: int, form: str = "gbrp") -> Path:
    """Store upright pictures turned, without loss, with a display matrix. Chroma is subsampled before it is turned."""
    codec = "libx264rgb" if form == "gbrp" else "libx264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options={"qp": "0", "preset": "ultrafast", "threads": "1"})
        stream.height, stream.width = stored(pictures[0], orientation).shape[:2]
        stream.pix_fmt = {"gbrp": "rgb24"}.get(form, form)
        stream.set_display_rotation(**DISPLAYING[orientation])
        for index, picture in enumerate(pictures):
            frame = _turned_frame(picture, orientation, form)
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _turned_frame(picture: Picture, orientation: int, form: str) -> av.VideoFrame:
    if form == "gbrp":
        return av.VideoFrame.from_ndarray(stored(picture, orientation), "rgb24")
    upright = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv440p" if orientation > 4 and form == "yuv422p" else form)
    planes = [stored(samples_of(plane), orientation) for plane in upright.planes]
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], form)
    for place, samples in zip(frame.planes, planes, strict=True):
        samples_of(place)[...] = samples
    return frame


def samples_of(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    """The samples of a plane, (h, w), as a view."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
