"""Restore a whole video: frames in, the same frames without their marks out. Holds only the frames that references need."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.references import REACH_FRAMES
from service.pipeline.picture.composite import paste_all
from service.pipeline.remove.inpaint import TILES_AT_ONCE, Inpainter, Patch
from service.pipeline.video import Frame, Limits, VideoInfo

CHUNK_FRAMES = 4  # frames restored together, at most, so that their windows share a batch
EVERYTHING = (range(sys.maxsize),)
NOTHING = range(sys.maxsize, sys.maxsize)

Watcher = Callable[[Frame, Frame], None]  # called with a frame as decoded and as cleaned


@dataclass(frozen=True)
class _Chunk:
    """Frames whose windows are with the network. patches: waits for its answers and returns the patches by frame index."""

    frames: list[Frame]
    patches: Callable[[], dict[int, list[Patch]]]


def remove(
    frames: Iterable[Frame],
    inpainter: Inpainter,
    info: VideoInfo,
    watch: Watcher,
    chunk_frames: int | None = None,
    limits: Limits = Limits(),
    stretches: Sequence[range] = EVERYTHING,
) -> Iterator[Frame]:
    """Yields the frames in order, cleaned. `watch` is called for each. `chunk_frames` changes speed and memory, not the result.

    Of large pictures, references are searched among fewer frames. stretches: the numbers of the frames that are yielded, in rising ranges.
    `frames` needs no others but those in `frames_around` them.
    """
    pending: _Chunk | None = None
    chunk_frames = chunk_frames or max(1, min(CHUNK_FRAMES, TILES_AT_ONCE // inpainter.most_tiles))
    for chunk in _begin_chunks(frames, inpainter, chunk_frames, limits, stretches):
        if pending:  # composited while the network restores the next chunk
            yield from _composite(pending, info, watch)
        pending = chunk
    if pending:
        yield from _composite(pending, info, watch)


def frames_around(stretches: Iterable[range], total_frames: int) -> set[int]:
    """The frames of the stretches, and those that their references may need."""
    return {
        frame
        for stretch in stretches
        for frame in range(max(0, stretch.start - REACH_FRAMES), min(total_frames, stretch.stop + REACH_FRAMES))
    }


def _begin_chunks(
    frames: Iterable[Frame], inpainter: Inpainter, chunk_frames: int, limits: Limits, stretches: Sequence[range]
) -> Iterator[_Chunk]:
    """Hands the frames to the inpainter in chunks, each as soon as all frames that its references may need are read."""
    held: dict[int, Frame] = {}
    starts = ((stretch, start) for stretch in stretches for start in range(stretch.start, stretch.stop, chunk_frames))
    chunks = (range(start, min(stretch.stop, start + chunk_frames)) for stretch, start in starts)
    following = next(chunks, NOTHING)

    def begin(indices: range) -> _Chunk:
        return _Chunk([held[index] for index in indices], inpainter.begin(indices, held))

    for frame in frames:
        held[frame.index] = frame
        reach = min(REACH_FRAMES, max(1, limits.around_bytes // (2 * sum(plane.nbytes for plane in frame.planes))))
        if frame.index >= following.stop - 1 + reach:
            yield begin(following)
            following = next(chunks, NOTHING)
            held = {index: kept for index, kept in held.items() if index >= following.start - reach}
    end = max(held, default=-1) + 1
    while following.start < end:
        yield begin(range(following.start, min(following.stop, end)))
        following = next(chunks, NOTHING)


def _composite(chunk: _Chunk, info: VideoInfo, watch: Watcher) -> Iterator[Frame]:
    """Lays the patches over the frames of a chunk."""
    patches = chunk.patches()
    for frame in chunk.frames:
        clean = paste_all(frame, [(patch.box, patch.rgb, patch.alpha) for patch in patches[frame.index]], info)
        watch(frame, clean)
        yield clean
