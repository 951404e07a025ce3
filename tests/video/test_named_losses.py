"""What lies in a video's boxes, and in its pictures beside the samples, is kept or named; what only looks like damage is named too."""

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from PIL import ImageCms

from service.errors import UnsupportedFormat
from service.inference import fake
from service.media import head_of, suffix_of_head
from service.pipeline.io.not_kept import outcomes
from service.pipeline.io.probe import probe
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Encoding, Limits
from service.timed_box import parse_box
from tests.formats.films import Film, Sound
from tests.formats.in_process import in_process
from tests.formats.mixed_film import mixed
from tests.formats.movie_boxes import TRACK, box, put, sample_entry

NETWORKS = fake.networks()
BOX = Request(detect=False, boxes=(parse_box("16,16,32,32"),))
SOME_TIME = Request(detect=False, boxes=(parse_box("16,16,32,32@0-0.1"),))
HEVC = Film("libx265", options={"x265-params": "log-level=none"})
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SPHERE = box(b"sv3d", box(b"svhd", bytes(5)) + box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20))))
TWO_EYES = box(b"vexu", box(b"eyes", box(b"stri", bytes(4) + b"\3")) + box(b"proj", box(b"prji", bytes(4) + b"rect")))
GOOGLES_SPHERE = bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + b"<rdf:SphericalVideo/>"
PUT: dict[str, tuple[str, Film, Sequence[bytes], bytes]] = {  # by what is named: file, film, folder and boxes
    "360 degree projection": ("a.mp4", Film(), sample_entry(b"avc1"), SPHERE),
    "360 degree metadata": ("a.mp4", Film(), TRACK, box(b"uuid", GOOGLES_SPHERE)),
    "3D layout": ("a.mp4", Film(), sample_entry(b"avc1"), box(b"st3d", bytes(4) + b"\1")),
    "second view": ("a.mov", HEVC, sample_entry(b"hvc1"), TWO_EYES),
    "ICC profile": ("a.mov", Film(), sample_entry(b"avc1"), box(b"colr", b"prof" + PROFILE)),
    "ambient viewing environment": ("a.mov", HEVC, sample_entry(b"hvc1"), box(b"amve", struct.pack(">IHH", 3_140_000, 15_635, 16_450))),
    "further boxes (HMMT, GPMF)": ("a.mp4", Film(), (b"moov", b"udta"), box(b"HMMT", bytes(8)) + box(b"GPMF", b"DEVC")),
    "further boxes (uuid)": ("a.mp4", Film(), (), box(b"uuid", b"PROF" + bytes(20))),
    "data behind the video (8 bytes)": ("a.mp4", Film(), (), b"SEFHSEFT"),
}


def cleaned(source: Path, target: Path, request: Request = BOX, encoding: Encoding | None = None) -> Report:
    with in_process():
        return clean(source, target, request, NETWORKS, encoding=encoding)


def names_of(report: Report) -> list[str]:
    return [lost.what for lost in report.not_kept]


def put_in(folder: Path, name: str) -> Path:
    """A file with the boxes of PUT."""
    file, film, place, content = PUT[name]
    if film is HEVC:
        film = Film(HEVC.codec, options=HEVC.options, configure=lambda _, stream: setattr(stream.codec_context, "codec_tag", "hvc1"))
    film.write(path := folder / file)
    put(path, place, content)
    return path


@pytest.mark.parametrize("name", PUT)
def test_boxes_that_are_not_written_again_are_named(tmp_path: Path, name: str) -> None:
    source = put_in(tmp_path, name)
    assert names_of(cleaned(source, tmp_path / f"b{source.suffix}")) == [name]
    cleaned(source, copy := tmp_path / f"c{source.suffix}", Request(detect=False))
    assert copy.read_bytes() == source.read_bytes()


def test_what_an_ordinary_file_has_is_not_named(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mov", "a.mkv", "fragmented.mp4"):
        options = {"movflags": "frag_keyframe+empty_moov"} if "fragmented" in name else {}
        Film(sounds=(Sound("aac"),), muxer_options=options).write(source := tmp_path / name)
        assert cleaned(source, tmp_path / f"clean-{name}").not_kept == ()
        assert cleaned(tmp_path / f"clean-{name}", tmp_path / f"again-{name}").not_kept == ()


@pytest.mark.parametrize(("suffix", "is_kept"), [(".mp4", True), (".mkv", False)])
def test_a_profile_of_a_copied_stream_is_kept_where_there_is_a_place(tmp_path: Path, suffix: str, *, is_kept: bool) -> None:
    source = put_in(tmp_path, "ICC profile")
    report = cleaned(source, target := tmp_path / f"b{suffix}", Request(detect=False))
    assert (Type.ICC_PROFILE in first_of(target).side_data) is is_kept
    assert names_of(report) == ([] if is_kept else ["ICC profile"])


def test_a_profile_beside_copied_packets_is_kept(tmp_path: Path) -> None:
    Film(options={"g": "3", "bf": "0", "sc_threshold": "0", "flags": "+cgop"}, pts=tuple(range(30))).write(source := tmp_path / "a.mov")
    put(source, sample_entry(b"avc1"), box(b"colr", b"prof" + PROFILE))
    report = cleaned(source, target := tmp_path / "b.mov", SOME_TIME)
    assert report.copied_frames
    assert Type.ICC_PROFILE in first_of(target).side_data
    assert report.not_kept == ()


def first_of(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as source:
        return next(source.decode(video=0))


@pytest.mark.parametrize(("name", "target", "lost"), [("a.mkv", "b.mkv", []), ("a.webm", "b.mkv", []), ("a.mkv", "b.mp4", ["3D layout"])])
def test_the_layout_of_two_views_is_kept_in_matroska(tmp_path: Path, name: str, target: str, lost: list[str]) -> None:
    film = Film("libvpx-vp9", configure=lambda _, stream: stream.metadata.update(stereo_mode="left_right"))
    film.write(tmp_path / name)
    assert names_of(cleaned(tmp_path / name, tmp_path / target)) == lost
    assert (Type.STEREO3D in first_of(tmp_path / target).side_data) is not lost


def test_views_that_the_pictures_themselves_tell_of_are_named(tmp_path: Path) -> None:
    Film(options={"x264-params": "frame-packing=3"}).write(source := tmp_path / "a.mp4")
    assert names_of(cleaned(source, tmp_path / "b.mp4")) == ["3D layout"]


def test_user_data_in_the_pictures_is_named_but_not_an_encoders_signature(tmp_path: Path) -> None:
    def noted(packet: "av.Packet") -> "av.Packet":  # type: ignore[type-arg]
        note = b"\x06\x05\x14" + bytes(range(16)) + b"MDPM\x80"
        copy = av.Packet(len(note).to_bytes(4) + note + bytes(packet))
        copy.pts, copy.dts, copy.time_base, copy.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
        return copy

    Film(options={"bf": "0"}, packet=noted, configure=with_record).write(source := tmp_path / "a.mkv")
    assert names_of(cleaned(source, tmp_path / "b.mkv")) == ["user data in the pictures"]


def with_record(_: object, stream: av.VideoStream) -> None:
    stream.codec_context.options = {"x264-params": "annexb=0"}


def test_a_tag_with_its_language_is_kept_with_the_tag(tmp_path: Path) -> None:
    Film().write(source := tmp_path / "a.mov")
    text = struct.pack(">HH", 4, 0x15C7) + b"Sony"  # in English, as cameras write it
    put(source, (b"moov",), box(b"udta", box(b"\xa9mak", text)))
    report = cleaned(source, target := tmp_path / "b.mov")
    assert report.not_kept == ()
    with av.open(str(target)) as written:
        assert written.metadata["make"] == written.metadata["make-eng"] == "Sony"


# Fields that come later


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_fields_of_later_pictures_stay(tmp_path: Path, codec: str) -> None:
    source = mixed(tmp_path / "a.mkv", codec)
    before = fields_of(source)
    assert before[:5] == [False] * 5
    assert before[-5:] == [True] * 5
    report = cleaned(source, target := tmp_path / "b.mkv")
    assert report.info.interlaced
    assert ("fields", "converted") in {(each.what, each.fate) for each in outcomes(report.info, ".mkv")}
    assert fields_of(target)[-5:] == [True] * 5
    with pytest.raises(UnsupportedFormat, match=r"interlaced.*deinterlace"):
        cleaned(source, tmp_path / "b.webm")
    cleaned(source, tmp_path / "c.webm", encoding=Encoding(deinterlace=True))


def fields_of(path: Path) -> list[bool]:
    """Of each picture, whether it is interlaced."""
    with av.open(str(path)) as source:
        return [bool(frame.interlaced_frame) for frame in source.decode(video=0)]


def test_a_progressive_video_of_an_encoder_that_allows_fields_stays_progressive(tmp_path: Path) -> None:
    Film(options={"x264-params": "fake-interlaced=1"}).write(source := tmp_path / "a.mkv")
    info = probe(source, Limits())
    assert info.interlaced == first_of(source).interlaced_frame


# What is no damage


def test_an_encrypted_file_is_called_so(tmp_path: Path) -> None:
    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb", "encryption_kid": 32 * "a"}
    Film(muxer_options=keys).write(source := tmp_path / "a.mp4")
    with pytest.raises(UnsupportedFormat, match="encrypted"):
        probe(source, Limits())


def test_a_telephones_video_stays_one_where_its_bytes_name_it(tmp_path: Path) -> None:
    """As in the service, which knows no names."""
    Film("h263", sounds=(Sound("libopencore_amrnb"),)).write(source := tmp_path / "a.3gp")
    suffix = suffix_of_head(head_of(source))
    assert suffix == ".3gp"
    cleaned(source, target := tmp_path / f"b{suffix}")
    assert sounds_of(target) == sounds_of(source) != []


def sounds_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as source:
        return [bytes(packet) for packet in source.demux(audio=0) if packet.size]


def test_a_damaged_key_frame_does_not_matter_to_the_search_for_fields(tmp_path: Path) -> None:
    data = bytearray(mixed(tmp_path / "a.mkv", "mpeg2video").read_bytes())
    noise = np.random.default_rng(1)
    at = len(data) * 2 // 3
    data[at : at + 40] = noise.bytes(40)
    (tmp_path / "b.mkv").write_bytes(data)
    assert probe(tmp_path / "b.mkv", Limits()).frames_estimate
