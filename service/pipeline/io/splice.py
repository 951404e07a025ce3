"""Writes the main stream of a video whose packets stay where nothing changes, and are replaced by newly encoded ones elsewhere.

A decoder takes up other parameters only where a picture refers to nothing before it (IDR): newly encoded stretches begin so, and copied
ones begin where the source does. New packets take the places of those that they replace, with their decoding times.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Final, cast

import av
from av.video.stream import VideoStream

from service.errors import EncodeFailed
from service.pipeline.io import avc
from service.pipeline.io.beside import NotCopiedError, ParameterSetReader, encoder_beside
from service.pipeline.io.codec import muxer_of
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.copied import CopiedStreams
from service.pipeline.io.mux import Interleaver, add_spliced_stream, copy_description, open_target, start_encoders
from service.pipeline.io.packets import PacketTable, read_table
from service.pipeline.io.pixels import frame_of
from service.pipeline.io.streams import MOVIE_MUXERS
from service.pipeline.io.tag_names import has_own_keys
from service.pipeline.io.video_parts import is_further_video
from service.pipeline.video import Frame, VideoInfo

CHANGED: Final = "the source has changed since it was looked at"


def splice(frames: Iterator[Frame], source_path: Path, unfinished: Path, suffix: str, info: VideoInfo, stretches: Sequence[range]) -> None:
    """Write a video like the source, which `info` describes as it is stored, with these frames in the stretches.

    stretches: of frames, in rising order. suffix: of the target. Raises EncodeFailed if packets of the source cannot be copied into it.
    """
    muxer = muxer_of(suffix)
    with (
        closing(open_source(source_path, info.container)) as source,
        closing(open_source(source_path, info.container, with_tags=False)) as pictures_source,
        open_target(unfinished, muxer, info.time_base, own_keys=has_own_keys(source_path, info.container, source.metadata)) as target,
    ):
        main, own = main_video_stream(source), main_video_stream(pictures_source)
        spliced = _Splice(source_path, info, suffix, stretches)
        copies = CopiedStreams(source, target, suffix)
        for template in source.streams:
            if template.index == main.index:
                video = add_spliced_stream(target, main, spliced.record)
            elif not is_further_video(template):
                copies.add(template)
        copy_description(source, target)
        start_encoders(target)
        copied = Interleaver(copies.packets(), target)
        pictures = _timed(frames, info)
        for packet in spliced.packets(pictures_source.demux(own), pictures, sums_durations=muxer in MOVIE_MUXERS):
            copied.mux_until((packet.pts or 0) * info.time_base)
            packet.stream = video
            target.mux(packet)
        copied.mux_rest()


class _Splice:
    """The packets of a source's main stream and those of new pictures, as one stream."""

    def __init__(self, path: Path, info: VideoInfo, suffix: str, stretches: Sequence[range]) -> None:
        with closing(open_source(path, info.container, with_tags=False)) as source:
            stream = main_video_stream(source)
            reader = ParameterSetReader(stream)
            table = read_table(source, stream, reader.see)
            if table is None:
                raise EncodeFailed(CHANGED)
            try:
                self._beside = encoder_beside(_with_rate_of(stretches, info, table), suffix, table, reader)
            except (NotCopiedError, ValueError) as error:
                raise EncodeFailed(CHANGED) from error
        self._table, self._stretches, self._info = table, stretches, info
        self._times = table.decoding_times() or []

    @property
    def record(self) -> bytes:
        """The parameter sets of the whole stream, as MP4 and Matroska keep them."""
        return self._beside.sets.record()

    def packets(
        self, source: Iterator["av.Packet[VideoStream]"], pictures: Iterator[av.VideoFrame], *, sums_durations: bool
    ) -> Iterator["av.Packet[VideoStream]"]:
        """All packets of the target in their order. source: those of the source; pictures: those of the stretches.

        sums_durations: for MP4 and MOV, which store how long until the next packet is *decoded*.
        """
        encoded = {frame for stretch in self._stretches for frame in stretch}
        new = chain.from_iterable(self._encoded(pictures, len(stretch)) for stretch in self._stretches)
        lengths, waits = self._lengths(), self._waits()
        for number, original in enumerate(packet for packet in source if packet.size):
            packet = next(new, None) if number in encoded else original
            if packet is None or packet.pts not in lengths or packet.pts < self._times[number]:
                raise EncodeFailed("the encoder's packets do not fit between the source's")
            packet.dts, packet.duration = self._times[number], waits[number] if sums_durations else lengths[packet.pts]
            yield packet

    def _encoded(self, pictures: Iterator[av.VideoFrame], count: int) -> Iterator["av.Packet[VideoStream]"]:
        """The packets of so many pictures."""
        encoder = self._beside.open()
        for picture in chain(islice(pictures, count), [None]):
            for packet in encoder.encode(picture):
                copy = cast("av.Packet[VideoStream]", av.Packet(avc.packet_of(avc.units_of_stream(bytes(packet)))))
                copy.pts, copy.time_base, copy.is_keyframe = packet.pts, self._info.time_base, packet.is_keyframe
                yield copy

    def _lengths(self) -> dict[int, int]:
        """By pts, how long each picture is shown."""
        shown, end = self._table.shown, self._info.end_pts
        until_next = [after - before for before, after in pairwise(shown)]
        last = until_next[-1] if end is None and until_next else max(1, (end or 0) - shown[-1])
        return dict(zip(shown, [*until_next, last], strict=True))

    def _waits(self) -> list[int]:
        """By number, how long until the next packet is decoded. The last one gets what the sum lacks."""
        times, end = self._times, sum(self._lengths().values())
        waits = [after - before for before, after in pairwise(times)]
        return [*waits, max(1, end - sum(waits))]


def _timed(frames: Iterator[Frame], info: VideoInfo) -> Iterator[av.VideoFrame]:
    """The frames as pictures for an encoder."""
    for frame in frames:
        picture = frame_of(frame.planes, info.pixel_format)
        picture.pts, picture.time_base = frame.pts, info.time_base
        yield picture


def _with_rate_of(stretches: Sequence[range], info: VideoInfo, table: PacketTable) -> VideoInfo:
    """The description with the bit rate of its busiest stretch, if that is above the rate of the whole."""
    rates = [info.video_bit_rate]
    for stretch in stretches:
        following = table.shown[stretch.stop] if stretch.stop < len(table.shown) else max(info.end_pts or 0, table.shown[-1] + 1)
        seconds = (following - table.shown[stretch.start]) * info.time_base
        rates.append(round(8 * sum(table.sizes[stretch.start : stretch.stop]) / seconds))
    return replace(info, video_bit_rate=max(rates))
