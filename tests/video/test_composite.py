"""Crops of frames, pasted back: the same colours as FFmpeg's, and no other sample changes."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.pipeline.io.pixels import PIXEL_FORMATS, planes_of
from service.pipeline.picture.colour import to_rgb
from service.pipeline.picture.composite import crop_rgb, paste, shrink_rgb
from service.pipeline.placement import Box
from service.pipeline.video import Colour, Frame, PixelFormat, VideoInfo
from tests.video.clips import picture_rgb

RGB_16_BIT = PixelFormat("gbrp16le", 16, 0, 0)
FORMATS = [*PIXEL_FORMATS.values(), RGB_16_BIT]


def described(width: int, height: int, form: PixelFormat, *, full_range: bool = False, matrix: int = 1) -> VideoInfo:
    colour = Colour(full_range, 0 if form.name.startswith("gbr") else matrix, 1, 1)
    return VideoInfo(width, height, 1, form, colour, Fraction(1, 25), Fraction(25), 1.0, 25, "h264", "mp4", 1, 1)


def noise(info: VideoInfo, seed: int = 0) -> Frame:
    """A frame of random samples whose colours all lie inside the RGB cube."""
    rng = np.random.default_rng(seed)
    form = info.pixel_format
    chroma = (-(-info.height >> form.chroma_shift_y), -(-info.width >> form.chroma_shift_x))
    shapes = [(info.height, info.width), chroma, chroma]
    middle, spread = 1 << (form.bit_depth - 1), 1 << (form.bit_depth - 4)
    dtype = np.uint8 if form.bit_depth == 8 else np.uint16
    planes = [rng.integers(middle - spread, middle + spread, shape).astype(dtype) for shape in shapes]
    return Frame(0, 0, (planes[0], planes[1], planes[2]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[VideoInfo, Box]:
    width, height = draw(st.integers(16, 41)), draw(st.integers(16, 41))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    form = draw(st.sampled_from(FORMATS))
    return described(width, height, form, full_range=draw(st.booleans()), matrix=draw(st.sampled_from([1, 2, 5, 9]))), box


@given(cases())
@settings(max_examples=60, deadline=None)
def test_a_crop_pasted_back_changes_no_sample(case: tuple[VideoInfo, Box]) -> None:
    info, box = case
    frame = noise(info)
    pasted = paste(frame, box, crop_rgb(frame, box, info), np.ones((box.height, box.width), np.float32), info)
    for before, after in zip(frame.planes, pasted.planes, strict=True):
        np.testing.assert_array_equal(before, after)


@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_samples_outside_the_alpha_keep_their_bits(case: tuple[VideoInfo, Box], seed: int) -> None:
    info, box = case
    frame, rng, form = noise(info), np.random.default_rng(seed), info.pixel_format
    alpha = rng.uniform(0, 1, (box.height, box.width)).astype(np.float32) * (rng.uniform(0, 1, (box.height, box.width)) < 0.2)
    pasted = paste(frame, box, rng.uniform(0, 1, (3, box.height, box.width)).astype(np.float32), alpha, info)
    touched = np.zeros((info.height, info.width), bool)
    touched[box.slices] = alpha > 0
    for index, (before, after) in enumerate(zip(frame.planes, pasted.planes, strict=True)):
        untouched = ~(touched if index == 0 else any_in_block(touched, form.chroma_shift_x, form.chroma_shift_y))
        np.testing.assert_array_equal(before[untouched], after[untouched])
        assert after.dtype == before.dtype
        assert after.max() < 1 << form.bit_depth


def any_in_block(mask: np.ndarray, shift_x: int, shift_y: int) -> np.ndarray:
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % (1 << shift_y)), (0, -width % (1 << shift_x))))
    rows = np.logical_or.reduce([padded[offset :: 1 << shift_y] for offset in range(1 << shift_y)])
    return np.logical_or.reduce([rows[:, offset :: 1 << shift_x] for offset in range(1 << shift_x)])


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_pasted_colour_is_the_requested_one(form: PixelFormat) -> None:
    info = described(33, 31, form)
    frame, box = noise(info), Box(3, 5, 33, 31)
    rgb = np.broadcast_to(np.array([0.8, 0.3, 0.5], np.float32).reshape(3, 1, 1), (3, box.height, box.width))
    back = crop_rgb(paste(frame, box, rgb, np.ones((box.height, box.width), np.float32), info), Box(4, 6, 33, 31), info)
    np.testing.assert_allclose(back, rgb[:, 1:, 1:], atol=2.5 / (1 << min(8, form.bit_depth)))


def test_alpha_blends_and_rounds_to_nearest() -> None:
    info = described(16, 16, PIXEL_FORMATS["gbrp"], full_range=True)
    grey = np.full((16, 16), 100, np.uint8)
    frame, box = Frame(0, 0, (grey, grey, grey)), Box(2, 2, 6, 6)
    white, alpha = np.ones((3, 4, 4), np.float32), np.full((4, 4), 0.3, np.float32)
    for plane in paste(frame, box, white, alpha, info).planes:
        assert set(plane[2:6, 2:6].ravel()) == {round(100 + 0.3 * 155)}
    assert grey.max() == 100  # the caller's planes stay as they were


def test_a_patch_without_alpha_returns_the_same_frame() -> None:
    info = described(16, 16, PIXEL_FORMATS["yuv420p"])
    frame = noise(info)
    assert paste(frame, Box(0, 0, 4, 4), np.ones((3, 4, 4), np.float32), np.zeros((4, 4), np.float32), info) is frame


def test_a_box_beyond_the_picture_is_refused() -> None:
    info = described(16, 16, PIXEL_FORMATS["yuv420p"])
    with pytest.raises(ValueError, match="outside"):
        crop_rgb(noise(info), Box(0, 0, 17, 16), info)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("matrix", "name"), [(1, "ITU709"), (5, "ITU601"), (6, "SMPTE170M")])
def test_colours_equal_those_of_ffmpeg(matrix: int, name: str, *, full_range: bool) -> None:
    source = av.VideoFrame.from_ndarray(picture_rgb(64, 48, 3), "rgb24")
    theirs = source.reformat(format="yuv444p", dst_colorspace=name, dst_color_range=2 if full_range else 1)
    form = PIXEL_FORMATS["yuv444p"]
    ours = to_rgb(planes_of(theirs, form), described(64, 48, form, full_range=full_range, matrix=matrix))
    expected = theirs.reformat(format="rgb24", src_colorspace=name, src_color_range=2 if full_range else 1).to_ndarray()
    assert np.abs(ours.transpose(1, 2, 0) * 255 - expected).max() < 2.5


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_shrunk_picture_is_the_mean_of_the_large_one(form: PixelFormat) -> None:
    info = described(64, 48, form)
    frame = noise(info)
    whole = crop_rgb(frame, Box(0, 0, 64, 48), info)
    expected = whole.reshape(3, 12, 4, 16, 4).mean(axis=(2, 4)).transpose(1, 2, 0) * 255
    small = shrink_rgb(frame, info, 16, 12)
    assert small.shape == (12, 16, 3)
    assert small.dtype == np.uint8
    assert np.abs(small - expected).max() < 2.5
