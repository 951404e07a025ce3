"""How files are described, and each kind of file that is refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from service.errors import InputError, LimitExceeded, NoFrames, NotMedia, NoVideoStream, Truncated, UnsupportedFormat
from service.pipeline.io.probe import probe
from service.pipeline.video import Colour, Limits, PixelFormat
from tests.video.clips import Spec, make_clip, read_times

DEFAULT_DURATION = bytes.fromhex("23e383")  # Matroska's element


def test_a_video_is_described(tmp_path: Path) -> None:
    spec = Spec(rotation_degrees=90, colour=(2, 9, 9, 16), aspect=Fraction(4, 3), audio="aac")
    path = make_clip(tmp_path / "clip.mp4", spec)
    info = probe(path, Limits())
    assert (info.width, info.height, info.rotation_degrees) == (64, 96, 90)
    assert info.pixel_format == PixelFormat("yuv420p", 8, 1, 1)
    assert info.colour == Colour(full_range=True, matrix=9, primaries=9, transfer=16)
    assert (info.time_base, info.fps, info.frames_estimate) == (Fraction(1, 25), 25, 12)
    assert (info.codec, info.container, info.file_bytes) == ("h264", "mp4", path.stat().st_size)
    assert info.duration_seconds == pytest.approx(0.48)
    assert info.sample_aspect_ratio == Fraction(3, 4)  # of the upright picture
    assert 0 < info.video_bit_rate < 8 * info.file_bytes / 0.48


@pytest.mark.parametrize(
    ("name", "spec", "container", "codec", "depth", "shifts"),
    [
        ("clip.mov", Spec(codec="prores_ks", pixel_format="yuv422p10le"), "mov", "prores", 10, (1, 0)),
        ("clip.webm", Spec(codec="libvpx-vp9", pixel_format="yuv444p"), "webm", "vp9", 8, (0, 0)),
        ("clip.avi", Spec(codec="mjpeg", pixel_format="yuvj420p"), "avi", "mjpeg", 8, (1, 1)),
        ("clip.mkv", Spec(width=65, height=63), "mkv", "h264", 8, (1, 1)),
    ],
)
def test_containers_codecs_and_depths(
    tmp_path: Path, name: str, spec: Spec, container: str, codec: str, depth: int, shifts: tuple[int, int]
) -> None:
    if spec.width % 2:  # x264 cannot encode odd 4:2:0 pictures
        spec = replace(spec, pixel_format="yuv444p")
        shifts = (0, 0)
    info = probe(make_clip(tmp_path / name, spec), Limits())
    form = info.pixel_format
    assert (info.container, info.codec, form.bit_depth) == (container, codec, depth)
    assert (form.chroma_shift_x, form.chroma_shift_y) == shifts
    assert (info.width, info.height) == (spec.width, spec.height)
    assert info.colour.full_range == spec.pixel_format.startswith("yuvj")


REORDERED = (("bf", "3"), ("b_strategy", "0"))
LONG = (*range(20), *range(5000, 5004))  # one picture is shown for 200 s; with it, the file states that the next is decoded then


@pytest.mark.parametrize(
    ("name", "spec", "seconds"),
    [
        ("clip.mp4", Spec(pts=LONG, options=REORDERED), 200.16),
        ("clip.mov", Spec(pts=LONG, options=REORDERED), 200.16),
        ("clip.mkv", Spec(pts=LONG, options=REORDERED), 200.16),
        ("clip.webm", Spec(pts=LONG, codec="libvpx-vp9"), 200.16),
        ("clip.mp4", Spec(pts=(0, 1, 2, 5, 6, 11, 40), options=(("bf", "0"),)), 1.64),
        ("clip.mp4", Spec(pts=(0, 1, 2, 5, 6, 11, 12, 13), options=REORDERED), 0.56),
        ("clip.mp4", Spec(pts=range(20), options=REORDERED, audio="aac"), 0.8),
        ("clip.mkv", Spec(pts=range(-20, 5), options=REORDERED), 1.0),
        ("clip.mp4", Spec(pts=range(-20, 5), options=REORDERED), 0.2),  # an edit list leaves out what lies before zero
        ("clip.mp4", Spec(pts=(7,)), 0.04),
    ],
)
def test_a_video_is_as_long_as_its_pictures_are_shown(tmp_path: Path, name: str, spec: Spec, seconds: float) -> None:
    """Two ways: the pictures as decoded, the last one for 1/25 s, and the packets alone."""
    path = make_clip(tmp_path / name, spec)
    times = read_times(path)
    info = probe(path, Limits(duration_seconds=seconds + 0.001))
    assert info.duration_seconds == pytest.approx(seconds) == pytest.approx(float(times[-1] - times[0]) + 0.04)
    assert info.frames_estimate == len(times)


def test_a_fragmented_video_is_as_long_as_its_pictures_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "fragmented.mp4"
    remux(make_clip(tmp_path / "clip.mp4", Spec(pts=LONG, options=REORDERED, audio="aac")), path, movflags="frag_keyframe+empty_moov")
    times = read_times(path)
    assert probe(path, Limits()).duration_seconds == pytest.approx(float(times[-1] - times[0]) + 0.04)


def test_sound_that_goes_on_does_not_make_the_video_longer(tmp_path: Path) -> None:
    clip, sound, path = (
        make_clip(tmp_path / "clip.mp4"),
        make_clip(tmp_path / "sound.mp4", Spec(pts=range(75), audio="aac")),
        tmp_path / "both.mp4",
    )
    remux(clip, path, sound=sound)
    assert probe(path, Limits(duration_seconds=0.5)).duration_seconds == pytest.approx(0.48)


@pytest.mark.parametrize(("name", "box"), [("clip.mp4", b"mvhd"), ("clip.mp4", b"mdhd"), ("clip.mov", b"mdhd")])
def test_a_duration_that_the_container_invents_does_not_count(tmp_path: Path, name: str, box: bytes) -> None:
    path = make_clip(tmp_path / name)
    data = bytearray(path.read_bytes())
    at = data.index(box) + 20  # after name, version, flags, two dates and the time scale
    data[at : at + 4] = (10**9).to_bytes(4, "big")
    path.write_bytes(data)
    assert probe(path, Limits(duration_seconds=0.5)).duration_seconds == pytest.approx(0.48)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm"])
def test_pictures_without_stated_durations(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, Spec(codec="libvpx-vp9"))
    data = path.read_bytes()
    at = data.index(DEFAULT_DURATION + b"\x84")
    path.write_bytes(data[:at] + b"\xec\x86" + data[at + 2 :])  # a void of the same size
    assert probe(path, Limits()).duration_seconds == pytest.approx(0.48)


def remux(source: Path, target: Path, sound: Path | None = None, **options: str) -> None:
    """Copy the packets of a clip, or its pictures and the sound of another one."""
    with av.open(str(source)) as first, av.open(str(sound or source)) as second, av.open(str(target), "w", options=options) as written:
        streams = [*first.streams.video, *second.streams.audio]
        copies = [written.add_stream_from_template(stream) for stream in streams]
        for stream, copy in zip(streams, copies, strict=True):
            stream.container.seek(0)
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    written.mux(packet)


def test_the_bytes_decide_not_the_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv")
    disguised = clip.rename(tmp_path / "clip.avi")
    assert probe(disguised, Limits()).container == "mkv"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotMedia),
        (b"just some text, not a video at all\n" * 20, NotMedia),
        (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", UnsupportedFormat),
        (b"GIF89a" + bytes(50), UnsupportedFormat),
        (b"\x47" + bytes(187) + b"\x47" + bytes(187), UnsupportedFormat),
        (b"\x1a\x45\xdf\xa3" + bytes(300), Truncated),
        (bytes(4) + b"ftypisom" + bytes(300), Truncated),
    ],
)
def test_files_that_are_not_media(tmp_path: Path, content: bytes, error: type[InputError]) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(error):
        probe(path, Limits())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotMedia, match="no such file"):
        probe(tmp_path / "clip.mp4", Limits())


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi"])
@pytest.mark.parametrize("share", [0.6, 0.15])
def test_a_file_that_ends_early(tmp_path: Path, name: str, share: float) -> None:
    codecs = {"clip.webm": "libvpx-vp9", "clip.avi": "mpeg4"}
    options = (("g", "5"),)
    path = make_clip(tmp_path / name, Spec(pts=range(60), codec=codecs.get(name, "libx264"), options=options))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(Truncated):
        probe(path, Limits())


def test_no_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("aac", rate=48_000)
        target.mux(stream.encode(silence()))
        target.mux(stream.encode(None))
    with pytest.raises(NoVideoStream):
        probe(path, Limits())


def silence() -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
    frame.sample_rate = 48_000
    return frame


def test_zero_frames(tmp_path: Path) -> None:
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as target:
        target.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        sound = target.add_stream("libopus", rate=48_000)
        target.mux(sound.encode(silence()))
        target.mux(sound.encode(None))
    with pytest.raises(NoFrames):
        probe(path, Limits())


def test_an_unknown_codec(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ"))
    with pytest.raises(UnsupportedFormat, match="codec"):
        probe(path, Limits())


def test_a_pixel_format_that_cannot_be_kept(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", Spec(codec="ffv1", pixel_format="yuva420p"))
    with pytest.raises(UnsupportedFormat, match="yuva420p"):
        probe(path, Limits())


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(duration_seconds=0.2), "0.5 s long; the limit is 0.2 s"),
        (Limits(file_bytes=1000), "MiB"),
        (Limits(long_side_pixels=80), "96x64 pixels; the limit is 80x1088"),
        (Limits(short_side_pixels=48), "96x64 pixels"),
    ],
)
def test_a_limit_is_named_with_the_value(tmp_path: Path, limits: Limits, words: str) -> None:
    with pytest.raises(LimitExceeded, match=words):
        probe(make_clip(tmp_path / "clip.mp4"), limits)


@pytest.mark.parametrize(("width", "height"), [(8, 8), (2304, 16)])
def test_absurd_dimensions(tmp_path: Path, width: int, height: int) -> None:
    path = make_clip(tmp_path / "clip.mkv", Spec(width=width, height=height, pts=range(2), codec="ffv1"))
    with pytest.raises(LimitExceeded, match=f"{width}x{height}"):
        probe(path, Limits())


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    plain, path = make_clip(tmp_path / "plain.mp4"), tmp_path / "covered.mp4"
    cover = make_clip(tmp_path / "cover.avi", Spec(width=32, height=32, pts=(0,), codec="mjpeg", pixel_format="yuvj420p"))
    with av.open(str(cover)) as picture, av.open(str(plain)) as source, av.open(str(path), "w") as target:
        first = target.add_stream_from_template(picture.streams.video[0], opaque=True)
        first.disposition = av.stream.Disposition.attached_pic
        second = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for stream, container in ((first, picture), (second, source)):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    assert probe(path, Limits()).width == 96
