"""A person's strokes become the mask of what to remove, in any colour and file format."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as hypothesis_arrays
from numpy.typing import NDArray
from PIL import Image

from models.arrays import Mask
from service.errors import RequestError
from service.pipeline.io.probe import probe
from service.pipeline.io.smear import TOLERANCE, mask_from_smear, painted_pixels
from service.pipeline.locate.candidates import from_mask
from service.pipeline.video import Limits, Timeline
from tests.video.clips import Spec, child_processes, make_clip, picture_rgb

LIMITS = Limits()
SIZE = (96, 64)
STROKE = (slice(20, 32), slice(30, 70))
RED = (230, 30, 60)


def smear(canvas: tuple[int, ...] = (255, 255, 255), colour: tuple[int, ...] = RED) -> Image.Image:
    """A canvas with one stroke."""
    pixels = np.full((SIZE[1], SIZE[0], len(canvas)), canvas, np.uint8)
    pixels[STROKE] = colour
    return Image.fromarray(pixels)


def read_mask(path: Path, size: tuple[int, int] | None = SIZE) -> Mask:
    """The mask as booleans; the file holds only black and white."""
    target = path.with_name("mask.png")
    mask_from_smear(path, target, size, LIMITS)
    with Image.open(target) as image:
        assert image.format == "PNG"
        grey = np.asarray(image.convert("L"))
    assert set(np.unique(grey)) <= {0, 255}
    return grey == 255


def stroke() -> Mask:
    expected = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    expected[STROKE] = True
    return expected


def grown(mask: Mask, pixels: int = 4) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)) > 0


@pytest.mark.parametrize(
    ("name", "canvas", "colour"),
    [
        ("smear.png", (0, 0, 0), (1, 0, 0)),
        ("smear.png", (255, 255, 255), (255, 255, 254)),
        ("smear.webp", (255, 255, 255), (128, 128, 128)),
    ],
)
def test_any_colour_on_black_or_white(tmp_path: Path, name: str, canvas: tuple[int, ...], colour: tuple[int, ...]) -> None:
    smear(canvas, colour).save(tmp_path / name, lossless=True)
    np.testing.assert_array_equal(read_mask(tmp_path / name), stroke())


def test_transparent_pixels_are_not_painted(tmp_path: Path) -> None:
    smear((90, 140, 20, 0), (*RED, 128)).save(tmp_path / "smear.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "smear.png"), stroke())


@pytest.mark.parametrize("image", [smear().convert("L"), smear((0, 0, 0, 0), (*RED, 255)).quantize(4)], ids=["grey", "palette"])
def test_other_modes(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "smear.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "smear.png"), stroke())


@pytest.mark.parametrize("channels", [1, 4])
def test_sixteen_bits(tmp_path: Path, channels: int) -> None:
    samples = np.full((SIZE[1], SIZE[0], channels), 65535, np.uint16)
    samples[STROKE] = 65534 if channels == 1 else (65535, 65535, 65534, 65535)
    cv2.imwrite(str(tmp_path / "smear.png"), samples)
    np.testing.assert_array_equal(read_mask(tmp_path / "smear.png"), stroke())


def test_a_jpeg(tmp_path: Path) -> None:
    smear().save(tmp_path / "smear.jpg", quality=75)
    found = read_mask(tmp_path / "smear.jpg")
    assert found[STROKE].mean() > 0.9  # its very edge is a blend
    assert not (found & ~grown(stroke())).any()


@pytest.mark.parametrize("canvas", [0, 255])
@pytest.mark.parametrize("colour", [RED, (0, 255, 0), (255, 255, 0), (64, 160, 255), (128, 128, 128)])
@pytest.mark.parametrize(("form", "quality"), [("JPEG", 75), ("JPEG", 95), ("WEBP", 60)])
def test_ringing_is_not_painted(canvas: int, colour: tuple[int, ...], form: str, quality: int) -> None:
    encoded = BytesIO()
    smear((canvas,) * 3, colour).save(encoded, form, quality=quality)
    with Image.open(encoded) as image:
        found = painted_pixels(np.asarray(image.convert("RGB")), TOLERANCE[form])
    assert found[~grown(~stroke(), 2)].all()
    assert (found & ~grown(stroke())).sum() <= 0.002 * stroke().sum()


@given(hypothesis_arrays(st.sampled_from([np.uint8, np.uint16]), st.tuples(st.just(3), st.just(4), st.sampled_from([1, 3, 4]))))
def test_the_rule_pixel_by_pixel(samples: NDArray[Any]) -> None:
    peak = np.iinfo(samples.dtype).max
    for row, column in np.ndindex(3, 4):
        *colour, alpha = samples[row, column] if samples.shape[-1] == 4 else (*samples[row, column], peak)
        pure = all(value == 0 for value in colour) or all(value == peak for value in colour)
        assert painted_pixels(samples, 0)[row, column] == (alpha > 0 and not pure)


def test_the_pipeline_takes_the_mask(tmp_path: Path) -> None:
    smear().save(tmp_path / "smear.png")
    read_mask(tmp_path / "smear.png")
    Image.fromarray(picture_rgb(*SIZE, 0)).save(tmp_path / "picture.png")
    info = probe(tmp_path / "picture.png", LIMITS)
    (candidate,) = from_mask(tmp_path / "mask.png", info, Timeline((0,), info.time_base), LIMITS)
    assert candidate.probability.sum() == stroke().sum()


def test_the_picture_size_may_be_unknown(tmp_path: Path) -> None:
    smear().save(tmp_path / "smear.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "smear.png", size=None), stroke())


def refusal_message(path: Path, size: tuple[int, int] | None = SIZE, limits: Limits = LIMITS) -> str:
    """The message of the error. The failed call leaves no file and no process behind."""
    others = child_processes()
    with pytest.raises(RequestError) as caught:
        mask_from_smear(path, path.with_name("mask.png"), size, limits)
    assert os.listdir(path.parent) == [path.name]
    assert not child_processes() - others
    return str(caught.value)


def test_another_size(tmp_path: Path) -> None:
    smear().save(tmp_path / "smear.png")
    assert refusal_message(tmp_path / "smear.png", (64, 96)) == "the smear has 96x64 pixels, the picture 64x96"


@pytest.mark.parametrize(("canvas", "colour"), [((0, 0, 0), (255, 255, 255)), ((200, 10, 10, 0), (200, 10, 10, 0))])
def test_no_stroke(tmp_path: Path, canvas: tuple[int, ...], colour: tuple[int, ...]) -> None:
    smear(canvas, colour).save(tmp_path / "smear.png")
    assert "no stroke" in refusal_message(tmp_path / "smear.png")


def test_files_that_are_not_images(tmp_path: Path) -> None:
    for name in ("text", "cut", "video", "large"):
        (tmp_path / name).mkdir()
    (tmp_path / "text/smear.png").write_text("a text")
    assert "cannot be read" in refusal_message(tmp_path / "text/smear.png")
    smear().save(tmp_path / "cut/smear.png")
    data = (tmp_path / "cut/smear.png").read_bytes()
    (tmp_path / "cut/smear.png").write_bytes(data[: len(data) // 2])
    assert "cannot be read" in refusal_message(tmp_path / "cut/smear.png")
    make_clip(tmp_path / "video/smear.mp4", Spec())
    assert "must be an image" in refusal_message(tmp_path / "video/smear.mp4")
    smear().save(tmp_path / "large/smear.png")
    assert "pixels" in refusal_message(tmp_path / "large/smear.png", limits=Limits(still_pixels=100))
