"""The videos of the matrix: what people have, one thing varied at a time, in each container that holds it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from tests.formats.films import FPS, Film, Sound, remuxed
from tests.formats.seen_film import see
from tests.formats.walk import Cell
from tests.video.clips import picture_rgb

FRAGMENTED: Final = "fragmented mp4"
MOVIES: Final = ("mp4", FRAGMENTED, "mov")
CONTAINERS: Final = (*MOVIES, "mkv", "webm", "avi")
FRAGMENTS: Final = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
SRT: Final = "1\n00:00:00,040 --> 00:00:00,120\none\n\n2\n00:00:00,160 --> 00:00:00,200\n<i>two</i>\n"
VTT: Final = "WEBVTT\n\n00:00.040 --> 00:00.120\none\n\n00:00.160 --> 00:00.200\ntwo\n"
ASS: Final = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:00.04,0:00:00.12,Default,,0,0,0,,{\\pos(9,9)}one\nDialogue: 0,0:00:00.16,0:00:00.20,Default,,0,0,0,,two\n"
)
CODECS: Final = {  # FFmpeg's encoders, and the pixel formats that are met
    "libx264": ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"),
    "libx264rgb": ("rgb24",),
    "libx265": ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv420p12le", "yuv444p12le", "gbrp", "gray"),
    "libvpx": ("yuv420p",),
    "libvpx-vp9": ("yuv420p", "yuv422p", "yuv444p", "yuv440p", "gbrp"),
    "libsvtav1": ("yuv420p", "yuv420p10le"),
    "mpeg4": ("yuv420p",),
    "mpeg1video": ("yuv420p",),
    "mpeg2video": ("yuv420p", "yuv422p"),
    "h263": ("yuv420p",),
    "mjpeg": ("yuvj420p", "yuvj422p", "yuvj444p"),
    "prores_ks": ("yuv422p10le", "yuv444p10le", "yuva444p10le"),
    "dnxhd": ("yuv422p",),
    "ffv1": ("yuv420p", "yuv422p10le", "gray", "gray10le", "bgr0", "yuva420p", "gbrp10le", "yuv410p"),
    "huffyuv": ("yuv422p", "rgb24"),
    "utvideo": ("yuv420p", "gbrp"),
    "rawvideo": ("yuv420p", "rgb24", "uyvy422"),
    "v210": ("yuv422p10le",),
    "png": ("rgb24", "rgba"),
    "qtrle": ("rgb24", "argb"),
    "dvvideo": ("yuv420p",),
    "msmpeg4": ("yuv420p",),
    "wmv2": ("yuv420p",),
    "cinepak": ("rgb24",),
    "jpeg2000": ("yuv420p",),
}
NEEDS: Final = {  # by row or group: what its files must carry
    "Tags": "tags",
    "language and title of the pictures": "main video stream",
    "Subtitles": "subtitle",
    "Sound": "audio",
    "chapters": "chapters",
    "time code": "time code",
    "cover, attached": "cover",
    "cover, a stream": "cover",
    "font, attached": "attachment",
    "further video stream": "further video stream",
    "telemetry": "data track",
}
USUAL: Final = {"webm": "libvpx-vp9", "avi": "mpeg4"}  # by container; else H.264


def cells() -> Iterator[Cell]:
    """All of them."""
    for group in (_codecs, _turned, _shapes, _times, _sounds, _captions, _attached, _tags, _light, _moved, _further):
        yield from group()


def _cell(group: str, row: str, container: str, film: Film, target: str = "", make: Callable[[Path], object] | None = None) -> Cell:
    """A film in a container. target: the container that the result is to have, if another; the column names both."""
    suffix = ".mp4" if container == FRAGMENTED else f".{container}"
    if container == FRAGMENTED:
        film = replace(film, muxer_options={**film.muxer_options, **FRAGMENTS})
    column = f"{container} to {target}" if target else container
    return Cell(
        (group, row, column), suffix, f".{target}" if target else suffix, make or film.write, see, NEEDS.get(row, NEEDS.get(group, ""))
    )


def _usual(container: str, **changes: object) -> Film:
    """A film in the codec that its container usually holds."""
    return replace(Film(USUAL.get(container, "libx264")), **changes)


def _codecs() -> Iterator[Cell]:
    for codec, pixel_formats in CODECS.items():
        for pixel_format in pixel_formats:
            for container in CONTAINERS:
                yield _cell("Codecs and pixel formats", f"{codec}, {pixel_format}", container, Film(codec, pixel_format))


def _turned() -> Iterator[Cell]:
    one = 1 << 16
    matrices = {
        "turned by 90 degrees": (0, one, 0, -one, 0, 0, 0, 0, 1 << 30),
        "turned by 180 degrees": (-one, 0, 0, 0, -one, 0, 0, 0, 1 << 30),
        "turned by 270 degrees": (0, -one, 0, one, 0, 0, 0, 0, 1 << 30),
        "mirrored": (-one, 0, 0, 0, one, 0, 0, 0, 1 << 30),
        "upside down, mirrored": (one, 0, 0, 0, -one, 0, 0, 0, 1 << 30),
        "transposed": (0, one, 0, one, 0, 0, 0, 0, 1 << 30),
        "transposed the other way": (0, -one, 0, -one, 0, 0, 0, 0, 1 << 30),
    }
    for row, matrix in matrices.items():

        def configure(_: OutputContainer, stream: VideoStream, matrix: tuple[int, ...] = matrix) -> None:
            stream.set_display_matrix(matrix)

        for container in (*MOVIES, "mkv", "webm"):
            yield _cell("Turned pictures", row, container, _usual(container, configure=configure))
        yield _cell("Turned pictures", row, "mov", Film(configure=configure), "mkv")


def _shapes() -> Iterator[Cell]:
    for ratio in (Fraction(4, 3), Fraction(8, 9), Fraction(16, 11), Fraction(2, 1)):
        for container in CONTAINERS:

            def configure(_: OutputContainer, stream: VideoStream, ratio: Fraction = ratio) -> None:
                stream.codec_context.sample_aspect_ratio = ratio
                stream.sample_aspect_ratio = ratio

            yield _cell(
                "Pixels that are not square", f"{ratio.numerator}:{ratio.denominator}", container, _usual(container, configure=configure)
            )
    for row, options in (("interlaced, top field first", "+ildct+ilme"), ("interlaced, bottom field first", "+ildct+ilme")):
        for container in ("mp4", "mov", "mkv", "avi"):
            x264 = {"flags": options} | ({"x264-params": "bff=1"} if "bottom" in row else {})
            film = Film("mpeg4" if container == "avi" else "libx264", options={"flags": options} if container == "avi" else x264)
            yield _cell("Fields", row, container, film)
        yield _cell("Fields", row, "mp4", Film(options={"flags": options}), "webm")
        yield _cell("Fields", f"{row}, MPEG-2", "mkv", Film("mpeg2video", options={"flags": options}))
    for codec in ("libvpx", "libvpx-vp9"):
        for container, target in (("webm", ""), ("mkv", ""), ("webm", "mkv"), ("webm", "mp4")):

            def transparent(_: OutputContainer, stream: VideoStream) -> None:
                stream.metadata["alpha_mode"] = "1"

            yield _cell("Transparency", codec, container, Film(codec, "yuva420p", configure=transparent), target)


def _times() -> Iterator[Cell]:
    rows: Mapping[str, Film] = {
        "constant rate": Film(),
        "variable rate": Film(pts=(0, 1, 4, 5, 9, 20)),
        "without B-frames": Film(options={"bf": "0"}),
        "three B-frames": Film(options={"bf": "3", "b_strategy": "0"}, pts=tuple(range(12))),
        "one picture": Film(pts=(0,)),
        "begins at 1.5 s": Film(pts=tuple(range(37, 43))),
        "begins at an hour": Film(pts=tuple(range(90_000, 90_006))),
        "begins before 0": Film(pts=tuple(range(-3, 9))),
        "sound begins later": Film(sounds=(Sound("aac", starts=Fraction(1, 5)),), pts=tuple(range(12))),
        "pictures begin later": Film(sounds=(Sound("aac", starts=Fraction(-1, 5)),), pts=tuple(range(10, 22))),
    }
    for row, film in rows.items():
        for container in CONTAINERS:
            own = film.options if container not in USUAL else {}
            sounds = tuple(
                replace(sound, codec="libopus" if container == "webm" else "mp3" if container == "avi" else "aac") for sound in film.sounds
            )
            yield _cell("Times", row, container, replace(film, codec=USUAL.get(container, "libx264"), options=own, sounds=sounds))
        yield _cell("Times", row, "mp4", film, "mkv")
        yield _cell("Times", row, "mkv", film, "mp4")
        yield _cell("Times", row, "mp4", replace(film, sounds=tuple(replace(sound, codec="mp3") for sound in film.sounds)), "avi")
    for container in ("mp4", "mov"):
        for target in ("", "mkv"):
            yield _cell("Times", "an edit list cuts the beginning", container, Film(), target, _trimmed)
            yield _cell("Times", "the last picture is held", container, Film(options={"bf": "0"}, packet=_held), target)
    yield _cell("Times", "the last picture is held", "mkv", Film(options={"bf": "0"}, packet=_held))


def _held(packet: "av.Packet[VideoStream]") -> "av.Packet[VideoStream]":
    packet.duration = FPS if packet.pts == 5 else 1
    return packet


def _trimmed(path: Path) -> None:
    """A second of pictures and sound, of which an edit list hides the first 0.4 s."""
    whole = path.with_name(f"whole{path.suffix}")
    Film(options={"bf": "0"}, pts=tuple(range(25)), sounds=(Sound("aac"),)).write(whole)

    def earlier(packet: "av.Packet[Stream]") -> None:
        ticks = round(Fraction(2, 5) / packet.time_base)
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks

    remuxed(whole, path, earlier)
    whole.unlink()


def _sounds() -> Iterator[Cell]:
    codecs = (
        "aac",
        "mp3",
        "ac3",
        "eac3",
        "libopus",
        "vorbis",
        "flac",
        "alac",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_f32le",
        "mp2",
        "libopencore_amrnb",
        "wmav2",
        "adpcm_ms",
        "adpcm_ima_wav",
        "pcm_mulaw",
    )
    for codec in codecs:
        for container in CONTAINERS:
            yield _cell("Sound", codec, container, _usual(container, sounds=(Sound(codec),)))
    for layout in ("mono", "5.1"):
        for container in CONTAINERS:
            codec = {"webm": "libopus", "avi": "ac3"}.get(container, "aac")
            yield _cell("Sound", f"{layout}", container, _usual(container, sounds=(Sound(codec, layout),)))
    for container in CONTAINERS:
        codec = {"webm": "libopus", "avi": "mp3"}.get(container, "aac")
        two = (Sound(codec, tags={"language": "eng", "title": "Film"}), Sound(codec, tags={"language": "deu", "title": "Kommentar"}))
        yield _cell("Sound", "two tracks with languages and titles", container, _usual(container, sounds=two))


def _captions() -> Iterator[Cell]:
    kinds = {"srt": SRT, "ass": ASS, "webvtt": VTT, "mov_text": "one two", "hdmv_pgs_subtitle": "one two", "dvd_subtitle": "one two"}
    for name, text in kinds.items():
        for container in CONTAINERS:
            yield _cell("Subtitles", name, container, _usual(container, texts=((name, text),)))
        for container, target in (("mkv", "mp4"), ("mp4", "mkv"), ("mkv", "mov"), ("webm", "mkv"), ("mkv", "avi")):
            yield _cell("Subtitles", name, container, _usual(container, texts=((name, text),)), target)


def _cover(target: OutputContainer, _: VideoStream) -> None:
    target.add_attachment("cover.jpg", "image/jpeg", _jpeg())


def _font(target: OutputContainer, _: VideoStream) -> None:
    target.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0" * 9)


def _jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 32, 32, "yuvj420p", Fraction(1)
    picture = av.VideoFrame.from_ndarray(picture_rgb(32, 32, 0), "rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])


def _with_cover_stream(path: Path, container: str) -> None:
    """A cover as MP4 stores it: a stream of one picture."""
    clip = path.with_name(f"clip{path.suffix}")
    _usual(container).write(clip)
    with av.open(str(clip)) as read, av.open(str(path), "w") as written:
        copy = written.add_stream_from_template(read.streams.video[0], opaque=True)
        cover = written.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
        packet = av.Packet(_jpeg())
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.is_keyframe = cover, Fraction(1, 90_000), 0, 0, True
        written.mux(packet)
    clip.unlink()


def _telemetry(target: OutputContainer, _: VideoStream) -> None:
    track = target.add_data_stream("bin_data")
    track.time_base = Fraction(1, 1000)


def _telemetry_samples(target: OutputContainer) -> None:
    for index in range(3):
        packet = av.Packet(b"DEVC" + bytes([index] * 20))
        packet.stream, packet.time_base, packet.duration = target.streams[1], Fraction(1, 1000), 80
        packet.pts = packet.dts = 80 * index
        target.mux(packet)


def _second_video(path: Path, container: str) -> None:
    clip = path.with_name(f"clip{path.suffix}")
    _usual(container).write(clip)
    with av.open(str(clip)) as read, av.open(str(path), "w") as written:
        copies = [written.add_stream_from_template(read.streams.video[0], opaque=True) for _ in range(2)]
        for packet in read.demux(video=0):
            for copy in copies if packet.size else ():
                twin = av.Packet(bytes(packet))
                twin.pts, twin.dts, twin.time_base, twin.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
                twin.stream = copy
                written.mux(twin)
    clip.unlink()


def _chapters(target: OutputContainer, _: VideoStream) -> None:
    base = Fraction(1, 1000)
    target.set_chapters(
        [
            {"id": 1, "start": 0, "end": 120, "time_base": base, "metadata": {"title": "Anfang"}},
            {"id": 2, "start": 120, "end": 240, "time_base": base, "metadata": {"title": "Ende"}},
        ]
    )


def _attached() -> Iterator[Cell]:
    group = "Tracks beside the pictures"
    pairs = [
        *((container, "") for container in CONTAINERS),
        ("mkv", "mp4"),
        ("mp4", "mkv"),
        ("mkv", "webm"),
        ("mov", "mp4"),
        ("mkv", "avi"),
    ]
    for container, target in pairs:
        film = partial(_usual, "webm" if "webm" in (container, target) else container)
        yield _cell(group, "chapters", container, film(configure=_chapters), target)
        yield _cell(group, "time code", container, film(configure=lambda _, stream: stream.metadata.update(timecode="01:02:03:04")), target)
        if container in ("mkv", "webm"):
            yield _cell(group, "cover, attached", container, film(configure=_cover), target)
            yield _cell(group, "font, attached", container, film(configure=_font), target)
        else:
            yield _cell(group, "cover, a stream", container, Film(), target, partial(_with_cover_stream, container=container))
        yield _cell(group, "further video stream", container, Film(), target, partial(_second_video, container=container))
        if container in MOVIES:
            yield _cell(group, "telemetry", container, film(configure=_telemetry, finish=_telemetry_samples), target)


def _tags() -> Iterator[Cell]:
    rows: Mapping[str, Mapping[str, str]] = {
        "title, artist, comment, date": {"title": "A film", "artist": "Me", "comment": "Nothing", "date": "2026-01-02"},
        "copyright, genre, album, track": {"copyright": "Me", "genre": "Test", "album": "All", "track": "3"},
        "creation time": {"creation_time": "2026-01-02T03:04:05.000000Z"},
        "place": {"location": "+48.2082+016.3738/"},
        "keys of a phone": {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.location.ISO6709": "+48.2082+016.3738/"},
        "a key of one's own": {"my_key": "my value"},
        "in another script": {"title": "фильм 電影 🎬", "comment": "äöü"},
    }
    pairs = [
        *((container, "") for container in CONTAINERS),
        ("mkv", "mp4"),
        ("mp4", "mkv"),
        ("mp4", "mov"),
        ("mkv", "webm"),
        ("mp4", "avi"),
    ]
    for row, tags in rows.items():
        for container, target in pairs:
            own = {"movflags": "use_metadata_tags"} if container in MOVIES and row in ("keys of a phone", "a key of one's own") else {}
            film = _usual("webm" if target == "webm" else container, configure=lambda target, _, tags=tags: target.metadata.update(tags))
            yield _cell("Tags", row, container, replace(film, muxer_options=own), target)
    for container, target in pairs:
        of_stream = {"language": "fra", "title": "Image", "handler_name": "My handler"}
        film = _usual("webm" if target == "webm" else container, configure=lambda _, stream, tags=of_stream: stream.metadata.update(tags))
        yield _cell("Tags", "language and title of the pictures", container, film, target)


MASTER: Final = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10: Final = {
    "libx265": {"x265-params": f"log-level=none:master-display={MASTER}:max-cll=1000,400"},
    "libx264": {"x264-params": f"mastering-display={MASTER}:cll=1000,400"},
    "libsvtav1": {
        "preset": "12",
        "svtav1-params": "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400",
    },
}


def _colours(range_: int, matrix: int, primaries: int, transfer: int) -> Callable[[OutputContainer, VideoStream], None]:
    def configure(_: OutputContainer, stream: VideoStream) -> None:
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = range_, matrix, primaries, transfer

    return configure


def _light() -> Iterator[Cell]:
    group = "Colour, HDR and captions in the pictures"
    rows = {
        "BT.601, limited range": (1, 6, 6, 6),
        "BT.709, limited range": (1, 1, 1, 1),
        "BT.709, full range": (2, 1, 1, 1),
        "BT.2020, PQ": (1, 9, 9, 16),
        "BT.2020, HLG": (1, 9, 9, 18),
        "Display P3": (1, 1, 12, 1),
    }
    for row, numbers in rows.items():
        deep = "BT.2020" in row
        for codec, container in (
            ("libx264", "mp4"),
            ("libx265", "mp4"),
            ("libx265", "mov"),
            ("libx264", "mkv"),
            ("libvpx-vp9", "webm"),
            ("libsvtav1", "webm"),
            ("mpeg4", "avi"),
        ):
            form = "yuv420p10le" if deep and codec in ("libx264", "libx265", "libsvtav1") else "yuv420p"
            cell = _cell(group, row, container, Film(codec, form, configure=_colours(*numbers)))
            yield replace(cell, place=(group, row, f"{container} with {codec}"))
    for codec, options in HDR10.items():
        for container, target in (("mp4", ""), ("mkv", ""), ("mov", ""), ("webm", ""), ("mp4", "mkv"), ("mkv", "webm")):
            film = Film(codec, "yuv420p10le", options=options, configure=_colours(1, 9, 9, 16))
            yield _cell(group, f"HDR10 metadata, {codec}", container, film, target)
    for codec in ("libx264", "libx265"):
        for container, target in (("mp4", ""), ("mov", ""), ("mkv", ""), ("avi", ""), ("mp4", "mkv"), ("mp4", "webm")):
            film = Film(codec, packet=partial(captioned, codec), options={"bf": "0"})
            yield _cell(group, f"closed captions, {codec}", container, film, target)
            film = replace(film, packet=partial(captioned, codec, pairs=LETTERS))
            yield _cell(group, f"closed captions with letters, {codec}", container, film, target)


LETTERS: Final = (b"\x94\x20", b"\x94\x70", b"\xc8\xe9", b"\x94\x2f", b"\x80\x80", b"\x94\x2c")  # by picture: "Hi" is loaded, shown, erased


def captioned(codec: str, packet: "av.Packet[VideoStream]", pairs: Sequence[bytes] = ()) -> "av.Packet[VideoStream]":
    """The packet with an SEI unit before it that holds two bytes of CEA-608, by default such as nobody reads."""
    pair = pairs[packet.pts] if pairs else bytes([0x80 | (packet.pts & 63), 0x80])
    captions = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + pair + b"\xff"
    header = b"\x06" if codec == "libx264" else b"\x4e\x01"
    unit = header + bytes([4, len(captions)]) + captions + b"\x80"
    copy = av.Packet(b"\0\0\0\1" + unit + bytes(packet))
    copy.pts, copy.dts, copy.time_base, copy.is_keyframe, copy.duration = packet.pts, packet.dts, packet.time_base, packet.is_keyframe, 1
    return copy


def _moved() -> Iterator[Cell]:
    films = {
        "H.264 and AAC": Film(sounds=(Sound("aac"),)),
        "HEVC and AC-3": Film("libx265", sounds=(Sound("ac3"),)),
        "VP9 and Opus": Film("libvpx-vp9", sounds=(Sound("libopus"),)),
        "AV1 and Opus": Film("libsvtav1", sounds=(Sound("libopus"),)),
        "MPEG-4 and MP3": Film("mpeg4", sounds=(Sound("mp3"),)),
        "H.264 and PCM": Film(sounds=(Sound("pcm_s16le"),)),
        "FFV1 and FLAC": Film("ffv1", "yuv422p10le", sounds=(Sound("flac"),)),
        "ProRes and PCM": Film("prores_ks", "yuv422p10le", sounds=(Sound("pcm_s24le"),)),
        "MJPEG and PCM": Film("mjpeg", "yuvj422p", sounds=(Sound("pcm_s16le"),)),
    }
    for row, film in films.items():
        for container in ("mp4", "mov", "mkv", "webm", "avi"):
            for target in ("mp4", "mov", "mkv", "webm", "avi"):
                if container != target:
                    yield _cell("Into another container", row, container, film, target)


def _further() -> Iterator[Cell]:
    """Other containers that people send, and the telephones' own."""
    group = "Further containers"
    for row, film in {
        "H.264 and AAC": Film(sounds=(Sound("aac"),)),
        "H.263 and AMR": Film("h263", sounds=(Sound("libopencore_amrnb"),)),
    }.items():
        yield _cell(group, row, "3gp", film)
        yield _cell(group, row, "3gp", film, "mp4")
    yield _cell(group, "H.264 and AAC", "m4v", Film(sounds=(Sound("aac"),), muxer="mp4"))
    others = {
        "ts": Film(sounds=(Sound("aac"),), muxer="mpegts"),
        "m2ts": Film(sounds=(Sound("ac3"),), muxer="mpegts", muxer_options={"mpegts_m2ts_mode": "1"}),
        "mpg": Film("mpeg2video", sounds=(Sound("mp2"),), muxer="mpeg"),
        "flv": Film(sounds=(Sound("aac"),), muxer="flv"),
        "wmv": Film("wmv2", muxer="asf"),
        "ogg": Film("vp8", sounds=(Sound("vorbis"),), muxer="ogg"),
    }
    for container, film in others.items():
        yield _cell(group, "what such files hold", container, film)
