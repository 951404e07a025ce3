"""Images on the same path as videos: format, colour mode, depth, quality, metadata and pixels are the source's."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin

from service.errors import LimitExceeded, RequestError, Truncated, UnsupportedFormat
from service.pipeline.io.decode import decode
from service.pipeline.io.encode import Encoder, copy_untouched
from service.pipeline.io.probe import probe
from service.pipeline.picture.composite import paste
from service.pipeline.placement import Box
from service.pipeline.video import Frame, Limits, VideoInfo
from tests.video.clips import picture_rgb

LIMITS = Limits()
BOX = Box(5, 7, 21, 18)


def picture(mode: str = "RGB") -> Image.Image:
    rgb = Image.fromarray(picture_rgb(49, 37, 2))
    if mode in ("RGBA", "LA"):
        rgb = rgb.convert(mode)
        rgb.putalpha(Image.linear_gradient("L").resize(rgb.size))
        return rgb
    return rgb.convert(mode)


def read(path: Path) -> tuple[VideoInfo, Frame]:
    info = probe(path, LIMITS)
    with decode(path, info, LIMITS) as frames:
        (frame,) = frames
    return info, frame


def rewrite(source: Path, target: Path, *, grey: float | None = None) -> None:
    """Write the image again, with a patch of this grey on `BOX` if one is given."""
    info, frame = read(source)
    if grey is not None:
        patch = np.full((3, BOX.height, BOX.width), grey, np.float32)
        frame = paste(frame, BOX, patch, np.ones((BOX.height, BOX.width), np.float32), info)
    with Encoder(source, target, info) as encoder:
        encoder.write(frame)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_modes(tmp_path: Path, mode: str) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    picture(mode).save(source)
    rewrite(source, target, grey=0.2)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.mode == {"1": "L", "P": "RGB"}.get(mode, mode)  # these modes cannot hold a new shade
        expected, written = (np.asarray(image.convert("RGBA")).copy() for image in (before, after))
    expected[BOX.slices] = (51, 51, 51, 0)
    expected[(*BOX.slices, 3)] = written[(*BOX.slices, 3)]
    np.testing.assert_array_equal(written, expected)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, channels: int) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    samples = np.random.default_rng(0).integers(0, 65536, (37, 49, channels), np.uint16)
    cv2.imwrite(str(source), samples)
    rewrite(source, target, grey=0.25)
    expected = samples.copy()
    expected[(*BOX.slices, slice(0, 3))] = round(0.25 * 65535)
    written = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written.reshape(samples.shape), expected)


def test_png_metadata_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "someone")
    text.add(b"gAMA", (45455).to_bytes(4, "big"))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(source, pnginfo=text, dpi=(300, 300), icc_profile=b"a profile", exif=exif)
    rewrite(source, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.info == before.info
        assert after.info["Author"] == "someone"
        assert after.size == before.size == (49, 37)  # orientation is kept, not applied


@pytest.mark.parametrize(("quality", "subsampling", "progressive"), [(70, 2, False), (93, 0, True), (85, 1, False)])
def test_jpeg_keeps_tables_sampling_and_metadata(tmp_path: Path, quality: int, subsampling: int, *, progressive: bool) -> None:
    source, target = tmp_path / "source.jpg", tmp_path / "target.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    picture().save(source, exif=exif, icc_profile=b"a profile", comment=b"hello", **options)
    rewrite(source, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before) == subsampling
        for key in ("exif", "icc_profile", "comment", "progressive"):
            assert after.info.get(key) == before.info.get(key)
        difference = np.abs(np.asarray(after).astype(int) - np.asarray(before))
    assert difference.mean() < 1.5  # one more rounding, magnified by coarse tables and halved chroma
    assert target.stat().st_size < 1.1 * source.stat().st_size


def test_all_metadata_of_a_jpeg_is_copied_unread(tmp_path: Path) -> None:
    """However much it is: Exif in many pieces, an XMP packet that continues, what Photoshop adds, comments."""
    source, target = tmp_path / "source.jpg", tmp_path / "target.jpg"
    picture().save(source)
    pieces = [
        *((0xE1, b"Exif\0\0" + bytes([index]) * 60_000) for index in range(100)),
        *((0xE1, f"http://ns.adobe.com/{name}/\0".encode() + bytes(60_000)) for name in ("xap/1.0", "xmp/extension")),
        (0xED, b"Photoshop 3.0\0" + bytes(60_000)),
        *((0xFE, f"comment {index}".encode()) for index in range(12_000)),
    ]
    metadata = b"".join(b"\xff" + bytes([marker]) + (len(content) + 2).to_bytes(2, "big") + content for marker, content in pieces)
    data = source.read_bytes()
    source.write_bytes(data[:2] + metadata + data[2:])
    rewrite(source, target)
    assert metadata in target.read_bytes()
    with Image.open(target) as after:
        assert after.size == (49, 37)


def test_a_jpeg_whose_metadata_reaches_beyond_its_end(tmp_path: Path) -> None:
    path = tmp_path / "source.jpg"
    picture().save(path, exif=b"Exif\0\0" + bytes(100))
    data = bytearray(path.read_bytes())
    at = data.index(b"Exif") - 2
    data[at : at + 2] = b"\xff\xff"
    path.write_bytes(data)
    with pytest.raises(Truncated):
        probe(path, LIMITS)


def test_metadata_that_a_jpeg_cannot_hold_is_not_dropped_silently(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    picture().save(source, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(70_000))
    with pytest.raises(RequestError, match="metadata"):
        rewrite(source, tmp_path / "target.jpg")


def test_grey_jpeg_stays_grey(tmp_path: Path) -> None:
    source, target = tmp_path / "source.jpg", tmp_path / "target.jpg"
    picture("L").save(source)
    rewrite(source, target, grey=0.5)
    with Image.open(target) as after:
        assert after.mode == "L"


@pytest.mark.parametrize("lossless", [False, True])
def test_webp_is_lossless_if_the_source_is(tmp_path: Path, *, lossless: bool) -> None:
    source, target = tmp_path / "source.webp", tmp_path / "target.webp"
    picture("RGBA").save(source, lossless=lossless, exact=True)
    rewrite(source, target)
    assert (b"VP8L" in target.read_bytes()) == lossless
    with Image.open(source) as before, Image.open(target) as after:
        assert after.mode == "RGBA"
        difference = np.abs(np.asarray(after).astype(int) - np.asarray(before))
    assert difference.max() == 0 if lossless else difference.mean() < 4


def test_another_format(tmp_path: Path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "target.webp"
    picture().save(source)
    rewrite(source, target)
    with Image.open(target) as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(picture()))


def test_transparency_is_not_dropped_silently(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    picture("RGBA").save(source)
    with pytest.raises(RequestError, match="transparency"):
        rewrite(source, tmp_path / "target.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["source.png"]


@pytest.mark.parametrize("name", ["target.jpeg", "target.png"])
def test_an_untouched_image(tmp_path: Path, name: str) -> None:
    source, target = tmp_path / "source.jpg", tmp_path / name
    picture().save(source)
    copy_untouched(source, target)
    if target.suffix == ".jpeg":
        assert target.read_bytes() == source.read_bytes()
    with Image.open(source) as before, Image.open(target) as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))


def test_an_image_that_ends_early(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp"):
        path = tmp_path / f"source{suffix}"
        picture().save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(Truncated):
            probe(path, LIMITS)


@pytest.mark.parametrize(("bits", "name", "size"), [(8, b"IDAT", 2**31 - 1), (16, b"IDAT", 2**32 - 1), (16, b"IEND", 10**5)])
def test_a_png_chunk_of_false_length_is_the_files_fault(tmp_path: Path, bits: int, name: bytes, size: int) -> None:
    """Not the decoder's, which would reserve so much memory, fail and be tried again."""
    path = tmp_path / "source.png"
    cv2.imwrite(str(path), np.zeros((37, 49, 3), np.uint8 if bits == 8 else np.uint16))
    data = bytearray(path.read_bytes())
    at = data.index(name) - 4
    data[at : at + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(Truncated):
        probe(path, LIMITS)


def test_images_that_are_refused(tmp_path: Path) -> None:
    moving, printed, large = tmp_path / "moving.webp", tmp_path / "printed.jpg", tmp_path / "large.png"
    picture().save(moving, save_all=True, append_images=[picture().rotate(90)])
    picture().convert("CMYK").save(printed)
    picture().save(large)
    with pytest.raises(UnsupportedFormat, match="animated"):
        probe(moving, LIMITS)
    with pytest.raises(UnsupportedFormat, match="CMYK"):
        probe(printed, LIMITS)
    with pytest.raises(LimitExceeded, match="49x37"):
        probe(large, Limits(still_pixels=1000))


def test_absurd_dimensions_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "absurd.png"
    picture().save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises((LimitExceeded, Truncated)):
        probe(path, LIMITS)
