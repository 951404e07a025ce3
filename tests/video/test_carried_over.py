"""What a video carries besides its pixels comes back: durations, tags, tracks, captions, fields, transparency. PyAV is the oracle."""

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.stream import VideoStream

from service.errors import CleanplateError, UnsupportedFormat
from service.inference import fake
from service.media import container_of_head
from service.pipeline.io import mux
from service.pipeline.io.aspect_ratio import SEEK_HEAD, SEEK_POSITION
from service.pipeline.io.codec import encoder_options, kept_in_pictures
from service.pipeline.io.pixels import PIXEL_FORMATS, frame_of, planes_of
from service.pipeline.io.probe import probe
from service.pipeline.io.tags import SEGMENT, elements
from service.pipeline.request import Request
from service.pipeline.run import Progress, clean
from service.pipeline.video import Colour, Limits, Part, VideoInfo
from service.timed_box import parse_box
from tests.video.clips import Spec, make_clip, picture_rgb, read_packets, read_times
from tests.video.test_encode import X265, described, transcode

LIMITS = Limits()
NETWORKS = fake.networks()
BOX = Request(detect=False, boxes=(parse_box("30,20,60,40"),))
UNMARKED = Request(detect=False)
WIDTH, HEIGHT = 96, 64


def write(
    path: Path,
    codec: str = "libx264",
    pts: range | tuple[int, ...] = range(12),
    *,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    configure: Callable[[OutputContainer, VideoStream], object] = lambda *_: None,
    packet: Callable[["av.Packet[VideoStream]"], "av.Packet[VideoStream]"] = lambda packet: packet,
) -> Path:
    """A clip at 25 Hz; `configure` sees the file before its header is written, `packet` each packet before it is muxed."""
    with av.open(str(path), "w", container_options=container_options or {}) as target:
        stream = target.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        configure(target, stream)
        for packets in encoded(stream, pixel_format, pts):
            for item in packets:
                changed = packet(item)
                changed.stream = stream
                target.mux(changed)
    return path


def encoded(stream: VideoStream, pixel_format: str, pts: range | tuple[int, ...]) -> Iterator[list["av.Packet[VideoStream]"]]:
    for index, at in enumerate(pts):
        frame = av.VideoFrame.from_ndarray(picture_rgb(WIDTH, HEIGHT, index), "rgb24").reformat(format=pixel_format)
        frame.pts, frame.time_base = at, Fraction(1, 25)
        yield stream.encode(frame)
    yield stream.encode(None)


def with_payload(packet: "av.Packet[VideoStream]", payload: bytes) -> "av.Packet[VideoStream]":
    copy = av.Packet(payload)
    copy.pts, copy.dts, copy.time_base, copy.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
    return copy


# How long the pictures are shown


@pytest.mark.parametrize(
    ("source", "target", "codec"),
    [
        ("source.mp4", "target.mp4", "libx264"),
        ("source.mov", "target.mkv", "libx264"),
        ("source.mkv", "target.mkv", "libx264"),
        ("source.webm", "target.webm", "libvpx-vp9"),
        ("source.webm", "target.mp4", "libvpx-vp9"),
    ],
)
def test_the_last_picture_is_held_as_long(tmp_path: Path, source: str, target: str, codec: str) -> None:
    def hold(packet: "av.Packet[VideoStream]") -> "av.Packet[VideoStream]":
        packet.duration = 125 if packet.pts == 7 * 12 else 12
        return packet

    options = {"bf": "0"} if codec == "libx264" else {"lag-in-frames": "0"}
    clip = write(tmp_path / source, codec, tuple(12 * i for i in range(8)), options=options, packet=hold)
    transcode(clip, tmp_path / target)
    seconds = Fraction(7 * 12 + 125, 25)
    with av.open(str(tmp_path / target)) as written:
        assert written.duration == pytest.approx(1e6 * float(seconds), abs=1000)
    assert probe(clip, LIMITS).duration_seconds == probe(tmp_path / target, LIMITS).duration_seconds == pytest.approx(float(seconds))


def test_the_last_picture_of_a_part_is_not_held_until_the_end_of_the_whole(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", Spec(pts=range(25)))
    clean(source, tmp_path / "target.mp4", UNMARKED, NETWORKS, part=Part(0.2, 0.4))
    with av.open(str(tmp_path / "target.mp4")) as written:
        assert written.duration == pytest.approx(0.4e6, abs=1000)


def test_times_that_begin_late_are_kept(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mkv", Spec(pts=range(3_000_000, 3_000_480, 40), time_base=Fraction(1, 1000)))
    transcode(source, tmp_path / "target.mkv")
    assert read_times(tmp_path / "target.mkv") == read_times(source)
    assert read_times(source)[0] == 3000


def trimmed_clip(path: Path, seconds: Fraction = Fraction(1, 2)) -> Path:
    """A clip of 1 s with sound, of which an edit list hides the first half: inside a group of pictures, and inside a packet of sound."""
    whole = make_clip(path.with_name("whole.mp4"), Spec(pts=range(25), audio="aac", options=(("bf", "0"),)))
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    return path


@pytest.mark.parametrize("request_", [BOX, UNMARKED], ids=["encoded", "copied"])
@pytest.mark.parametrize("name", ["target.mp4", "target.mov", "target.mkv"])
def test_what_an_edit_list_hides_does_not_return(tmp_path: Path, name: str, request_: Request) -> None:
    source, target = trimmed_clip(tmp_path / "source.mp4"), tmp_path / name
    clean(source, target, request_, NETWORKS)
    pictures, sounds = shown(source, "video"), shown(source, "audio")
    new_pictures, new_sounds = shown(target, "video"), shown(target, "audio")
    assert len(new_pictures) == len(pictures) == 13  # pictures 12 to 24 of 25
    assert new_pictures[0] < Fraction(1, 40)  # at most a packet of sound that begins before it
    lag_before, lag_after = pictures[0] - sounds[0], new_pictures[0] - new_sounds[0]
    assert abs(lag_before - lag_after) <= Fraction(1, 1000)
    assert abs(len(new_sounds) - len(sounds)) <= 1


def shown(path: Path, kind: str) -> list[Fraction]:
    """The times of the packets of a kind that are presented, in order."""
    with av.open(str(path)) as source:
        packets = source.demux(getattr(source.streams, kind)[0])
        return sorted(packet.pts * packet.time_base for packet in packets if packet.size and not packet.is_discard)


# How the stream is stored


@pytest.mark.parametrize(
    ("name", "tag", "expected"), [("source.mp4", "hvc1", "hvc1"), ("source.mp4", "hev1", "hev1"), ("source.mkv", "", "hvc1")]
)
def test_hevc_keeps_its_tag_and_gets_the_one_that_plays_everywhere(tmp_path: Path, name: str, tag: str, expected: str) -> None:
    def configure(_: OutputContainer, stream: VideoStream) -> None:
        if tag:
            stream.codec_context.codec_tag = tag

    source = write(tmp_path / name, "libx265", range(4), options=dict(X265), configure=configure)
    transcode(source, tmp_path / "target.mp4")
    with av.open(str(tmp_path / "target.mp4")) as written:
        assert written.streams.video[0].codec_context.codec_tag == expected


def test_x264_does_not_cut_pictures_into_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mux, "THREADS", 4)
    source = make_clip(tmp_path / "source.mp4", Spec(width=320, height=320))
    colour = Colour(full_range=False, matrix=1, primaries=1, transfer=1)
    info = VideoInfo(320, 320, 1, PIXEL_FORMATS["yuv420p"], colour, Fraction(1, 25), Fraction(25), 0.5, 12, "h264", "mp4", 1, 10**6)
    with av.open(str(source)) as read, mux.open_target(tmp_path / "target.mp4", "mp4", info.time_base) as target:
        stream = mux.add_encoded_stream(target, info, encoder_options(info, ".mp4"), read.streams.video[0])
        for index, frame in enumerate(read.decode(video=0)):
            picture = frame_of(planes_of(frame, info.pixel_format), info.pixel_format)
            picture.pts = index
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    with av.open(str(tmp_path / "target.mp4")) as written:
        for packet in written.demux(video=0):
            assert sum(kind in (1, 5) for kind in nal_kinds(bytes(packet))) == (packet.size > 0)


def nal_kinds(data: bytes) -> Iterator[int]:
    """The types of the units of an H.264 packet in MP4."""
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4] & 31
        data = data[4 + size :]


# Other tracks, tags and covers


def test_apples_keys_are_kept(tmp_path: Path) -> None:
    keys = {"com.apple.quicktime.location.ISO6709": "+48.2082+016.3738/", "com.apple.quicktime.make": "Apple", "title": "A film"}
    source = write(
        tmp_path / "source.mov",
        container_options={"movflags": "use_metadata_tags"},
        configure=lambda target, _: target.metadata.update(keys),
    )
    transcode(source, tmp_path / "target.mov")
    with av.open(str(tmp_path / "target.mov")) as written:
        assert keys.items() <= written.metadata.items()


def test_a_time_code_track_is_written_anew(tmp_path: Path) -> None:
    source = write(tmp_path / "source.mov", configure=lambda _, stream: stream.metadata.update(timecode="01:02:03:04"))
    assert not probe(source, LIMITS).carries
    transcode(source, tmp_path / "target.mov")
    with av.open(str(tmp_path / "target.mov")) as written:
        assert written.streams.data[0].metadata["timecode"] == "01:02:03:04"


@pytest.mark.parametrize("name", ["target.mp4", "target.mov"])
def test_telemetry_is_copied(tmp_path: Path, name: str) -> None:
    source, samples = tmp_path / "source.mp4", [b"DEVC" + bytes([i] * 20) for i in range(4)]
    with av.open(str(source), "w") as target:
        video = target.add_stream("libx264", rate=25)
        video.width, video.height = WIDTH, HEIGHT
        track = target.add_data_stream("bin_data")
        track.time_base = Fraction(1, 1000)
        mux.start_encoders(target)
        for packets in encoded(video, "yuv420p", range(12)):
            target.mux(packets)
        for index, sample in enumerate(samples):
            packet = av.Packet(sample)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.duration = 100
            packet.pts = packet.dts = 100 * index
            target.mux(packet)
    transcode(source, tmp_path / name)
    assert [content for content, _ in read_packets(tmp_path / name, "data")] == samples


def jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 32, 32, "yuvj420p", Fraction(1)
    frame = av.VideoFrame.from_ndarray(picture_rgb(32, 32, 0), "rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def attach(target: OutputContainer, _: VideoStream) -> None:
    target.add_attachment("front.jpg", "image/jpeg", jpeg())
    target.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0" * 9)
    target.add_attachment("note.txt", "text/plain", b"hello")


@pytest.mark.parametrize("request_", [BOX, UNMARKED], ids=["encoded", "copied"])
def test_covers_and_attachments_stay_what_they_are(tmp_path: Path, request_: Request) -> None:
    source = write(tmp_path / "source.mkv", configure=attach)
    clean(source, tmp_path / "target.mkv", request_, NETWORKS)
    with av.open(str(tmp_path / "target.mkv")) as written:
        assert [stream.disposition & Disposition.attached_pic for stream in written.streams.video] == [0, Disposition.attached_pic]
        assert bytes(next(written.demux(written.streams.video[1]))) == jpeg()
        assert [(item.name, item.data) for item in written.streams.attachments] == [("font.ttf", b"\0\1\0\0" * 9), ("note.txt", b"hello")]


def test_a_cover_stays_one_in_mp4(tmp_path: Path) -> None:
    transcode(write(tmp_path / "source.mkv", configure=attach), tmp_path / "target.mp4")
    with av.open(str(tmp_path / "target.mp4")) as written:
        assert written.streams.video[1].disposition & Disposition.attached_pic


def test_another_video_stream_is_not_copied_with_its_mark(tmp_path: Path) -> None:
    clip, source = make_clip(tmp_path / "clip.mp4"), tmp_path / "source.mkv"
    with av.open(str(clip)) as read, av.open(str(source), "w") as target:
        copies = [target.add_stream_from_template(read.streams.video[0], opaque=True) for _ in range(2)]
        for packet in read.demux(video=0):
            for copy in copies if packet.size else ():
                twin = with_payload(packet, bytes(packet))
                twin.stream = copy
                target.mux(twin)
    assert [part.kind for part in probe(source, LIMITS).carries] == ["video"]
    transcode(source, tmp_path / "target.mkv")
    with av.open(str(tmp_path / "target.mkv")) as written:
        assert len(written.streams.video) == 1


@pytest.mark.parametrize(("source", "target", "codec"), [("source.mkv", "target.mp4", "subrip"), ("source.mp4", "target.mkv", "mov_text")])
def test_captions_that_are_text_move_into_another_container(tmp_path: Path, source: str, target: str, codec: str) -> None:
    clip = make_clip(tmp_path / source, Spec(subtitles=codec))
    transcode(clip, tmp_path / target)
    with av.open(str(tmp_path / target)) as written:
        stream = written.streams.subtitles[0]
        found = [(packet.pts * packet.time_base, text) for packet in written.demux(stream) for text in texts(packet)]
    assert found == [(Fraction(1, 10), b"one"), (Fraction(2, 5), b"two")]


def texts(packet: "av.Packet[av.subtitles.stream.SubtitleStream]") -> list[bytes]:
    return [caption.dialogue for caption in packet.decode()] if packet.size else []


# What is in or around the coded pictures


def insert_box(data: bytes, path: tuple[bytes, ...], box: bytes) -> bytes:
    """Append a box to the one at the end of a path of names, in an MP4 whose index comes last."""
    start = data.index(path[0]) - 4
    places = []
    for name in path:
        start = data.index(name, start + 4 if places else start) - 4
        places.append(start)
    end = places[-1] + int.from_bytes(data[places[-1] : places[-1] + 4], "big")
    data = data[:end] + box + data[end:]
    for place in places:
        size = int.from_bytes(data[place : place + 4], "big") + len(box)
        data = data[:place] + size.to_bytes(4, "big") + data[place + 4 :]
    return data


MOVIE_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")


@pytest.mark.parametrize("request_", [BOX, UNMARKED], ids=["encoded", "copied"])
def test_hidden_edges_stay_hidden(tmp_path: Path, request_: Request) -> None:
    """The aperture leaves 80x48 of 96x64 pixels, 4 to the left and 2 above the middle."""
    source, target = write(tmp_path / "source.mp4"), tmp_path / "target.mkv"
    aperture = struct.pack(">I4sIIIIiIiI", 40, b"clap", 80, 1, 48, 1, -4, 1, -2, 1)
    source.write_bytes(insert_box(source.read_bytes(), MOVIE_PATH, aperture))
    info = probe(source, LIMITS)
    assert (info.width, info.height) == (80, 48)
    clean(source, target, request_, NETWORKS)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        old = next(before.decode(video=0)).to_ndarray(format="gray")[6:54, 4:84]
        new = next(after.decode(video=0)).to_ndarray(format="gray")
    assert new.shape == (48, 80)
    outside = np.ones_like(new, bool)
    outside[16:44, 24:66] = request_ is UNMARKED
    assert np.abs(new.astype(int) - old)[outside].mean() < 3


def test_hidden_edges_of_matroska_stay_hidden(tmp_path: Path) -> None:
    cropped, source, target = write(tmp_path / "cropped.mp4"), tmp_path / "source.mkv", tmp_path / "target.mkv"
    aperture = struct.pack(">I4sIIIIiIiI", 40, b"clap", 80, 1, 48, 1, -4, 1, -2, 1)
    cropped.write_bytes(insert_box(cropped.read_bytes(), MOVIE_PATH, aperture))
    with av.open(str(cropped)) as read, av.open(str(source), "w") as written:  # which FFmpeg writes as PixelCrop
        copy = written.add_stream_from_template(read.streams.video[0], opaque=True)
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
    transcode(source, target)
    info = probe(target, LIMITS)
    assert (info.width, info.height, info.crop) == (80, 48, None)


MASTER = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize(("name", "codec"), [("source.mp4", "libx265"), ("source.mkv", "libx264"), ("source.webm", "libsvtav1")])
def test_hdr10s_metadata_are_kept(tmp_path: Path, name: str, codec: str) -> None:
    options = {
        "libx265": {"x265-params": f"log-level=none:master-display={MASTER}:max-cll=1000,400"},
        "libx264": {"x264-params": f"mastering-display={MASTER}:cll=1000,400"},
        "libsvtav1": {
            "preset": "12",
            "svtav1-params": "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400",
        },
    }
    source = write(tmp_path / name, codec, range(4), pixel_format="yuv420p10le", options=options[codec])
    transcode(source, target := tmp_path / f"target{source.suffix}")
    info = probe(target, LIMITS)
    assert info.hdr10.mastering == pytest.approx((13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10**7, 50), abs=2)
    assert info.hdr10.light == (1000, 400)


def caption_unit(codec: str, index: int) -> bytes:
    """An SEI unit with CEA-708 data for one picture, after a start code."""
    captions = b"\xb5\x00\x31GA94\x03" + bytes([0x41, 0xFF, 0xFC, 0x80 | index, 0x80 | index, 0xFF])
    header = b"\x06" if codec == "libx264" else b"\x4e\x01"
    return b"\0\0\0\1" + header + bytes([4, len(captions)]) + captions + b"\x80"


@pytest.mark.parametrize(("codec", "options"), [("libx264", {}), ("libx265", dict(X265))])
def test_captions_inside_the_pictures_are_kept(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    def caption(packet: "av.Packet[VideoStream]") -> "av.Packet[VideoStream]":
        return with_payload(packet, caption_unit(codec, packet.pts) + bytes(packet))

    source = write(tmp_path / "source.mp4", codec, options=options, packet=caption)
    transcode(source, tmp_path / "target.mp4")
    stated = [bytes([0xFC, 0x80 | i, 0x80 | i]) for i in range(12)]
    assert [captions_of(frame) for frame in frames_of(source)] == stated
    assert [captions_of(frame) for frame in frames_of(tmp_path / "target.mp4")] == stated


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as source:
        return list(source.decode(video=0))


def captions_of(frame: av.VideoFrame) -> bytes:
    return bytes(frame.side_data[Type.A53_CC])


def test_what_new_pictures_do_not_hold_can_be_told() -> None:
    everything = {"closed captions", "HDR10 mastering display", "HDR10 light level"}
    assert kept_in_pictures(described("hevc"), ".mp4") == everything
    assert kept_in_pictures(described("av1"), ".webm") == everything - {"closed captions"}
    assert kept_in_pictures(described("vp9"), ".webm") == frozenset()


@pytest.mark.parametrize("name", ["source.mp4", "source.mkv", "source.mov"])
def test_interlaced_pictures_stay_interlaced(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name, options={"flags": "+ildct+ilme"})
    transcode(source, target := tmp_path / f"target{source.suffix}")
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.streams.video[0].codec_context.field_order == before.streams.video[0].codec_context.field_order
    assert all(frame.interlaced_frame for frame in frames_of(source))
    assert all(frame.interlaced_frame for frame in frames_of(target))


def test_interlaced_pictures_are_refused_where_they_would_become_progressive(tmp_path: Path) -> None:
    source = write(tmp_path / "source.mp4", options={"flags": "+ildct+ilme"})
    assert_refused_at_once(source, tmp_path / "target.webm", "interlaced.*deinterlace")


def alpha_clip(path: Path, codec: str = "libvpx-vp9") -> Path:
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=25, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for index in range(6):
            rgba = np.dstack([picture_rgb(WIDTH, HEIGHT, index), np.full((HEIGHT, WIDTH), 40 * index, np.uint8)])
            target.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="yuva420p")))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparency_is_kept(tmp_path: Path, codec: str) -> None:
    source, target = alpha_clip(tmp_path / "source.webm", codec), tmp_path / "target.webm"
    clean(source, target, BOX, NETWORKS)
    assert mean_alpha(target, codec) == pytest.approx([40 * i for i in range(6)], abs=3)
    assert probe(target, LIMITS).alpha


def mean_alpha(path: Path, codec: str) -> list[float]:
    context = av.CodecContext.create(codec, "r")
    with av.open(str(path)) as source:
        frames = [frame for packet in source.demux(video=0) for frame in context.decode(packet)]
    return [float(np.frombuffer(memoryview(frame.planes[3]), np.uint8).reshape(HEIGHT, -1)[:, :WIDTH].mean()) for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec"), [("target.webm", "libvpx-vp9"), ("target.mkv", "libvpx-vp9"), ("target.mkv", "libsvtav1"), ("target.mkv", "libx264")]
)
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, name: str, codec: str) -> None:
    options = (("preset", "12"),) if codec == "libsvtav1" else ()
    source = make_clip(tmp_path / "source.mp4", Spec(codec=codec, options=options, aspect=Fraction(4, 3)))
    assert probe(source, LIMITS).sample_aspect_ratio == Fraction(4, 3)
    transcode(source, tmp_path / name)
    with av.open(str(tmp_path / name)) as written:
        assert written.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert probe(tmp_path / name, LIMITS).codec == probe(source, LIMITS).codec
    assert_places_are_right(tmp_path / name)
    assert read_times(tmp_path / name) == [Fraction(40 * i, 1000) for i in range(12)]


def assert_places_are_right(path: Path) -> None:
    """Each entry of the list of places at the start of a Matroska file names what lies there."""
    data, found = path.read_bytes(), 0
    with path.open("rb") as file:
        (segment,) = (first for name, _, first, _ in elements(file, 0, len(data)) if name == SEGMENT)
        places = next((first, last) for name, _, first, last in elements(file, segment, len(data)) if name == SEEK_HEAD)
        for _, _, first, last in elements(file, *places):
            fields = {name: data[start:stop] for name, _, start, stop in elements(file, first, last)}
            if SEEK_POSITION in fields:
                at, found = segment + int.from_bytes(fields[SEEK_POSITION], "big"), found + 1
                assert data[at:].startswith(fields[SEEK_ID])
    assert found >= 3


SEEK_ID = 0x53AB

# What cannot be kept is refused before any work


def assert_refused_at_once(source: Path, target: Path, message: str, kind: type[CleanplateError] = CleanplateError) -> None:
    steps: list[Progress] = []
    with pytest.raises(kind, match=message):
        clean(source, target, BOX, NETWORKS, on_progress=steps.append)
    assert not steps
    assert not target.exists()


def test_transparency_is_refused_where_it_would_be_lost(tmp_path: Path) -> None:
    source = alpha_clip(tmp_path / "source.webm")
    assert_refused_at_once(source, tmp_path / "target.mp4", "transparent", UnsupportedFormat)


def test_a_target_that_cannot_hold_the_sound_is_refused_at_once(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", Spec(pts=range(3), audio="aac"))
    assert_refused_at_once(source, tmp_path / "target.webm", "aac")
    assert_refused_at_once(source, tmp_path / "target.gif", r"\.gif")


def test_a_telephones_3gp_is_cleaned(tmp_path: Path) -> None:
    source = write(tmp_path / "source.3gp")
    clean(source, tmp_path / "target.3gp", BOX, NETWORKS)
    with av.open(str(tmp_path / "target.3gp")) as written:
        assert written.metadata["major_brand"].startswith("3gp")
        assert len(list(written.decode(video=0))) == 12


def test_an_m2ts_is_refused_by_name() -> None:
    packet = b"\0\0\0\0\x47" + bytes(187)
    with pytest.raises(UnsupportedFormat, match="transport stream"):
        container_of_head((packet * 2)[:256])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "expected"),
    [("source.mkv", "ffv1", "gray", "yuv420p"), ("source.avi", "dvvideo", "yuv411p", "yuv422p")],
)
def test_pixels_that_no_encoder_takes_are_widened(tmp_path: Path, name: str, codec: str, pixel_format: str, expected: str) -> None:
    source = tmp_path / name
    width, height = (720, 480) if codec == "dvvideo" else (WIDTH, HEIGHT)
    with av.open(str(source), "w") as target:
        stream = target.add_stream(codec, rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        for index in range(3):
            picture = av.VideoFrame.from_ndarray(picture_rgb(width, height, index), "rgb24")
            target.mux(stream.encode(picture.reformat(format=pixel_format)))
        target.mux(stream.encode(None))
    info = transcode(source, tmp_path / "target.mkv")
    assert info.pixel_format.name == expected
    before, after = (luma(frames_of(path)[0]) for path in (source, tmp_path / "target.mkv"))
    assert np.abs(before - after).mean() < 4


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)
