"""File to frames, in presentation order. A child process decodes ahead of the reader."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import TypeVar

import av
from av.video.stream import VideoStream

from service.errors import DecodeFailed, NoFrames, UnsupportedFormat
from service.pipeline.io import still
from service.pipeline.io.container import main_video_stream, open_source, read_error
from service.pipeline.io.deinterlace import deinterlaced, fields_of
from service.pipeline.io.pixels import pixel_format_of, planes_of
from service.pipeline.picture.colour import Planes
from service.pipeline.picture.orientation import planes_upright
from service.pipeline.sandbox.ring import Layout, Ring
from service.pipeline.sandbox.sandbox import THREADS, Channel, Child, Message
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Crop, Frame, Limits, Part, VideoInfo

Picture = TypeVar("Picture")

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decode no transparency


@dataclass(frozen=True)
class Excerpt:
    """Some frames of a video, which keep their numbers, and the packets that are decoded for them; both as rising ranges."""

    frames: Sequence[range]
    packets: Sequence[range]


@contextmanager
def decode(path: Path, info: VideoInfo, limits: Limits, excerpt: Excerpt | None = None) -> Iterator[Iterator[Frame]]:
    """The frames of a probed file, upright, all or those of an excerpt. Their planes belong to the caller; their pts rise strictly.

    Raises DecodeFailed if the decoder's process dies, stalls or runs out of memory, Truncated where the file is damaged,
    NoFrames at the end of a file without frames, UnsupportedFormat if size or pixel format change.
    """
    layout = Layout.of(info)
    with Ring(layout) as ring:
        request = {"path": str(path.absolute()), "info": info_to_message(info), "memory": ring.file}
        if excerpt:
            request["excerpt"] = [[(part.start, part.stop) for part in parts] for parts in (excerpt.frames, excerpt.packets)]
        with Child(
            _decode_in_child,
            request,
            work="decoder",
            failure=DecodeFailed,
            memory_bytes=limits.decoder_memory_bytes,
            stall_seconds=limits.decoder_stall_seconds,
            share=(ring.file,),
        ) as child:
            yield _received_frames(child, ring)


def _received_frames(child: Child, ring: Ring) -> Iterator[Frame]:
    for place in count():
        message = child.receive()
        if message.get("end"):
            return
        index, pts = message.get("index"), message.get("pts")
        if not isinstance(index, int) or not isinstance(pts, int):
            raise DecodeFailed("the decoder sent a frame without a number or a time stamp")
        planes = ring.read(place)
        child.send(taken=place)
        yield Frame(index, pts, planes)


def _decode_in_child(channel: Channel, request: Message) -> None:
    """Write each frame, turned upright, into its slot and report it. A slot is reused once the parent has copied the frame in it."""
    path, info = Path(request["path"]), info_from_message(request["info"])
    ring = Ring(Layout.of(info), request["memory"])
    place = -1
    for place, (index, pts, planes) in enumerate(_requested(path, info, request.get("excerpt"))):
        if place >= ring.slots and channel.receive() is None:
            return
        ring.write(place, planes_upright(planes, info.orientation))
        channel.send(index=index, pts=pts)
    if place < 0:
        raise NoFrames("the video has no frames that can be decoded")
    channel.send(end=True)


def _requested(path: Path, info: VideoInfo, excerpt: Sequence[Sequence[Sequence[int]]] | None) -> Iterator[tuple[int, int, Planes]]:
    """(index, pts, planes) of each frame that was asked for."""
    if excerpt:
        frames, packets = ([range(*part) for part in parts] for parts in excerpt)
        wanted = {index for part in frames for index in part}
        numbered = zip(chain.from_iterable(packets), _decoded_planes(path, info.as_stored, packets), strict=True)
        yield from ((index, pts, planes) for index, (pts, planes) in numbered if index in wanted)
        return
    decoded = iter([(0, still.read(path))]) if info.container == "image" else _decoded_planes(path, info.as_stored)
    if info.part:
        decoded = within(decoded, info.part, info.time_base)
    yield from ((index, pts, planes) for index, (pts, planes) in enumerate(decoded))


def _decoded_planes(path: Path, info: VideoInfo, packets: Sequence[range] | None = None) -> Iterator[tuple[int, Planes]]:
    """(pts, planes) of each picture of a video, as stored, which `info` describes. The planes are views, valid until the next picture."""
    for pts, frame in decoded_frames(path, info, packets=packets):
        _check_unchanged(frame, info)
        yield pts, _shown(planes_of(frame, info.pixel_format), info)


def decoded_frames(
    path: Path, info: VideoInfo, *, with_alpha: bool = False, packets: Sequence[range] | None = None
) -> Iterator[tuple[int, av.VideoFrame]]:
    """(pts, frame) of each picture of a video as FFmpeg decodes it, with what it carries beside its planes; deinterlaced if asked.

    packets: the numbers of those that are decoded, in rising ranges, of which each can be decoded by itself; None: all.
    """
    with closing(open_source(path, info.container, with_tags=False)) as source:
        stream = main_video_stream(source)
        decoder = av.VideoCodecContext.create(ALPHA_DECODERS[info.codec], "r") if with_alpha else stream.codec_context
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_type = "AUTO"
        decoder.thread_count = THREADS
        timestamps = _Timestamps(numbered=info.container == "avi")
        chosen = source.demux(stream) if packets is None else _chosen(source.demux(stream), packets)
        frames = _timed_frames(chosen, decoder, timestamps)
        if info.deinterlaced:
            frames = deinterlaced(frames, stream.codec_context.field_order)
        elif info.by_field:
            frames = fields_of(frames, bottom_first=info.bottom_first)
        try:
            yield from frames
        except av.FFmpegError as error:
            raise read_error(error, f"the video is damaged after {float((timestamps.last or 0) * info.time_base):.1f} s") from error


def _chosen(all_packets: Iterator["av.Packet[VideoStream]"], packets: Sequence[range]) -> Iterator["av.Packet[VideoStream]"]:
    """The packets with these numbers, and what marks the end."""
    wanted = {number for part in packets for number in part}
    numbers = count()
    yield from (packet for packet in all_packets if not packet.size or next(numbers) in wanted)


def _timed_frames(
    packets: Iterator["av.Packet[VideoStream]"], decoder: av.VideoCodecContext, timestamps: "_Timestamps"
) -> Iterator[tuple[int, av.VideoFrame]]:
    for packet in packets:
        timestamps.read(packet)
        for frame in decoder.decode(packet):
            yield timestamps.next_pts(frame), frame


def within(decoded: Iterator[tuple[int, Picture]], part: Part, time_base: Fraction) -> Iterator[tuple[int, Picture]]:
    """The pictures of a part of the video. Those before it are decoded too, as they may be referred to; those after it are not."""
    first: int | None = None
    for pts, picture in decoded:
        first = pts if first is None else first
        seconds = (pts - first) * time_base
        if seconds >= part.start + part.length:
            return
        if seconds >= part.start:
            yield pts, picture


class _Timestamps:
    """Makes the pts of successive frames rise strictly, whatever the file states.

    numbered: for AVI, which numbers its packets instead of timing the pictures. What FFmpeg takes for their times is out of order where
    the pictures are stored out of order. They are shown in the order of the numbers.
    """

    def __init__(self, *, numbered: bool) -> None:
        self.last: int | None = None
        self._numbers: deque[int] | None = deque() if numbered else None  # of packets whose picture has not come yet

    def read(self, packet: "av.Packet[VideoStream]") -> None:
        """Take note of a packet before it is decoded."""
        if self._numbers is not None and packet.size and packet.dts is not None:
            self._numbers.append(packet.dts)

    def next_pts(self, frame: av.VideoFrame) -> int:
        """The pts of the next frame, in units of the stream's time base."""
        stated = self._stated(frame)
        if self.last is None:
            self.last = stated or 0
        else:
            self.last = self.last + 1 if stated is None else max(stated, self.last + 1)
        return self.last

    def _stated(self, frame: av.VideoFrame) -> int | None:
        if self._numbers is not None:
            return self._numbers.popleft() if self._numbers else None
        return frame.pts if frame.pts is not None else frame.dts


def _shown(planes: Planes, info: VideoInfo) -> Planes:
    """What the container does not hide of a picture's planes; views."""
    if info.crop is None:
        return planes
    rows, columns = slice(info.crop.top, info.crop.top + info.height), slice(info.crop.left, info.crop.left + info.width)
    luma, first, second = (plane[area] for plane, area in zip(planes, info.pixel_format.samples_of(rows, columns), strict=True))
    return luma, first, second


def _check_unchanged(frame: av.VideoFrame, info: VideoInfo) -> None:
    hidden = info.crop or Crop(0, 0, 0, 0)
    width, height = info.width + hidden.left + hidden.right, info.height + hidden.top + hidden.bottom
    if (frame.width, frame.height) != (width, height):
        raise UnsupportedFormat(f"the picture size changes from {width}x{height} to {frame.width}x{frame.height}")
    if pixel_format_of(frame) != info.pixel_format:
        raise UnsupportedFormat(f"the pixel format changes from {info.pixel_format.name} to {frame.format.name}")
