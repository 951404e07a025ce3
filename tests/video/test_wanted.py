"""What a person asks of the encoder: it is done, or refused by name; the picture's size, time and colours stay the source's."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from service.errors import RequestError, UnsupportedFormat
from service.inference import fake
from service.pipeline.io.codec import encoder_options
from service.pipeline.request import Request, parse_encoding, part_between
from service.pipeline.run import clean
from service.pipeline.video import Encoding, Part
from tests.footage import Box, marked, scene, write_film
from tests.video.clips import read_times
from tests.video.test_encode import described

NETWORKS = fake.networks()
MARK = Box(20, 20, 60, 36)


def options_of(encoding: Encoding, suffix: str = ".mp4", codec: str = "h264", form: str = "yuv420p") -> tuple[str, dict[str, str]]:
    settings = encoder_options(replace(described(codec, form), encoding=encoding), suffix)
    return settings.codec, settings.options


def test_a_constant_quality_has_no_limit_of_the_rate() -> None:
    assert options_of(Encoding(crf=30)) == ("libx264", {"preset": "faster", "crf": "30"})
    assert options_of(Encoding(crf=63), ".webm")[1]["b"] == "1000000000"


def test_a_bit_rate_stands_in_for_the_quality() -> None:
    for suffix in (".mp4", ".webm"):
        options = options_of(Encoding(bits_per_second=800_000), suffix)[1]
        assert options["b"] == "800000"
        assert not options.keys() & {"crf", "maxrate", "bufsize"}


def test_a_preset_alone_keeps_the_sources_quality() -> None:
    usual = encoder_options(described(), ".mp4").options
    assert options_of(Encoding(preset="slow"))[1] == usual | {"preset": "slow"}
    assert options_of(Encoding(codec="av1", preset="4"))[1]["preset"] == "4"
    assert options_of(Encoding(codec="vp9", preset="8"), ".webm")[1]["cpu-used"] == "8"


@pytest.mark.parametrize(
    ("encoding", "suffix", "message"),
    [
        (Encoding(crf=52), ".mp4", "quality 52: libx264 takes 0, the best, to 51"),
        (Encoding(crf=4, codec="mpeg4"), ".avi", "mpeg4 has no constant quality; give a bit rate"),
        (Encoding(codec="hevc"), ".webm", "the codec hevc does not go into webm; choose from vp9, av1, vp8"),
        (Encoding(preset="quick"), ".mp4", "libx264 has no preset 'quick'; choose from ultrafast, "),
        (Encoding(preset="9"), ".webm", "libvpx-vp9 has no preset '9'; choose from 0, 1, "),
    ],
)
def test_what_an_encoder_does_not_have_is_refused(encoding: Encoding, suffix: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        options_of(encoding, suffix)


def test_pixels_that_the_codec_does_not_take_are_refused() -> None:
    with pytest.raises(UnsupportedFormat, match="yuv422p10le"):
        options_of(Encoding(codec="av1"), form="yuv422p10le")


@pytest.mark.parametrize(
    ("codec", "decoder", "suffix"), [("hevc", "hevc", ".mp4"), ("vp9", "vp9", ".webm"), ("av1", "av1", ".mkv"), ("mpeg4", "mpeg4", ".mov")]
)
def test_another_codec_at_a_rate(tmp_path: Path, codec: str, decoder: str, suffix: str) -> None:
    source = write_film(tmp_path / "in.mp4", [marked(scene(i), MARK) for i in range(24)])
    target = tmp_path / f"out{suffix}"
    report = clean(source, target, Request(), NETWORKS, encoding=Encoding(codec=codec, bits_per_second=200_000))
    assert report.mark_found
    with av.open(target) as opened:
        assert opened.streams.video[0].codec_context.codec.canonical_name == decoder
    assert len(read_times(target)) == 24


def test_a_video_without_a_mark_is_encoded_too(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", [scene(i) for i in range(24)])
    report = clean(source, tmp_path / "out.mp4", Request(), NETWORKS, encoding=Encoding(crf=40))
    assert not report.mark_found
    assert (tmp_path / "out.mp4").stat().st_size < source.stat().st_size / 3
    assert read_times(tmp_path / "out.mp4") == read_times(source)


@pytest.mark.parametrize(
    ("quality", "encoding"),
    [
        ("20", Encoding(crf=20)),
        ("4M", Encoding(bits_per_second=4_000_000)),
        (" 1.5m ", Encoding(bits_per_second=1_500_000)),
        ("800k", Encoding(bits_per_second=800_000)),
    ],
)
def test_a_quality_is_read(quality: str, encoding: Encoding) -> None:
    assert parse_encoding(quality, None, None) == encoding
    assert parse_encoding(None, None, None) is None


@pytest.mark.parametrize("quality", ["", "-1", "0M", "200", "good", "4 M", "4MB", "1e3"])
def test_a_malformed_quality_is_refused(quality: str) -> None:
    with pytest.raises(RequestError, match="is neither a constant quality"):
        parse_encoding(quality, None, None)


@pytest.mark.parametrize(
    ("start", "end", "part"),
    [("1", "2.5", Part(1, 1.5)), (None, "0:03", Part(0, 3)), ("1:02:03.25", "1:02:04", Part(3723.25, 0.75)), ("61", None, Part(61, 10**9))],
)
def test_a_part_lies_between_two_times(start: str | None, end: str | None, part: Part) -> None:
    assert part_between(start, end) == part


@pytest.mark.parametrize(
    ("start", "end"), [("2", "1"), ("0", "0"), ("-1", None), ("", None), (None, "1:2:3:4"), ("inf", None), ("1:.5", None)]
)
def test_times_that_are_none_are_refused(start: str | None, end: str | None) -> None:
    with pytest.raises(RequestError, match=r"is neither seconds nor|the part ends at"):
        part_between(start, end)
