"""The type and size of an image from its header: the same as Pillow's, with few reads whatever the header says."""

from io import BytesIO
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.api.picture import MAX_SEGMENTS, picture_of
from service.errors import NotMedia, Truncated, UnsupportedFormat

SIZES = [(1, 1), (64, 48), (255, 257), (4097, 3)]
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("PNG", {"pnginfo": None, "compress_level": 0}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"exif": b"Exif\0\0" + b"x" * 60_000, "icc_profile": b"y" * 200_000, "comment": b"z" * 60_000}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0" + b"x" * 1000, "icc_profile": b"y" * 1000}),
]


class Counted(BytesIO):
    """A file that counts the bytes read."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def written(form: str, size: tuple[int, int], options: dict[str, Any], mode: str = "RGB") -> bytes:
    data = BytesIO()
    Image.new(mode, size, "grey").save(data, form, **options)
    return data.getvalue()


@pytest.mark.parametrize(("size", "form"), list(product(SIZES, FORMS)), ids=str)
def test_the_size_is_pillows(size: tuple[int, int], form: tuple[str, dict[str, Any]]) -> None:
    data = written(form[0], size, form[1])
    with Image.open(BytesIO(data)) as image:
        assert image.size == size
    file = Counted(data)
    picture = picture_of(file, "image")
    assert (picture.size, picture.suffix) == (size, {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[form[0]])
    assert file.bytes_read < 500
    assert file.tell() == 0


def test_a_webp_with_transparency() -> None:
    assert picture_of(BytesIO(written("WEBP", (31, 17), {}, "RGBA")), "image").size == (31, 17)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXt\0\0\0\0" * 100_000,
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 500_000,
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"RIFF\0\0\0\0WEBP" + b"EXIF\0\0\0\0" * 100_000,
    ],
)
def test_a_header_of_many_parts_costs_no_more(data: bytes) -> None:
    file = Counted(data)
    with pytest.raises(Truncated):
        picture_of(file, "image")
    assert file.bytes_read < 256 + 5 * MAX_SEGMENTS


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0WEBPVP8X", b""]), st.binary(max_size=80)
)
def test_any_bytes_have_a_size_or_are_refused(start: bytes, rest: bytes) -> None:
    try:
        width, height = picture_of(BytesIO(start + rest), "image").size
    except (Truncated, NotMedia, UnsupportedFormat):
        return
    assert width >= 0
    assert height >= 0
