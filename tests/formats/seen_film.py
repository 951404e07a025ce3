"""What a video shows and carries, as PyAV reads it: the oracle that says whether a result still has what its source had."""

import struct
import zlib
from collections.abc import Iterator, Mapping
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
from av.video.stream import VideoStream
from numpy.typing import NDArray

MUXERS_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder", "software", "timecode"}  # tags that say who wrote the file
STREAMS_OWN = {"encoder", "vendor_id", "handler_name", "timecode", "creation_time", "stereo_mode"}  # of streams: what is told elsewhere
STATISTICS = ("bps", "number_of_", "_statistics_", "duration")
USUAL_HANDLERS = ("", "TimeCodeHandler", "VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler")
SAMPLES_OF = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuyv422": "yuv422p", "uyvy422": "yuv422p"}
START_UP = Fraction(1, 10)  # of a sound decoder: packets before the first picture that only MP4 and MOV can hide
RGB: Final = dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr", "gbrp"), "RGB")
SIDE_DATA = {
    Type.A53_CC: "closed captions",
    Type.MASTERING_DISPLAY_METADATA: "HDR10 mastering display",
    Type.CONTENT_LIGHT_LEVEL: "HDR10 light level",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.STEREO3D: "3D layout",
    Type.SPHERICAL: "360 degree projection",
    Type.ICC_PROFILE: "ICC profile",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "ambient viewing environment",
    Type.AFD: "active format description",
}
MAKERS_BOX = b"HMMT"  # in the files of one maker: where something happened
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
OF_ONE_FORMAT = "coding"  # a trait that only files of the same format share: how JPEG and HEVC are stored
TIME_TOLERANCE = Fraction(1, 1000)
SHIFT_TOLERANCE = Fraction(1, 10)  # of all streams together: where a container has no time before zero
FIELDS_OF_DV = 3  # AVFieldOrder: the bottom one first, which its standard says and its files do not
UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16)


@dataclass(frozen=True)
class Seen:
    """A file as a person and a program meet it. size: upright, in pixels. traits: by name, comparable. pictures: brightness, (n, h, w)."""

    size: tuple[int, int]
    traits: Mapping[str, object]
    pictures: NDArray[np.float32]


def see(path: Path) -> Seen:
    """Read a whole video."""
    frames = list(_frames(path))
    first, times = frames[0], _numbers(path) or tuple((frame.pts or 0) * Fraction(frame.time_base) for frame in frames)
    matrix = tuple(memoryview(first.side_data[Type.DISPLAYMATRIX]).cast("i")) if Type.DISPLAYMATRIX in first.side_data else ()
    with av.open(str(path), metadata_errors="replace") as source:
        traits = _of_file(source, first) | {
            "rotation": matrix if matrix[:5] != UPRIGHT else (),
            "number of pictures": len(frames),
            **_times(source, times),
            "transparency": _alpha(path, _main(source), first),
            "XMP": _xmp(path),
            "further boxes": path.read_bytes().count(MAKERS_BOX),
            **_side_data(frames),
        }
    size = (first.height, first.width) if matrix and matrix[0] == 0 else (first.width, first.height)
    pictures = np.stack([_brightness(frame) for frame in frames])
    return Seen(size, {key: value for key, value in traits.items() if value}, pictures)


def _times(source: InputContainer, times: tuple[Fraction, ...]) -> dict[str, object]:
    """When the pictures begin, when each is shown after that, and how long all of them are: no shorter than the last one takes to come."""
    main, tags = _main(source), {name.lower(): value for name, value in _main(source).metadata.items()}
    if "duration" in tags:
        hours, minutes, seconds = tags["duration"].split(":")
        length = 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds) - times[0]
    else:
        length = Fraction(main.duration or 0) * (main.time_base or 1)
    least = times[-1] - times[0] + Fraction(1, 25)
    is_avi = source.format.name == "avi"
    return {"begins": times[0], "times": tuple(time - times[0] for time in times), "length": least if is_avi else max(length, least)}


def _numbers(path: Path) -> tuple[Fraction, ...]:
    """When the pictures of an AVI are shown: it numbers its packets. Empty for other files."""
    with av.open(str(path)) as source:
        if source.format.name != "avi":
            return ()
        return tuple((packet.dts or 0) * Fraction(packet.time_base) for packet in source.demux(_main(source)) if packet.size)


def _main(source: InputContainer) -> VideoStream:
    return next(stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic)


def _of_file(source: InputContainer, first: VideoFrame) -> dict[str, object]:
    """What the file says about itself and its streams."""
    main = _main(source)
    codec = main.codec_context
    return {
        "pictures": (codec.codec.canonical_name, _format(first)),
        OF_ONE_FORMAT: codec.codec_tag if codec.name == "hevc" and "mov" in source.format.name else "",
        "pixel aspect": (main.sample_aspect_ratio or Fraction(1)).limit_denominator(8),  # Matroska rounds what is shown to whole pixels
        "colour": _colour(first),
        "fields": first.interlaced_frame and (codec.field_order or FIELDS_OF_DV),
        "chapters": tuple(
            (_seconds(each["start"], each), _seconds(each["end"], each), str(each["metadata"])) for each in source.chapters()
        ),
        "tags": _tags(source.metadata, MUXERS_OWN),
        "main video stream": _tags(main.metadata, STREAMS_OWN),
        "time code": _time_code(source),
        **_streams(source, main),
    }


def _frames(path: Path) -> Iterator[VideoFrame]:
    with av.open(str(path), metadata_errors="replace") as source:
        main = _main(source)
        main.thread_count = 1
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


def _alpha(path: Path, main: VideoStream, first: VideoFrame) -> tuple[int, ...]:
    """The mean transparency of each picture, in steps of 16; empty: none. VP8 and VP9 have it beside the pictures."""
    name = main.codec_context.codec.canonical_name
    if name not in ALPHA_DECODERS or main.metadata.get("alpha_mode", main.metadata.get("ALPHA_MODE")) != "1":
        return (1,) if any(component.is_alpha for component in first.format.components) else ()
    decoder = av.CodecContext.create(ALPHA_DECODERS[name], "r")
    with av.open(str(path)) as source:
        frames = [frame for packet in source.demux(video=0) for frame in decoder.decode(packet)]
    planes = [np.frombuffer(memoryview(frame.planes[3]), np.uint8).reshape(frame.height, -1)[:, : frame.width] for frame in frames]
    return tuple(round(float(plane.mean()) / 16) for plane in planes)


def _side_data(frames: list[VideoFrame]) -> dict[str, tuple[object, ...]]:
    found = {}
    for kind, name in SIDE_DATA.items():
        some = frames if kind is Type.A53_CC else frames[:1]
        read = _display if kind is Type.MASTERING_DISPLAY_METADATA else bytes
        data = tuple(read(frame.side_data[kind]) for frame in some if kind in frame.side_data)
        if data and (kind is not Type.CONTENT_LIGHT_LEVEL or any(data[0])):
            found[name] = data
    return found


def _display(mastering: object) -> tuple[float, ...]:
    """AVMasteringDisplayMetadata, whose ten fractions codecs round in their own ways."""
    numbers = struct.unpack_from("20i", bytes(mastering))
    return tuple(round(number / divisor, 3) for number, divisor in zip(numbers[::2], numbers[1::2], strict=True))


def _streams(source: InputContainer, main: Stream) -> dict[str, tuple[object, ...]]:
    """What the other streams hold, by kind, as sorted tuples."""
    packets: dict[int, list[tuple[Fraction, bytes]]] = {stream.index: [] for stream in source.streams}
    for packet in source.demux():
        if packet.size and not packet.is_discard:
            packets[packet.stream_index].append(((packet.pts or 0) * Fraction(packet.time_base or 1), bytes(packet)))
    begins = Fraction(0) if source.format.name == "avi" else min((time for time, _ in packets[main.index]), default=Fraction(0))
    found: dict[str, list[object]] = {}
    for stream in source.streams:
        if stream.index != main.index and not _is_written_anew(stream):
            kind, value = _stream(stream, [(time - begins, data) for time, data in packets[stream.index]])
            found.setdefault(kind, []).append(value)
    return {kind: tuple(sorted(values, key=repr)) for kind, values in found.items()}


def _is_written_anew(stream: Stream) -> bool:
    """Whether a track holds the titles of chapters or the time code."""
    return stream.type == "data" and (stream.discard is Discard.all or "timecode" in stream.metadata)


def _time_code(source: InputContainer) -> tuple[str, ...]:
    """The time of the first picture as cameras count it: a tag of the file or of a stream."""
    stated = [source.metadata, *(stream.metadata for stream in source.streams)]
    return tuple(sorted({value for tags in stated for name, value in tags.items() if name.lower() == "timecode"}))


def _stream(stream: Stream, packets: list[tuple[Fraction, bytes]]) -> tuple[str, object]:
    if isinstance(stream, AttachmentStream):
        return "attachment", (stream.name, stream.mimetype, stream.data)
    if stream.type == "video" and stream.disposition & Disposition.attached_pic:
        return "cover", zlib.crc32(b"".join(data for _, data in packets))
    tags = _tags(stream.metadata, STREAMS_OWN)
    name = stream.codec_context.name if stream.codec_context else stream.name
    if name == "mov_text":
        packets = [(time, data) for time, data in packets if data != b"\0\0"]
    if not name.startswith("pcm"):  # which has no packets of its own
        packets = [(time, data) for time, data in packets if not -START_UP <= time < -TIME_TOLERANCE]
    digest = zlib.crc32(b"".join(data for _, data in packets))
    start = packets[0][0] if packets else Fraction(0)
    kind = {"data": "data track", "video": "further video stream"}.get(stream.type, stream.type)
    purpose = Disposition(stream.disposition) & ~Disposition.default  # which MP4 gives to the first of its kind in any case
    return kind, (name, digest, start, tags, int(purpose))


def _tags(stated: Mapping[str, str], left_out: set[str]) -> tuple[tuple[str, str], ...]:
    """The tags, with one spelling of their names, without those that a muxer fills in."""
    lowered = {key.lower(): value for key, value in stated.items()}
    kept = {key: value for key, value in lowered.items() if key not in left_out and not key.startswith(STATISTICS)}
    kept = {key.removesuffix("-eng"): value for key, value in kept.items()}
    kept = {{"product": "album", "author": "artist"}.get(key, key): value for key, value in kept.items()}
    if lowered.get("handler_name", "") not in USUAL_HANDLERS:
        kept["handler_name"] = lowered["handler_name"]
    if kept.get("language") == "und":
        del kept["language"]
    if "name" in kept:  # as MP4 and MOV call the title of a track
        kept["title"] = kept.pop("name")
    return tuple(sorted(kept.items()))


def _seconds(ticks: int, chapter: Mapping[str, object]) -> Fraction:
    return Fraction(round(1000 * ticks * Fraction(chapter["time_base"])), 1000)


def _xmp(path: Path) -> bytes:
    """The packet of XMP in a movie file; found by how it begins and ends."""
    data = path.read_bytes()
    start, end = data.find(b"<x:xmpmeta"), data.find(b"</x:xmpmeta>")
    return data[start:end] if 0 <= start < end else b""


def _near(first: object, second: object, tolerance: Fraction) -> bool:
    """Whether two traits are the same, times within a tolerance in seconds."""
    if isinstance(first, Fraction) or isinstance(second, Fraction):
        return abs((first or 0) - (second or 0)) <= tolerance
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(_near(*pair, tolerance) for pair in zip(first, second, strict=True))
    return first == second


def differences(before: Seen, after: Seen) -> list[str]:
    """The names of the traits that are not the same."""
    names = [
        name
        for name in dict.fromkeys([*before.traits, *after.traits])
        if name != OF_ONE_FORMAT or name in before.traits.keys() & after.traits
    ]
    return [
        name
        for name in names
        if not _near(before.traits.get(name, ()), after.traits.get(name, ()), SHIFT_TOLERANCE if name == "begins" else TIME_TOLERANCE)
    ]
