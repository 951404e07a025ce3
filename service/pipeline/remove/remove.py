"""Restore a whole video: frames in, the same frames without their marks out. Holds only the frames that references need."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.references import REACH_FRAMES
from service.pipeline.picture.composite import paste_all
from service.pipeline.remove.inpaint import Inpainter, Patch
from service.pipeline.video import Frame, VideoInfo

CHUNK_FRAMES = 4  # frames restored together, at most, so that their windows share a batch
CHUNK_TILES = 16  # of the largest mark, in all frames of a chunk: the windows of two chunks are in memory, up to 6 MB each
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
    stretches: Sequence[range] = EVERYTHING,
) -> Iterator[Frame]:
    """Yields the frames in order, cleaned. `watch` is called for each. `chunk_frames` changes speed and memory, not the result.

    stretches: the numbers of the frames that are yielded, in rising ranges. `frames` needs no others but those in `frames_around` them.
    """
    pending: _Chunk | None = None
    chunk_frames = chunk_frames or max(1, min(CHUNK_FRAMES, CHUNK_TILES // inpainter.most_tiles))
    for chunk in _begin_chunks(frames, inpainter, chunk_frames, stretches):
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


def _begin_chunks(frames: Iterable[Frame], inpainter: Inpainter, chunk_frames: int, stretches: Sequence[range]) -> Iterator[_Chunk]:
    """Hands the frames to the inpainter in chunks, each as soon as all frames that its references may need are read."""
    held: dict[int, Frame] = {}
    starts = ((stretch, start) for stretch in stretches for start in range(stretch.start, stretch.stop, chunk_frames))
    chunks = (range(start, min(stretch.stop, start + chunk_frames)) for stretch, start in starts)
    following = next(chunks, NOTHING)

    def begin(indices: range) -> _Chunk:
        return _Chunk([held[index] for index in indices], inpainter.begin(indices, held))

    for frame in frames:
        held[frame.index] = frame
        if frame.index >= following.stop - 1 + REACH_FRAMES:
            yield begin(following)
            following = next(chunks, NOTHING)
            held = {index: kept for index, kept in held.items() if index >= following.start - REACH_FRAMES}
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
