"""Frames into a file: everything but the pixels is kept, and the file appears complete or not at all."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from service.errors import DecodeFailed, EncodeFailed, RequestError, UnsupportedFormat
from service.pipeline.io.decode import decode
from service.pipeline.io.encode import Encoder, copy_untouched, encoder_options
from service.pipeline.io.pixels import PIXEL_FORMATS
from service.pipeline.io.probe import probe
from service.pipeline.video import Colour, Limits, VideoInfo
from tests.video.clips import Spec, child_processes, make_clip, read_first_frame, read_packets, read_pts, read_times

LIMITS = Limits()
X265 = (("x265-params", "log-level=none"),)


def transcode(source: Path, target: Path) -> VideoInfo:
    """Decode and encode every frame as it is; returns the source's description."""
    info = probe(source, LIMITS)
    with decode(source, info, LIMITS) as frames, Encoder(source, target, info) as encoder:
        for frame in frames:
            encoder.write(frame)
    return info


@pytest.mark.parametrize(
    ("suffix", "spec"),
    [
        (".mp4", Spec()),
        (".mp4", Spec(pts=range(0, 20_020, 1001), time_base=Fraction(1, 30_000))),
        (".mp4", Spec(pts=(0, 1, 2, 5, 6, 9, 20, 21), time_base=Fraction(1, 30))),
        (".mp4", Spec(pts=range(37, 57))),
        (".mp4", Spec(options=(("bf", "3"), ("b_strategy", "0")))),
        (".mov", Spec(pts=(3, 4, 9, 11), options=(("bf", "2"),))),
        (".mkv", Spec(pts=(100, 140, 200, 233, 300), time_base=Fraction(1, 1000))),
        (".webm", Spec(codec="libvpx-vp9", pts=(0, 40, 90, 120), time_base=Fraction(1, 1000))),
        (".avi", Spec(codec="mpeg4")),
    ],
    ids=["cfr", "ntsc", "vfr", "start", "b-frames", "mov", "mkv", "webm", "avi"],
)
def test_the_pts_list_is_equal(tmp_path: Path, suffix: str, spec: Spec) -> None:
    source, target = make_clip(tmp_path / f"source{suffix}", spec), tmp_path / f"target{suffix}"
    info = transcode(source, target)
    assert read_pts(target) == read_pts(source)
    assert probe(target, LIMITS).time_base == info.time_base


def test_times_are_equal_in_another_container(tmp_path: Path) -> None:
    spec = Spec(pts=(0, 40, 90, 120, 133), time_base=Fraction(1, 1000))
    source, target = make_clip(tmp_path / "source.mkv", spec), tmp_path / "target.mp4"
    transcode(source, target)
    assert read_times(target) == read_times(source)


@pytest.mark.parametrize(
    ("suffix", "audio", "subtitles"),
    [(".mp4", "aac", "mov_text"), (".mov", "aac", None), (".mkv", "libopus", "subrip"), (".webm", "libopus", None)],
)
def test_audio_and_subtitle_packets_are_copied(tmp_path: Path, suffix: str, audio: str, subtitles: str | None) -> None:
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    source = make_clip(tmp_path / f"source{suffix}", Spec(codec=codec, audio=audio, subtitles=subtitles))
    target = tmp_path / f"target{suffix}"
    transcode(source, target)
    assert read_packets(target, "audio") == read_packets(source, "audio")
    if subtitles:
        assert read_packets(target, "subtitles") == read_packets(source, "subtitles")


@pytest.mark.parametrize(("suffix", "degrees"), [(".mp4", 90), (".mov", -90), (".mkv", 90), (".mp4", 180)])
def test_rotation_is_kept(tmp_path: Path, suffix: str, degrees: int) -> None:
    source, target = make_clip(tmp_path / f"source{suffix}", Spec(rotation_degrees=degrees)), tmp_path / f"target{suffix}"
    transcode(source, target)
    assert read_first_frame(target).rotation == read_first_frame(source).rotation
    assert (read_first_frame(target).rotation - degrees) % 360 == 0
    assert (read_first_frame(target).width, read_first_frame(target).height) == (96, 64)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("libx265", ".mp4"), ("libx264", ".mkv")])
def test_colour_tags_and_aspect_ratio_are_kept(tmp_path: Path, codec: str, suffix: str) -> None:
    options = X265 if codec == "libx265" else ()
    spec = Spec(codec=codec, options=options, colour=(2, 9, 9, 16), aspect=Fraction(4, 3))
    source, target = make_clip(tmp_path / f"source{suffix}", spec), tmp_path / f"target{suffix}"
    info = transcode(source, target)
    written = probe(target, LIMITS)
    assert (info.colour.matrix, info.colour.full_range, info.sample_aspect_ratio) == (9, True, Fraction(4, 3))
    assert (written.colour, written.sample_aspect_ratio) == (info.colour, info.sample_aspect_ratio)


def test_colour_tags_of_webm_are_kept(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.webm", Spec(codec="libvpx-vp9", colour=(2, 9, 9, 16)))
    info = transcode(source, tmp_path / "target.webm")
    assert probe(tmp_path / "target.webm", LIMITS).colour == info.colour


@pytest.mark.parametrize(
    ("suffix", "spec", "codec"),
    [
        (".mp4", Spec(codec="libx265", pixel_format="yuv420p10le", options=X265), "hevc"),
        (".mp4", Spec(pixel_format="yuv420p10le"), "h264"),
        (".mov", Spec(codec="prores_ks", pixel_format="yuv422p10le"), "h264"),
        (".mkv", Spec(codec="libsvtav1", pixel_format="yuv420p10le", options=(("preset", "12"),)), "av1"),
        (".mkv", Spec(codec="ffv1", width=65, height=63), "vp9"),
        (".webm", Spec(codec="libvpx", width=65, height=63), "vp8"),
        (".mp4", Spec(width=65, height=63, pixel_format="yuv444p"), "h264"),
        (".mkv", Spec(codec="ffv1", width=65, height=63, pixel_format="bgr0"), "h264"),
        (".avi", Spec(codec="mjpeg", pixel_format="yuvj422p"), "h264"),
    ],
    ids=lambda value: f"{value.codec}-{value.pixel_format}" if isinstance(value, Spec) else str(value),
)
def test_codec_family_depth_and_odd_sizes_are_kept(tmp_path: Path, suffix: str, spec: Spec, codec: str) -> None:
    source, target = make_clip(tmp_path / f"source{suffix}", spec), tmp_path / f"target{suffix}"
    info = transcode(source, target)
    written = probe(target, LIMITS)
    assert written.codec == codec
    assert (written.width, written.height, written.pixel_format) == (info.width, info.height, info.pixel_format)
    assert luma_error(source, info, target, written) < 2.5 * (1 << (info.pixel_format.bit_depth - 8))


def luma_error(source: Path, info: VideoInfo, target: Path, written: VideoInfo) -> float:
    """Mean absolute difference of the first planes."""
    with decode(source, info, LIMITS) as before, decode(target, written, LIMITS) as after:
        pairs = zip(before, after, strict=True)
        return float(np.mean([np.abs(a.planes[0].astype(int) - b.planes[0].astype(int)).mean() for a, b in pairs]))


def test_metadata_chapters_and_language_are_kept(tmp_path: Path) -> None:
    plain, source, target = make_clip(tmp_path / "plain.mp4", Spec(audio="aac")), tmp_path / "source.mkv", tmp_path / "target.mkv"
    chapter = {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "The first"}}
    with av.open(str(plain)) as original, av.open(str(source), "w") as container:
        streams = [container.add_stream_from_template(stream, opaque=True) for stream in original.streams]
        streams[1].metadata["language"] = "fin"
        container.metadata["title"] = "A title"
        container.set_chapters([chapter])
        for packet in original.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                container.mux(packet)
    transcode(source, target)
    with av.open(str(target)) as written:
        assert written.metadata["title"] == "A title"
        assert written.streams.audio[0].language == "fin"
        assert [(item["start"], item["metadata"]) for item in written.chapters()] == [(0, {"title": "The first"})]


def test_the_index_comes_first(tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    transcode(make_clip(tmp_path / "source.mp4"), target)
    assert target.read_bytes().index(b"moov") < target.read_bytes().index(b"mdat")


def test_an_exception_leaves_no_file_and_no_process(tmp_path: Path) -> None:
    source, others = make_clip(tmp_path / "source.mp4"), child_processes()
    info = probe(source, LIMITS)
    with pytest.raises(KeyboardInterrupt):
        transcode_until(source, tmp_path / "target.mp4", info, interrupted)
    assert os.listdir(tmp_path) == ["source.mp4"]
    assert not child_processes() - others


def test_a_killed_encoder_leaves_no_file(tmp_path: Path) -> None:
    source, others = make_clip(tmp_path / "source.mp4"), child_processes()
    info = probe(source, LIMITS)

    def kill_encoder() -> None:
        os.kill(max(child_processes() - others), signal.SIGKILL)

    with pytest.raises(EncodeFailed, match="signal 9"):
        transcode_until(source, tmp_path / "target.mp4", info, kill_encoder)
    assert os.listdir(tmp_path) == ["source.mp4"]


def transcode_until(source: Path, target: Path, info: VideoInfo, accident: Callable[[], None]) -> None:
    """Transcode; `accident` happens after the ninth frame."""
    with decode(source, info, LIMITS) as frames, Encoder(source, target, info) as encoder:
        for frame in frames:
            encoder.write(frame)
            if frame.index == 8:
                accident()


def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_failing_decoder_leaves_the_old_target(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "source.mp4", Spec(pts=range(60))), tmp_path / "target.mp4"
    target.write_bytes(b"what was there before")
    info, others = probe(source, LIMITS), child_processes()

    def kill_decoder() -> None:
        os.kill(min(child_processes() - others), signal.SIGKILL)

    with pytest.raises(DecodeFailed):
        transcode_until(source, target, info, kill_decoder)
    assert target.read_bytes() == b"what was there before"
    assert sorted(os.listdir(tmp_path)) == ["source.mp4", "target.mp4"]


@pytest.mark.parametrize("name", ["missing/target.mp4", "target.gif"])
def test_a_target_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    source = make_clip(tmp_path / "source.mp4", Spec(pts=range(3)))
    with pytest.raises((EncodeFailed, RequestError)):
        transcode(source, tmp_path / name)
    assert os.listdir(tmp_path) == ["source.mp4"]


def test_a_stream_that_the_target_cannot_hold_is_named(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", Spec(pts=range(3), audio="aac"))
    with pytest.raises(RequestError, match="aac"):
        transcode(source, tmp_path / "target.webm")


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4")
    with pytest.raises(EncodeFailed), Encoder(source, tmp_path / "target.mp4", probe(source, LIMITS)):
        pass
    assert os.listdir(tmp_path) == ["source.mp4"]


@pytest.mark.parametrize("name", ["target.mp4", "target.mkv"])
def test_streams_copied_untouched(tmp_path: Path, name: str) -> None:
    source, target = make_clip(tmp_path / "source.mp4", Spec(audio="aac", rotation_degrees=90)), tmp_path / name
    copy_untouched(source, target)
    assert len(read_pts(target)) == len(read_pts(source))
    assert read_first_frame(target).rotation == 90
    assert [content for content, _ in read_packets(target, "audio")] == [content for content, _ in read_packets(source, "audio")]
    np.testing.assert_array_equal(read_first_frame(target).to_ndarray(), read_first_frame(source).to_ndarray())
    if target.suffix == source.suffix:
        assert target.read_bytes() == source.read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["source.mp4", name])


def described(codec: str = "h264", form: str = "yuv420p", width: int = 1280, rate: int = 4_000_000) -> VideoInfo:
    colour = Colour(full_range=False, matrix=1, primaries=1, transfer=1)
    return VideoInfo(width, 720, 1, PIXEL_FORMATS[form], colour, Fraction(1, 25), Fraction(25), 10.0, 250, codec, "mp4", 1, rate)


@pytest.mark.parametrize("seconds", [1.0, 4.0, 60.0])
def test_the_file_size_stays_near_the_sources(seconds: float) -> None:
    options = encoder_options(replace(described(), duration_seconds=seconds), ".mp4").options
    max_bits = int(options["maxrate"]) * seconds + 0.9 * int(options["bufsize"])
    assert max_bits == pytest.approx(1.25 * 4_000_000 * seconds, rel=1e-3)


def test_the_bit_rate_of_a_starved_source_is_not_followed() -> None:
    assert int(encoder_options(described(rate=1000), ".mp4").options["maxrate"]) > 350_000
    assert encoder_options(described("vp9"), ".webm").options["b"] == "5000000"


@pytest.mark.parametrize(
    ("codec", "form", "suffix", "expected"),
    [
        ("h264", "yuv420p", ".mp4", "libx264"),
        ("mpeg4", "yuv420p", ".mp4", "libx264"),
        ("mpeg4", "yuv420p", ".avi", "mpeg4"),
        ("hevc", "yuv420p12le", ".mkv", "libx265"),
        ("hevc", "yuv420p", ".avi", "libx264"),
        ("h264", "yuv420p", ".webm", "libvpx-vp9"),
        ("vp9", "yuv420p10le", ".webm", "libsvtav1"),
        ("av1", "yuv420p", ".mov", "libx264"),
        ("h264", "yuv420p12le", ".mp4", "libx265"),
    ],
)
def test_the_encoder_is_of_the_sources_family_if_possible(codec: str, form: str, suffix: str, expected: str) -> None:
    assert encoder_options(described(codec, form), suffix).codec == expected


def test_av1_runs_at_normal_priority(tmp_path: Path) -> None:
    """Run by root, as in many containers, SVT-AV1 takes real-time priority."""
    make_clip(tmp_path / "clip.mkv", Spec(codec="libsvtav1", options=(("preset", "12"),)))
    policies = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # a thread of another test has ended
            policies.add(os.sched_getscheduler(int(thread.name)))
    assert policies == {os.SCHED_OTHER}


def test_pixels_that_no_encoder_takes_are_refused() -> None:
    with pytest.raises(UnsupportedFormat, match="yuv444p12le"):
        encoder_options(described("prores", "yuv444p12le"), ".webm")
    with pytest.raises(RequestError, match=r"\.gif"):
        encoder_options(described(), ".gif")
