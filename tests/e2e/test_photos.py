"""Photos come back as they were: what lies beside the picture is kept, or dropped together with what announces it, and said."""

import struct
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from zlib import compress, crc32

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.inference import fake
from service.pipeline.io import jpeg
from service.pipeline.io.embedded import places_of
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.timed_box import parse_box
from tests import photos

NETWORKS = fake.networks()
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x1c\x1c\x02t\0\t(c) Alice\x1c\x02x\0\tA caption"


def cleaned(source: Path, data: bytes, name: str | None = None) -> tuple[Report, Path]:
    """The report and the result of cleaning a file with these bytes."""
    source.write_bytes(data)
    target = source.with_name(f"clean_{name or source.name}")
    report = clean(source, target, Request(), NETWORKS)
    assert report.mark_found
    return report, target


def with_exif(suffix: str, block: bytes) -> bytes:
    formats = {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}
    return photos.encoded(photos.photo(), formats[suffix], exif=jpeg.EXIF + block)


def test_the_thumbnail_of_jfif_is_cut(tmp_path: Path) -> None:
    whole = photos.encoded(photos.photo(), dpi=(72, 72))
    small = photos.photo().resize((8, 6))
    head = jpeg.encode_segment(jpeg.APP0, b"JFIF\0\1\1\1\0H\0H" + bytes(small.size) + small.tobytes())
    report, target = cleaned(tmp_path / "a.jpg", jpeg.START + head + whole[next(jpeg.segments(whole)).stop :])
    assert [lost.what for lost in report.not_kept] == ["small picture (in JFIF)"]
    assert small.tobytes() not in target.read_bytes()


@pytest.mark.parametrize(("usual", "factors"), [(1, b"\x12"), (2, b"\x41")])
def test_rare_chroma_keeps_its_samples(tmp_path: Path, usual: int, factors: bytes) -> None:
    """4:4:0, as a lying photo has that was turned without loss, and 4:1:1. Pillow writes neither, and would halve the chroma both ways.

    usual: Pillow's number of the sampling with as many blocks, so that its files are such files too, with the blocks at other places.
    """
    colours = np.random.default_rng(1).integers(60, 200, (photos.HEIGHT // 8, photos.WIDTH // 8, 3), np.uint8)
    picture = Image.fromarray(colours).resize((photos.WIDTH, photos.HEIGHT), Image.Resampling.NEAREST)
    whole = photos.encoded(picture, quality=95, subsampling=usual)
    frame = next(segment for segment in jpeg.segments(whole) if segment.marker in jpeg.FRAME_STARTS)
    at = frame.start + 4 + 7  # after its marker and length: of the first component
    (source := tmp_path / "a.jpg").write_bytes(whole[:at] + factors + whole[at + 1 :])
    clean(source, target := tmp_path / "b.jpg", Request(detect=False, boxes=(parse_box("0,0,32,32"),)), NETWORKS)
    before, after = (np.asarray(Image.open(path).convert("YCbCr"), np.float32)[:, 64:] for path in (source, target))
    assert np.abs(before - after).mean() < 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_the_thumbnail_in_exif_is_made_anew(tmp_path: Path, suffix: str, order: str) -> None:
    block = photos.exif(photos.small(), order=order)
    _, target = cleaned(tmp_path / f"a{suffix}", with_exif(suffix, block))
    thumbnail = photos.thumbnail_of(target)
    assert thumbnail is not None
    assert thumbnail.size == (photos.WIDTH // 2, photos.HEIGHT // 2)
    assert not photos.shows_mark(thumbnail)
    with Image.open(target) as picture:
        expected = np.asarray(picture.convert("RGB").resize(thumbnail.size), float)
    assert np.abs(expected - np.asarray(thumbnail)).mean() < 5
    assert photos.exif_of(target)[:200] == block[:200]  # nothing has moved


def test_it_is_made_anew_in_another_format_too(tmp_path: Path) -> None:
    _, target = cleaned(tmp_path / "a.jpg", with_exif(".jpg", photos.exif(photos.small())), "a.webp")
    thumbnail = photos.thumbnail_of(target)
    assert thumbnail is not None
    assert not photos.shows_mark(thumbnail)


@pytest.mark.parametrize("data", [b"\xff" * 64 * 48 * 3, photos.small()[:-2]])
def test_a_thumbnail_that_is_no_whole_jpeg_is_cut(tmp_path: Path, data: bytes) -> None:
    block = photos.exif(data, compression=1 if data[:1] == data[1:2] else 6)
    _, target = cleaned(tmp_path / "a.jpg", with_exif(".jpg", block))
    assert photos.thumbnail_of(target) is None
    assert data[-500:] not in target.read_bytes()
    assert photos.exif_of(target)[8:34] == block[8:34]


def test_a_preview_in_a_maker_note_is_made_anew(tmp_path: Path) -> None:
    note = b"Nikon\0" + photos.encoded(photos.photo(), quality=95) + b"settings"
    _, target = cleaned(tmp_path / "a.jpg", with_exif(".jpg", photos.exif(photos.small(), maker_note=note)))
    block = photos.exif_of(target)
    assert note.startswith(b"Nikon")
    assert b"settings" in block
    found = list(places_of(block))
    assert [place.size for place in found] == [(photos.WIDTH, photos.HEIGHT), (photos.WIDTH // 2, photos.HEIGHT // 2)]
    for place in found:
        (tmp_path / "small.jpg").write_bytes(block[place.start : place.stop])
        with Image.open(tmp_path / "small.jpg") as picture:
            assert not photos.shows_mark(picture)


def test_photoshops_thumbnail_is_made_anew_and_its_captions_stay(tmp_path: Path) -> None:
    thumbnail = photos.small()
    resource = (
        b"8BIM\x04\x0c\0\0" + struct.pack(">I", 28 + len(thumbnail)) + struct.pack(">7I", 1, 64, 48, 192, 9216, len(thumbnail), 1572865)
    )
    data = photos.with_segments(photos.encoded(photos.photo(), dpi=(300, 200)), (jpeg.APP13, IPTC + resource + thumbnail))
    _, target = cleaned(tmp_path / "a.jpg", data)
    written = target.read_bytes()
    (block,) = (segment.content for segment in jpeg.segments(written) if segment.marker == jpeg.APP13)
    assert block.startswith(IPTC + resource)
    (place,) = places_of(block)
    (tmp_path / "small.jpg").write_bytes(block[place.start : place.stop])
    with Image.open(tmp_path / "small.jpg") as picture, Image.open(target) as whole:
        assert not photos.shows_mark(picture)
        assert whole.info["dpi"] == (300, 200)


@pytest.mark.parametrize("name", ["zTXt", "tEXt"])
def test_a_raw_profile_with_a_thumbnail_is_cut_and_others_stay(tmp_path: Path, name: str) -> None:
    kept = b"\niptc\n      10\n" + b"00" * 10 + b"\n"
    block = jpeg.EXIF + photos.exif(photos.small())
    shown = b"\nexif\n    %d\n%s\n" % (len(block), block.hex().encode())
    texts = PngImagePlugin.PngInfo()
    for kind, text in (("iptc", kept), ("exif", shown)):
        is_compressed = name == "zTXt"
        texts.add(name.encode(), f"Raw profile type {kind}\0".encode() + (b"\0" + compress(text) if is_compressed else text))
    report, target = cleaned(tmp_path / "a.png", photos.encoded(photos.photo(), "PNG", pnginfo=texts))
    assert [lost.what for lost in report.not_kept] == ["raw profile (Raw profile type exif)"]
    with Image.open(target) as picture:
        picture.load()
        assert "Raw profile type exif" not in picture.info
        assert "Raw profile type iptc" in picture.info


def test_pictures_in_xmp_are_cut_with_what_announces_them(tmp_path: Path) -> None:
    image = f'xmpNote:HasExtendedXMP="{"0" * 32}" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
    extension = b"0" * 32 + struct.pack(">II", 5000, 0) + b'<rdf GImage:Data="' + b64encode(photos.small()) + b'"/>'
    pieces = ((jpeg.APP1, jpeg.XMP + photos.xmp(attributes=image)), (jpeg.APP1, jpeg.EXTENDED_XMP + extension))
    _, target = cleaned(tmp_path / "a.jpg", photos.with_segments(photos.encoded(photos.photo()), *pieces))
    written = target.read_bytes()
    assert b"/9j/" not in written
    assert b"HasExtendedXMP" not in written
    assert b'dc:format="image/jpeg"' in written


def test_xmp_that_announces_nothing_is_kept_to_the_byte(tmp_path: Path) -> None:
    packet = (
        photos.xmp().replace(photos.CONTAINER.encode(), b"http://example.com/").replace(photos.GAIN_MAP.encode(), b"http://example.org/")
    )
    packet = packet.replace(photos.CAMERA.encode(), b"http://example.net/")
    extension = b"0" * 32 + struct.pack(">II", 9, 0) + b"<rdf ... >"
    pieces = ((jpeg.APP1, jpeg.XMP + packet), (jpeg.APP1, jpeg.EXTENDED_XMP + extension))
    _, target = cleaned(tmp_path / "a.jpg", photos.with_segments(photos.encoded(photos.photo()), *pieces))
    assert all(jpeg.encode_segment(*piece) in target.read_bytes() for piece in pieces)


def test_a_transparent_grey_of_16_bits_stays(tmp_path: Path) -> None:
    samples = photos.grey_16_bit()
    encoded = cv2.imencode(".png", samples)[1].tobytes()
    chunk = b"tRNS" + struct.pack(">H", photos.TRANSPARENT)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", crc32(chunk))
    _, target = cleaned(tmp_path / "a.png", encoded[:33] + chunk + encoded[33:])
    written = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert chunk in target.read_bytes()
    assert (written.dtype, written.shape) == (np.uint16, samples.shape)
    np.testing.assert_array_equal(written == photos.TRANSPARENT, samples == photos.TRANSPARENT)


@pytest.mark.parametrize(("meaning", "kind"), [("GainMap", "further picture"), ("MotionPhoto", "film")])
def test_what_lies_behind_a_photo_is_dropped_with_what_announces_it(tmp_path: Path, meaning: str, kind: str) -> None:
    """The second picture of an MPO, the film of a motion photo."""
    second = photos.small()
    if kind == "film":
        second = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + bytes(300)
    packet = photos.xmp((meaning, "image/jpeg", len(second)), attributes='hdrgm:Version="1.0" GCamera:MotionPhoto="1" GCamera:Rating="3"')
    first = photos.with_segments(photos.encoded(photos.photo()), (jpeg.APP1, jpeg.XMP + packet))
    data = first + second if kind == "film" else photos.further_pictures(first, second)
    report, target = cleaned(tmp_path / "a.jpg", data)
    written = target.read_bytes()
    assert jpeg.end_of(written) == len(written)
    for announcement in (b"hdrgm", b"Container", b"MotionPhoto", b"MPF"):
        assert announcement not in written
    assert b'GCamera:Rating="3"' in written
    assert b'dc:format="image/jpeg"' in written
    (lost,) = report.not_kept
    assert lost.what.startswith(kind)
    assert lost.reason


def test_a_photo_without_a_mark_keeps_everything(tmp_path: Path) -> None:
    clean_photo = Image.fromarray(photos.scene(0, photos.WIDTH, photos.HEIGHT))
    data = photos.further_pictures(photos.encoded(clean_photo), photos.small())
    (source := tmp_path / "a.jfif").write_bytes(data)
    report = clean(source, target := tmp_path / "b.jfif", Request(), NETWORKS)
    assert not report.mark_found
    assert target.read_bytes() == data
    assert report.not_kept == ()


def test_what_another_format_cannot_hold_is_named(tmp_path: Path) -> None:
    data = photos.with_segments(photos.encoded(photos.photo(), dpi=(300, 300), comment=b"hello"), (jpeg.APP13, IPTC))
    report, target = cleaned(tmp_path / "a.jfif", data, "a.png")
    assert [lost.what.split(" (")[0] for lost in report.not_kept] == ["IPTC", "comment"]
    with Image.open(target) as picture:
        assert [round(value) for value in picture.info["dpi"]] == [300, 300]


@pytest.mark.parametrize("form", ["XMP", "ISO"])
def test_a_gain_map_is_kept_and_cleaned(tmp_path: Path, form: str) -> None:
    """In both forms; the film behind it is dropped."""
    gains = np.full((photos.HEIGHT // 2, photos.WIDTH // 2), 60, np.uint8)
    gains[photos.SQUARE.top // 2 : photos.SQUARE.bottom // 2, photos.SQUARE.left // 2 : photos.SQUARE.right // 2] = 250
    meaning = (jpeg.APP1, jpeg.XMP + f'<x xmlns:hdrgm="{photos.GAIN_MAP}" hdrgm:GainMapMax="2"/>'.encode())
    note = (jpeg.APP2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    second = photos.with_segments(photos.encoded(Image.fromarray(gains), quality=95), meaning if form == "XMP" else note)
    film = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + bytes(300)
    items = (("GainMap", "image/jpeg", len(second)), ("MotionPhoto", "video/mp4", len(film)))
    packet = photos.xmp(*items, attributes='hdrgm:Version="1.0" GCamera:MotionPhoto="1"')
    header = [(jpeg.APP1, jpeg.XMP + packet)] if form == "XMP" else [note]
    data = photos.further_pictures(photos.with_segments(photos.encoded(photos.photo()), *header), second) + film
    report, target = cleaned(tmp_path / "a.jpg", data)
    written = target.read_bytes()
    start = jpeg.end_of(written)
    assert start is not None
    kept = written[start:]
    assert jpeg.end_of(kept) == len(kept)
    assert [lost.what.split(" (")[0] for lost in report.not_kept] == ["film"]
    assert jpeg.encode_segment(*(meaning if form == "XMP" else note)) in kept
    announced = f'Item:Length="{len(kept)}"'.encode() in written[:start]
    assert (announced, b"MotionPhoto" in written, note[1] in written[:start]) == (form == "XMP", False, form == "ISO")
    with Image.open(BytesIO(kept)) as second_picture:
        values = np.asarray(second_picture)
    if form == "ISO":  # in the other form Pillow looks for no further pictures
        with Image.open(target) as both:
            both.seek(1)
            np.testing.assert_array_equal(np.asarray(both), values)
    assert values.shape == gains.shape
    assert np.abs(values.astype(int) - 60).max() < 8
