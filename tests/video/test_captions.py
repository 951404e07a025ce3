"""Closed captions become a track of text where the new pictures cannot hold them. PyAV is the oracle."""

from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type

from service.inference import fake
from service.pipeline.io.captions import has_text
from service.pipeline.io.not_kept import outcomes
from service.pipeline.io.probe import probe
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Encoding, Limits, Part
from service.timed_box import parse_box
from tests.formats.films import Film

NETWORKS = fake.networks()
BOX = Request(detect=False, boxes=(parse_box("16,16,32,32"),))
POP_ON, END_OF_CAPTION, ERASE = b"\x94\x20", b"\x94\x2f", b"\x94\x2c"
PADDING = b"\x80\x80"
SHOWN, REPLACED, ERASED, FRAMES = 20, 60, 80, 100  # pictures of 1/25 s


def odd(letters: str) -> bytes:
    """Letters with odd parity, in pairs."""
    data = bytes(ord(letter) | (0x80 if bin(ord(letter)).count("1") % 2 == 0 else 0) for letter in letters)
    return data + (b"\x80" if len(data) % 2 else b"")


def line(text: str) -> list[bytes]:
    """The pairs that load a caption in row 15."""
    return [POP_ON, POP_ON, b"\x94\xae", b"\x94\x70", *(odd(text)[at : at + 2] for at in range(0, len(odd(text)), 2))]


def pairs() -> list[bytes]:
    """For each picture two bytes of CEA-608: one caption, then another, then nothing, and one that is left at the end."""
    found = [PADDING] * FRAMES
    for text, shown in (("Hello there", SHOWN), ("Second", REPLACED), ("Last", 95)):
        commands = [*line(text), END_OF_CAPTION]
        found[shown - len(commands) + 1 : shown + 1] = commands
    found[ERASED] = ERASE
    return found


def with_captions(path: Path, codec: str = "libx264", given: Sequence[bytes] | None = None) -> Path:
    stated = pairs() if given is None else given

    def packet(coded: av.Packet) -> av.Packet:
        captions = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + stated[coded.pts] + b"\xff"
        header = b"\x06" if codec == "libx264" else b"\x4e\x01"
        copy = av.Packet(b"\0\0\0\1" + header + bytes([4, len(captions)]) + captions + b"\x80" + bytes(coded))
        copy.pts, copy.dts, copy.time_base, copy.is_keyframe, copy.duration = coded.pts, coded.dts, coded.time_base, coded.is_keyframe, 1
        return copy

    Film(codec, pts=tuple(range(FRAMES)), packet=packet, options={"bf": "0"}).write(path)
    return path


def texts(path: Path) -> list[tuple[float, float, str]]:
    """The captions of the only track of text: when each begins, how long it is shown, its letters."""
    with av.open(str(path)) as source:
        (track,) = source.streams.subtitles
        return [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base), _letters(packet))
            for packet in source.demux(track)
            if packet.size > 2
        ]


def _letters(packet: av.Packet) -> str:
    data = bytes(packet)
    return (data[2:] if packet.stream.name == "mov_text" else data).decode()


@pytest.mark.parametrize(
    ("source_codec", "name", "codec"), [("libx264", "a.webm", None), ("libx265", "a.mp4", "av1"), ("libx264", "a.mkv", "vp9")]
)
def test_they_become_text(tmp_path: Path, source_codec: str, name: str, codec: str | None) -> None:
    source, target = with_captions(tmp_path / "source.mp4", source_codec), tmp_path / name
    encoding = Encoding(codec=codec) if codec else None
    info = probe(source, Limits()).wished(encoding)
    said = {each.what: (each.fate, each.reason) for each in outcomes(info, target.suffix)}
    assert said["closed captions (CEA-608)"] == ("converted", "to a track of text, as the new pictures cannot hold them")
    report = clean(source, target, BOX, NETWORKS, encoding=encoding)
    assert report.not_kept == ()
    found = texts(target)
    assert [letters for *_, letters in found] == ["Hello there", "Second", "Last"]
    for (begins, lasts, _), (first, end) in zip(found, [(SHOWN, REPLACED), (REPLACED, ERASED), (95, FRAMES)], strict=True):
        assert begins == pytest.approx(first / 25, abs=0.002)
        assert lasts == pytest.approx((end - first) / 25, abs=0.002)


def test_of_a_part_they_begin_with_it(tmp_path: Path) -> None:
    clean(with_captions(tmp_path / "a.mp4"), target := tmp_path / "a.webm", BOX, NETWORKS, part=Part(1.0, 2.6))
    assert [(begins, letters) for begins, _, letters in texts(target)] == [(1.4, "Second")]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_in_pictures_that_hold_them_they_stay(tmp_path: Path, suffix: str) -> None:
    clean(with_captions(tmp_path / "a.mp4"), target := tmp_path / f"b{suffix}", BOX, NETWORKS)
    with av.open(str(target)) as result:
        assert [stream.type for stream in result.streams] == ["video"]


def test_those_of_mpeg2_are_seen(tmp_path: Path) -> None:
    with av.open(str(with_captions(tmp_path / "a.mp4"))) as source, av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in source.decode(video=0):
            frame.pict_type = 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    clean(tmp_path / "a.mkv", result := tmp_path / "b.mkv", BOX, NETWORKS)
    with av.open(str(result)) as video:
        assert [bytes(frame.side_data[Type.A53_CC])[1:] for frame in video.decode(video=0)] == pairs()


def test_without_letters_there_is_no_text_and_they_are_named_as_lost(tmp_path: Path) -> None:
    source = with_captions(tmp_path / "a.mp4", given=[PADDING] * FRAMES)
    report = clean(source, target := tmp_path / "a.webm", BOX, NETWORKS)
    assert [each.what for each in report.not_kept] == ["closed captions"]
    with av.open(str(target)) as result:
        assert not result.streams.subtitles


def test_a_list_that_is_cut_off_has_no_text() -> None:
    whole = b"GA94\x03\x42\xff\xfc\x80\x80\xfd\xc1\xc2"
    assert has_text(whole)
    assert not any(has_text(whole[:length]) for length in range(len(whole)))
    assert not has_text(b"GA94\x03\x41\xff\xfe\x41\x42")  # CEA-708
