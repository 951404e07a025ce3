"""What a video shows and carries, as PyAV reads it: the oracle that says whether a result still has what its source had."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

MUXERS_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder", "software"}  # tags that say who wrote the file
STREAMS_OWN = {"encoder", "vendor_id", "handler_name", "duration"}  # tags of streams that a muxer fills in by itself
STATISTICS = ("bps", "number_of_", "_statistics_", "duration")
USUAL_HANDLERS = ("", "VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler")
SAMPLES_OF = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuyv422": "yuv422p", "uyvy422": "yuv422p"}
RGB: Final = dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr", "gbrp"), "RGB")
SIDE_DATA = {
    Type.A53_CC: "closed captions",
    Type.MASTERING_DISPLAY_METADATA: "HDR10 mastering display",
    Type.CONTENT_LIGHT_LEVEL: "HDR10 light level",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
}
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
TIME_TOLERANCE = Fraction(1, 1000)
LIMITED, UNSPECIFIED = 1, 2


@dataclass(frozen=True)
class Seen:
    """A file as a person and a program meet it. size: upright, in pixels. traits: by name, comparable. pictures: brightness, (n, h, w)."""

    size: tuple[int, int]
    traits: Mapping[str, object]
    pictures: NDArray[np.float32]
    times: tuple[Fraction, ...] = ()


def see(path: Path) -> Seen:
    """Read a whole video."""
    with av.open(str(path), metadata_errors="replace") as source:
        main = next(stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic)
        streams = _streams(source, main)
        chapters = [(_seconds(each["start"], each), _seconds(each["end"], each), each["metadata"]) for each in source.chapters()]
        tags = _tags(source.metadata, MUXERS_OWN)
        own = _tags(main.metadata, STREAMS_OWN)
        length = Fraction(main.duration or 0) * (main.time_base or 1) or Fraction(source.duration or 0, av.time_base)
        is_avi = source.format.name == "avi"
    frames = list(_frames(path))
    first = frames[0]
    matrix = tuple(memoryview(first.side_data[Type.DISPLAYMATRIX]).cast("i")) if Type.DISPLAYMATRIX in first.side_data else ()
    times = tuple((frame.pts or 0) * Fraction(frame.time_base) for frame in frames)
    turned = bool(matrix and matrix[0] == 0)
    traits = {
        "pictures": (main.codec_context.codec.canonical_name, _format(first)),
        "codec tag": main.codec_context.codec_tag if main.codec_context.name == "hevc" else "",
        "rotation": matrix if matrix[:5] != (65536, 0, 0, 0, 65536) else (),
        "pixel aspect": main.sample_aspect_ratio or Fraction(1),
        "colour": _colour(first),
        "fields": (first.interlaced_frame, first.interlaced_frame and main.codec_context.field_order),
        "number of pictures": len(frames),
        "times": () if is_avi else times,
        "length": Fraction(0) if is_avi else length,
        "transparency": _alpha(path, main),
        "chapters": tuple((start, end, tuple(sorted(texts.items()))) for start, end, texts in chapters),
        "tags": tags,
        "main video stream": own,
        "XMP": _xmp(path),
        **streams,
        **_side_data(frames),
    }
    height, width = first.height, first.width
    pictures = np.stack([_brightness(frame) for frame in frames])
    return Seen((height, width) if turned else (width, height), {key: value for key, value in traits.items() if value}, pictures, times)


def _frames(path: Path) -> Iterator[VideoFrame]:
    with av.open(str(path), metadata_errors="replace") as source:
        main = next(stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic)
        yield from source.decode(main)


def _format(frame: VideoFrame) -> str:
    name = frame.format.name
    return RGB.get(name) or SAMPLES_OF.get(name) or name.replace("yuvj", "yuv").replace("yuva420p", "yuv420p")


def _colour(frame: VideoFrame) -> tuple[bool, int, int, int]:
    """Whether the range is full, and the matrix, primaries and transfer, as numbers; of RGB only the last two say something."""
    rgb = frame.format.is_rgb
    full = frame.color_range == 2 or "yuvj" in frame.format.name or rgb
    return full, 0 if rgb else frame.colorspace, frame.color_primaries, frame.color_trc


def _brightness(frame: VideoFrame) -> NDArray[np.float32]:
    return frame.reformat(format="gray").to_ndarray().astype(np.float32)


def _alpha(path: Path, main: Stream) -> tuple[int, ...]:
    """The mean transparency of each picture, in steps of 16; empty: none. Only VP8 and VP9 keep it beside the pictures."""
    name = main.codec_context.codec.canonical_name
    if main.metadata.get("alpha_mode", main.metadata.get("ALPHA_MODE")) != "1" or name not in ALPHA_DECODERS:
        frame = next(_frames(path))
        return (1,) if any(component.is_alpha for component in frame.format.components) else ()
    decoder = av.CodecContext.create(ALPHA_DECODERS[name], "r")
    with av.open(str(path)) as source:
        frames = [frame for packet in source.demux(video=0) for frame in decoder.decode(packet)]
    planes = [np.frombuffer(memoryview(frame.planes[3]), np.uint8).reshape(frame.height, -1)[:, : frame.width] for frame in frames]
    return tuple(round(float(plane.mean()) / 16) for plane in planes)


def _side_data(frames: list[VideoFrame]) -> dict[str, tuple[bytes, ...]]:
    found = {}
    for kind, name in SIDE_DATA.items():
        some = frames if kind is Type.A53_CC else frames[:1]
        data = tuple(bytes(frame.side_data[kind]) for frame in some if kind in frame.side_data)
        if data:
            found[name] = data
    return found


def _streams(source: InputContainer, main: Stream) -> dict[str, tuple[object, ...]]:
    """What the other streams hold, by kind, as sorted tuples."""
    others = [stream for stream in source.streams if stream.index != main.index]
    sounds: dict[int, list[tuple[Fraction, bytes]]] = {stream.index: [] for stream in others}
    for packet in source.demux([stream for stream in others if not isinstance(stream, AttachmentStream)]) if others else ():
        if packet.size and not packet.is_discard:
            sounds[packet.stream_index].append(((packet.pts or 0) * Fraction(packet.time_base or 1), bytes(packet)))
    found: dict[str, list[object]] = {}
    for stream in others:
        kind, value = _stream(stream, sounds[stream.index])
        found.setdefault(kind, []).append(value)
    return {kind: tuple(sorted(map(repr, values))) for kind, values in found.items()}


def _stream(stream: Stream, packets: list[tuple[Fraction, bytes]]) -> tuple[str, object]:
    if isinstance(stream, AttachmentStream):
        return "attachment", (stream.name, stream.mimetype, stream.data)
    if stream.type == "video" and stream.disposition & Disposition.attached_pic:
        return "cover", zlib.crc32(b"".join(data for _, data in packets))
    tags = _tags(stream.metadata, STREAMS_OWN)
    name = stream.codec_context.name if stream.codec_context else stream.name
    if stream.type == "data" and (stream.discard is Discard.all or "timecode" in stream.metadata):
        return "time code", tags
    if name == "mov_text":
        packets = [(time, data) for time, data in packets if data != b"\0\0"]
    digest = zlib.crc32(b"".join(data for _, data in packets))
    start = round(1000 * packets[0][0]) if packets else 0
    kind = {"data": "data track", "video": "further video stream"}.get(stream.type, stream.type)
    return kind, (name, digest, len(packets), start, tags, str(Disposition(stream.disposition)))


def _tags(stated: Mapping[str, str], left_out: set[str]) -> tuple[tuple[str, str], ...]:
    """The tags, with one spelling of their names, without those that a muxer fills in."""
    lowered = {key.lower(): value for key, value in stated.items()}
    kept = {key: value for key, value in lowered.items() if key not in left_out and not key.startswith(STATISTICS)}
    if lowered.get("handler_name", "") not in USUAL_HANDLERS:
        kept["handler_name"] = lowered["handler_name"]
    if kept.get("language") == "und":
        del kept["language"]
    return tuple(sorted(kept.items()))


def _seconds(ticks: int, chapter: Mapping[str, object]) -> Fraction:
    return Fraction(round(1000 * ticks * Fraction(chapter["time_base"])), 1000)


def _xmp(path: Path) -> bytes:
    """The packet of XMP in a movie file; found by how it begins and ends."""
    data = path.read_bytes()
    start, end = data.find(b"<x:xmpmeta"), data.find(b"</x:xmpmeta>")
    return data[start:end] if 0 <= start < end else b""


def _near(first: object, second: object) -> bool:
    """Whether two traits are the same, times within a millisecond."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return abs(first - second) <= TIME_TOLERANCE
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_near, first, second))
    return first == second


Same = Callable[[object, object], bool]


def differences(before: Seen, after: Seen, same: Same = _near) -> list[str]:
    """The names of the traits that are not the same."""
    names = dict.fromkeys([*before.traits, *after.traits])
    return [name for name in names if not same(before.traits.get(name, ()), after.traits.get(name, ()))]
