"""AVIF pictures come back as AVIF with what they carry; those that would lose something are refused."""

import random
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from service.errors import CleanplateError, UnsupportedFormat
from service.inference import fake
from service.media import container_of, suffix_of_head
from service.pipeline.io.mux import start_encoders
from service.pipeline.io.probe import probe
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Limits
from service.timed_box import parse_box
from tests.formats.in_process import in_process

NETWORKS = fake.networks()
BOX = Request(detect=False, boxes=(parse_box("24,16,56,40"),))
PLACE = np.s_[16:40, 24:56]
RIM = np.s_[8:48, 16:64]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode: str) -> Image.Image:
    """A ramp with a bright box where the mark is."""
    y, x = np.mgrid[:64, :96]
    rgb = np.dstack([x * 2, y * 3, 90 + 0 * x]).astype(np.uint8)
    rgb[PLACE] = 240
    image = Image.fromarray(rgb)
    if mode == "RGBA":
        image.putalpha(Image.fromarray((x * 2 + 40).astype(np.uint8)))
    return image.convert(mode)


def saved(path: Path, mode: str = "RGB", **options: object) -> Path:
    picture(mode).save(path, "AVIF", **{"quality": 90, **options})
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_comes_back_without_its_mark(tmp_path: Path, mode: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 1
    source = saved(tmp_path / "a.avif", mode, exif=exif.tobytes(), icc_profile=PROFILE if mode != "L" else None, xmp=XMP)
    report = clean(source, target := tmp_path / "b.avif", BOX, NETWORKS)
    assert report.not_kept == ()
    before, after = pixels(source), pixels(target)
    assert np.abs(before - after)[PLACE].mean() > 20
    outside = np.ones(before.shape[:2], bool)
    outside[RIM] = False
    assert np.abs(before - after)[outside].mean() < 1.5
    if mode == "RGBA":
        assert np.array_equal(before[..., 3], after[..., 3])
    with Image.open(source) as old, Image.open(target) as new:
        assert (new.format, new.mode) == ("AVIF", mode)
        assert new.getexif().get(0x010F) == "Maker"
        assert new.info.get("icc_profile") == old.info.get("icc_profile")
        assert new.info["xmp"] == XMP


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_picture_stays_turned(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = saved(tmp_path / "a.avif", exif=exif.tobytes())
    info = probe(source, Limits())
    assert (info.orientation, info.width, info.height) == (orientation, *((64, 96) if orientation == 6 else (96, 64)))
    clean(source, target := tmp_path / "b.avif", BOX, NETWORKS)
    assert probe(target, Limits()).orientation == orientation


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_samples_stay_as_dense(tmp_path: Path, sampling: str) -> None:
    source, target = saved(tmp_path / "a.avif", subsampling=sampling), tmp_path / "b.avif"
    clean(source, target, BOX, NETWORKS)
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert new.streams.video[0].codec_context.pix_fmt == old.streams.video[0].codec_context.pix_fmt


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_it_may_become_another_format(tmp_path: Path, suffix: str) -> None:
    clean(saved(tmp_path / "a.avif", icc_profile=PROFILE), target := tmp_path / f"b{suffix}", BOX, NETWORKS)
    with Image.open(target) as image:
        assert image.info["icc_profile"] == PROFILE
    clean(target, back := tmp_path / "c.avif", BOX, NETWORKS)
    with Image.open(back) as image:
        assert (image.format, image.info["icc_profile"]) == ("AVIF", PROFILE)


def test_without_a_mark_it_is_the_same_file(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.avif")
    clean(source, target := tmp_path / "b.avif", Request(detect=False), NETWORKS)
    assert target.read_bytes() == source.read_bytes()
    assert (container_of(source), suffix_of_head(source.read_bytes()[:256])) == ("image", ".avif")


def by_ffmpeg(path: Path, pixel_format: str, primaries: int, transfer: int) -> Path:
    with av.open(str(path), "w", format="avif") as target:
        stream = target.add_stream("libsvtav1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        stream.codec_context.color_primaries, stream.codec_context.color_trc, stream.codec_context.colorspace = primaries, transfer, 9
        start_encoders(target)
        target.mux(stream.encode(av.VideoFrame.from_image(picture("RGB")).reformat(format=pixel_format)))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("pixel_format", "primaries", "transfer", "message"),
    [("yuv420p10le", 1, 13, "more than 8 bits.*16-bit png"), ("yuv420p", 9, 16, "other colours than sRGB.*save it as png")],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, pixel_format: str, primaries: int, transfer: int, message: str) -> None:
    source = by_ffmpeg(tmp_path / "a.avif", pixel_format, primaries, transfer)
    with pytest.raises(UnsupportedFormat, match=message):
        clean(source, tmp_path / "b.avif", BOX, NETWORKS)
    assert not (tmp_path / "b.avif").exists()


def test_hidden_edges_are_refused(tmp_path: Path) -> None:
    """They would be shown."""
    (source := tmp_path / "a.avif").write_bytes(saved(tmp_path / "b.avif").read_bytes().replace(b"pixi", b"clap"))
    with pytest.raises(UnsupportedFormat, match="hidden"):
        clean(source, tmp_path / "c.avif", BOX, NETWORKS)


def test_one_that_moves_is_refused(tmp_path: Path) -> None:
    picture("RGB").save(path := tmp_path / "a.avif", "AVIF", save_all=True, append_images=[picture("RGB").rotate(90)])
    with pytest.raises(UnsupportedFormat, match=r"AVIF.*save it as mp4"):
        clean(path, tmp_path / "b.avif", BOX, NETWORKS)


def test_a_damaged_one_is_refused_or_cleaned(tmp_path: Path) -> None:
    whole, chance = saved(tmp_path / "a.avif", "RGBA", xmp=XMP).read_bytes(), random.Random(21)
    refusals = []
    with in_process():
        for number in range(60):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            (path := tmp_path / f"{number}.avif").write_bytes(data)
            try:
                clean(path, tmp_path / "clean.avif", BOX, NETWORKS)
            except CleanplateError as error:
                refusals.append(str(error))
    assert refusals
    assert not [text for text in refusals if "unexpected" in text]
