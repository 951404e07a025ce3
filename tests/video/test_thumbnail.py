"""The thumbnail of a file is its first frame as displayed: upright, undistorted, in its colours."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from models.arrays import Bytes
from service.errors import EncodeFailed, InputError, NotMedia, Truncated
from service.pipeline.io.thumbnail import shrunk_size, thumbnail
from service.pipeline.video import Limits
from tests.footage import described
from tests.video.clips import Spec, child_processes, make_clip, picture_rgb

LIMITS = Limits()


def four_corners(width: int = 96, height: int = 64) -> Bytes:
    """(h, w, 3): red, green, blue and yellow quarters, so that any rotation is visible."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, height), slice(width // 2, width)
    picture[top, left], picture[top, right] = (200, 30, 30), (30, 180, 30)
    picture[bottom, left], picture[bottom, right] = (30, 30, 200), (200, 190, 30)
    return picture


def clip_of(
    path: Path, picture: Bytes, form: str = "yuv420p", matrix: int = 1, *, rotation_degrees: int = 0, aspect: Fraction | None = None
) -> Path:
    """Two frames: the picture, then black."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], form
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, matrix
        if rotation_degrees:
            stream.set_display_rotation(rotation_degrees)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image in (picture, np.zeros_like(picture)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=form, dst_colorspace=matrix, dst_color_range=1)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def make_thumbnail(source: Path, long_side_pixels: int = 640) -> Bytes:
    """The thumbnail's pixels. The file is an RGB JPEG without an EXIF orientation."""
    target = source.with_name("thumbnail.jpg")
    thumbnail(source, target, LIMITS, long_side_pixels)
    with Image.open(target) as image:
        assert (image.format, image.mode, dict(image.getexif())) == ("JPEG", "RGB", {})
        return np.asarray(image)


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def assert_alike(found: Bytes, expected: Bytes) -> None:
    """The same picture, apart from what compression changes at edges."""
    assert found.shape == expected.shape
    assert np.median(np.abs(found.astype(int) - expected)) <= 6
    assert np.abs(found.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(("form", "matrix"), [("yuv420p", 1), ("yuv420p", 6), ("yuv420p10le", 1)])
def test_the_first_frame_in_its_colours(tmp_path: Path, form: str, matrix: int) -> None:
    assert_alike(make_thumbnail(clip_of(tmp_path / "source.mp4", four_corners(), form, matrix)), four_corners())


@pytest.mark.parametrize("degrees", [90, 270])
def test_a_rotated_video(tmp_path: Path, degrees: int) -> None:
    source = clip_of(tmp_path / "source.mp4", four_corners(), rotation_degrees=degrees)
    assert_alike(make_thumbnail(source), np.rot90(four_corners(), degrees // 90))  # FFmpeg counts counterclockwise, as NumPy does


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    assert_alike(make_thumbnail(clip_of(tmp_path / "source.mp4", four_corners(), aspect=Fraction(2))), four_corners(192, 64))


def test_a_large_image(tmp_path: Path) -> None:
    Image.fromarray(four_corners(1280, 720)).save(tmp_path / "source.png")
    assert_alike(make_thumbnail(tmp_path / "source.png"), four_corners(640, 360))


@pytest.mark.parametrize(
    ("width", "height", "aspect", "shrunk"),
    [
        (1280, 720, None, (640, 360)),
        (720, 1280, None, (360, 640)),
        (320, 240, None, (320, 240)),  # never enlarged
        (1440, 1080, Fraction(4, 3), (640, 360)),
        (320, 240, Fraction(1, 2), (320, 480)),
        (2000, 2, None, (640, 1)),
    ],
)
def test_sizes(width: int, height: int, aspect: Fraction | None, shrunk: tuple[int, int]) -> None:
    assert shrunk_size(replace(described(width, height), sample_aspect_ratio=aspect), 640) == shrunk


@pytest.mark.parametrize(("orientation", "stored"), [(5, four_corners().transpose(1, 0, 2)), (6, np.rot90(four_corners()))])
def test_a_rotated_image(tmp_path: Path, orientation: int, stored: Bytes) -> None:
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "source.jpg", exif=exif_with(orientation), quality=95)
    assert_alike(make_thumbnail(tmp_path / "source.jpg"), four_corners())


def test_damaged_metadata_does_not_matter(tmp_path: Path) -> None:
    source = tmp_path / "source.jpg"
    Image.fromarray(four_corners()).save(source, exif=b"Exif\0\0 no metadata at all", quality=95)
    assert_alike(make_thumbnail(source), four_corners())


def test_a_grey_image(tmp_path: Path) -> None:
    grey = Image.fromarray(four_corners()).convert("L")
    grey.save(tmp_path / "source.png")
    assert_alike(make_thumbnail(tmp_path / "source.png"), np.asarray(grey.convert("RGB")))


def test_sixteen_bits(tmp_path: Path) -> None:
    stored = four_corners()[..., ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "source.png"), stored)
    assert_alike(make_thumbnail(tmp_path / "source.png"), four_corners())


def test_high_dynamic_range(tmp_path: Path) -> None:
    spec = Spec(codec="libx265", pixel_format="yuv420p10le", colour=(1, 9, 9, 16), options=(("x265-params", "log-level=none"),))
    assert make_thumbnail(make_clip(tmp_path / "source.mp4", spec)).shape == (64, 96, 3)


def test_a_failure_leaves_no_file_and_no_process(tmp_path: Path) -> None:
    text, cut = tmp_path / "text.mp4", make_clip(tmp_path / "cut.mp4", Spec())
    text.write_text("a text")
    cut.write_bytes(cut.read_bytes()[:200])
    expected: dict[Path, type[InputError]] = {text: NotMedia, cut: Truncated}
    others = child_processes()
    for path, error in expected.items():
        with pytest.raises(error):
            thumbnail(path, tmp_path / "thumbnail.jpg", LIMITS)
    assert sorted(os.listdir(tmp_path)) == ["cut.mp4", "text.mp4"]
    assert not child_processes() - others


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    Image.fromarray(picture_rgb(40, 30, 0)).save(source)
    with pytest.raises(EncodeFailed, match="cannot be written"):
        thumbnail(source, tmp_path / "nowhere" / "thumbnail.jpg", LIMITS)
