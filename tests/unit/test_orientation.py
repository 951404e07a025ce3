"""Stored pictures are turned upright and back, as EXIF and FFmpeg's display matrix say."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageOps

from service.pipeline.picture.orientation import orientation_of, planes_as_stored, planes_upright, upright
from service.pipeline.video import PixelFormat
from tests.footage import Picture, described, film, scene
from tests.turned import ORIENTATIONS, stored, tag

ONE = 1 << 16  # 1.0 in a display matrix


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pictures_are_turned_as_pillow_turns_them(orientation: int) -> None:
    picture = scene(0, 20, 12)
    image = Image.fromarray(picture)
    image.getexif().update(tag(orientation))
    np.testing.assert_array_equal(upright(picture, orientation), np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(upright(stored(picture, orientation), orientation), picture)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_planes_come_back_as_they_were_stored(orientation: int) -> None:
    (frame,) = film([scene(0, 20, 12)])
    back = planes_as_stored(planes_upright(frame.planes, orientation), orientation)
    for before, after in zip(frame.planes, back, strict=True):
        np.testing.assert_array_equal(after, before)


def test_nothing_is_copied() -> None:
    picture: Picture = scene(0, 20, 12)
    assert all(np.shares_memory(upright(picture, orientation), picture) for orientation in ORIENTATIONS)


@pytest.mark.parametrize(
    ("matrix", "orientation"),
    [
        ((), 1),
        ((ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30), 1),
        ((-ONE, 0, 0, 0, ONE, 0, 640 * ONE, 0, 1 << 30), 2),
        ((0, ONE, 0, -ONE, 0, 0, 360 * ONE, 0, 1 << 30), 6),  # a telephone held upright
        ((2 * ONE, 0, 0, 0, 2 * ONE, 0, 0, 0, 1 << 30), 1),  # scaled
        ((ONE, ONE // 9, 0, -ONE // 9, ONE, 0, 0, 0, 1 << 30), 1),  # of other angles the nearest
        ((-ONE // 9, ONE, 0, -ONE, -ONE // 9, 0, 0, 0, 1 << 30), 6),
        ((0,) * 9, 1),
    ],
)
def test_display_matrices(matrix: tuple[int, ...], orientation: int) -> None:
    assert orientation_of(matrix) == orientation


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_description_is_turned_with_its_picture(orientation: int) -> None:
    tall = replace(described(64, 48), pixel_format=PixelFormat("yuv422p", 8, 1, 0), sample_aspect_ratio=Fraction(4, 3))
    info = tall.turned_upright(orientation)
    assert info.as_stored == tall
    lies = orientation >= 5
    assert (info.width, info.height, info.sample_aspect_ratio) == ((48, 64, Fraction(3, 4)) if lies else (64, 48, Fraction(4, 3)))
    assert (info.pixel_format.chroma_shift_x, info.pixel_format.chroma_shift_y) == ((0, 1) if lies else (1, 0))
    assert info.pixel_format.name == "yuv422p"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_rotation_and_the_mirroring_make_the_picture_upright(orientation: int) -> None:
    info, picture = replace(described(64, 48), orientation=orientation), scene(0, 20, 12)
    mirrored = picture[:, ::-1] if info.mirrored else picture
    np.testing.assert_array_equal(np.rot90(mirrored, info.rotation_degrees // 90), upright(picture, orientation))
