"""Reads the frames of one file several times. A short video or an image is decoded once, and then read from memory."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.pipeline.io.decode import Excerpt, decode
from service.pipeline.io.groups import Groups, ranges_of
from service.pipeline.video import Frame, Limits, VideoInfo

MAX_KEPT_BYTES: Final = 64 * 2**20  # two seconds at 720 lines, or an image of 20 megapixels


class Rereader:
    """The frames of a probed file, which are the same every time. Kept ones cannot be written to."""

    def __init__(self, source: Path, info: VideoInfo, limits: Limits, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._source, self._info, self._limits = source, info, limits
        self._max_kept_bytes = max_kept_bytes
        self._kept: list[Frame] | None = None  # all frames, once they were read to the end; None: not yet, or they are too many

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is decoded any more."""
        return self._kept is not None

    @contextmanager
    def read(self, wanted: Iterable[int] | None = None, groups: Groups | None = None) -> Iterator[Iterator[Frame]]:
        """The frames, upright and in order: all, or those with the wanted numbers. Raises like `decode`.

        groups: of the file; with them no more is decoded than is needed.
        """
        numbers = None if wanted is None else sorted(set(wanted))
        if self._kept is not None:
            yield iter(self._kept if numbers is None else [self._kept[number] for number in numbers])
        elif numbers is None:
            with decode(self._source, self._info, self._limits) as frames:
                yield self._keeping(frames)
        elif groups is None:
            with decode(self._source, self._info, self._limits) as frames:
                chosen = set(numbers)
                yield (frame for frame in frames if frame.index in chosen)
        elif numbers:
            excerpt = Excerpt(ranges_of(numbers), groups.decoded_for(numbers))
            with decode(self._source, self._info, self._limits, excerpt) as frames:
                yield frames
        else:
            yield iter(())

    def _keeping(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames, which are kept if they end before they are too many."""
        kept, size = list[Frame](), 0
        for frame in frames:
            size += sum(plane.nbytes for plane in frame.planes)
            if size <= self._max_kept_bytes:
                for plane in frame.planes:
                    plane.flags.writeable = False
                kept.append(frame)
            else:
                kept.clear()
            yield frame
        self._kept = kept or None
