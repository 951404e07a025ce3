"""Which packets are decoded for some frames, which frames are encoded again for some marks, and which packets stay as they are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import av

from service.errors import DecodeFailed
from service.pipeline.io.beside import NotCopiedError, ParameterSetReader, encoder_beside
from service.pipeline.io.container import main_video_stream, open_source
from service.pipeline.io.packets import PacketTable, digest_of, read_table
from service.pipeline.sandbox.sandbox import Channel, Child, Message
from service.pipeline.sandbox.wire import info_from_message, info_to_message
from service.pipeline.video import Limits, Timeline, VideoInfo

MIN_COPIED_FRAMES: Final = 8  # between two encoded stretches: the picture with which the second begins costs the bits of about as many


@dataclass(frozen=True)
class Groups:
    """Where the packets of a video can be cut. Packets and frames have the same numbers there.

    begins: frames from which decoding can begin. breaks: frames before which it can end, also these. frames: how many there are.
    not_copied: why no packet can stay beside newly encoded ones; empty: they can.
    """

    begins: tuple[int, ...] = field(repr=False)
    breaks: tuple[int, ...] = field(repr=False)
    frames: int
    not_copied: str = ""

    def decoded_for(self, wanted: Iterable[int]) -> list[range]:
        """The packets to decode for these frames."""
        found: list[range] = []
        for frame in sorted(wanted):
            begin = self.begins[bisect_right(self.begins, frame) - 1]
            end = self._or_end(self.breaks, bisect_right(self.breaks, frame))
            found[-1:] = _joined(found[-1], range(begin, end), 0) if found else [range(begin, end)]
        return found

    def encoded_for(self, intervals: Iterable[tuple[int, int]]) -> list[range]:
        """The frames to encode so that these change, each from a first to a last one. What is between can be copied."""
        found: list[range] = []
        for first, last in sorted(intervals):
            begin = self.breaks[bisect_right(self.breaks, first) - 1]
            end = self._or_end(self.begins, bisect_left(self.begins, last + 1))
            found[-1:] = _joined(found[-1], range(begin, end), MIN_COPIED_FRAMES - 1) if found else [range(begin, end)]
        return found

    def _or_end(self, frames: tuple[int, ...], index: int) -> int:
        return frames[index] if index < len(frames) else self.frames


def _joined(one: range, other: range, gap: int) -> list[range]:
    """Both, as one if at most so many frames are between them."""
    return [range(one.start, max(one.stop, other.stop))] if other.start <= one.stop + gap else [one, other]


def ranges_of(numbers: Iterable[int]) -> list[range]:
    """Rising numbers as ranges."""
    found: list[range] = []
    for number in numbers:
        found[-1:] = _joined(found[-1], range(number, number + 1), 0) if found else [range(number, number + 1)]
    return found


def read_groups(path: Path, info: VideoInfo, limits: Limits, timeline: Timeline, suffix: str | None) -> Groups | None:
    """The groups of a probed video; None where packets and frames do not belong together one by one, or nothing says where groups begin.

    timeline: of all frames, as decoded. suffix: of the target; None: nothing is to be copied.
    """
    try:
        message = _asked(path, info, limits, suffix)
        begins, breaks = (_checked(message.get(name), timeline.frames) for name in ("begins", "breaks"))
    except DecodeFailed:  # then all is decoded and encoded, which needs less memory at once
        return None
    same = message.get("digest") == digest_of(timeline.pts)
    return Groups(begins, breaks, timeline.frames, str(message.get("not_copied", ""))) if same else None


def _asked(path: Path, info: VideoInfo, limits: Limits, suffix: str | None) -> Message:
    request = {"path": str(path.absolute()), "info": info_to_message(info), "suffix": suffix}
    with Child(
        _read_in_child,
        request,
        work="decoder",
        failure=DecodeFailed,
        memory_bytes=limits.decoder_memory_bytes,
        stall_seconds=limits.decoder_stall_seconds,
    ) as child:
        return child.receive()


def _checked(numbers: object, frames: int) -> tuple[int, ...]:
    """Frame numbers from a child, which rise from 0. Raises DecodeFailed for anything else."""
    found = tuple(number for number in numbers if isinstance(number, int)) if isinstance(numbers, list) else ()
    if found[:1] != (0,) or found[-1] >= frames or any(before >= after for before, after in pairwise(found)):
        raise DecodeFailed("the decoder sent groups of pictures that cannot be")
    return found


def _read_in_child(channel: Channel, request: Message) -> None:
    path, info = Path(request["path"]), info_from_message(request["info"])
    try:
        with closing(open_source(path, info.container, with_tags=False)) as source:
            stream = main_video_stream(source)
            reader = ParameterSetReader(stream)
            table = read_table(source, stream, reader.see if info.codec == "h264" else len)
            begins = table.begins if table else []
            if table is None or begins[:1] != [0]:
                channel.send()
                return
            reason = _why_not_copied(info.as_stored, request["suffix"], table, reader)
            channel.send(digest=digest_of(table.shown), begins=begins, breaks=table.breaks, not_copied=reason)
    except (av.FFmpegError, ValueError):  # of units that do not fit into their packets
        channel.send()


def _why_not_copied(info: VideoInfo, suffix: str | None, table: PacketTable, reader: ParameterSetReader) -> str:
    if suffix is None:
        return "there is no target"
    try:
        encoder_beside(info, suffix, table, reader)
    except NotCopiedError as reason:
        return str(reason)
    return ""
