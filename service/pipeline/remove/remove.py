"""Restore a whole video: frames in, the same frames without their marks out. Holds only the frames that references need."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from models.references import REACH_FRAMES
from service.pipeline.picture.composite import paste_all
from service.pipeline.remove.inpaint import Inpainter, Patch
from service.pipeline.video import Frame, VideoInfo

CHUNK_FRAMES = 4  # frames restored together, so that their windows share a batch

Watcher = Callable[[Frame, Frame], None]  # called with a frame as decoded and as cleaned


@dataclass(frozen=True)
class _Chunk:
    """Frames whose windows are with the network. patches: waits for its answers and returns the patches by frame index."""

    frames: list[Frame]
    patches: Callable[[], dict[int, list[Patch]]]


def remove(
    frames: Iterable[Frame], inpainter: Inpainter, info: VideoInfo, watch: Watcher, chunk_frames: int = CHUNK_FRAMES
) -> Iterator[Frame]:
    """Yields the frames in order, cleaned. `watch` is called for each. `chunk_frames` changes the speed, not the result."""
    pending: _Chunk | None = None
    for chunk in _begin_chunks(frames, inpainter, chunk_frames):
        if pending:  # composited while the network restores the next chunk
            yield from _composite(pending, info, watch)
        pending = chunk
    if pending:
        yield from _composite(pending, info, watch)


def _begin_chunks(frames: Iterable[Frame], inpainter: Inpainter, chunk_frames: int) -> Iterator[_Chunk]:
    """Hands the frames to the inpainter in chunks, each as soon as all frames that its references may need are read."""
    held: dict[int, Frame] = {}
    next_index = 0  # of the first frame that is not in a chunk yet

    def begin(indices: range) -> _Chunk:
        return _Chunk([held[index] for index in indices], inpainter.begin(indices, held))

    for frame in frames:
        held[frame.index] = frame
        if frame.index >= next_index + chunk_frames - 1 + REACH_FRAMES:
            yield begin(range(next_index, next_index + chunk_frames))
            next_index += chunk_frames
            held = {index: kept for index, kept in held.items() if index >= next_index - REACH_FRAMES}
    end = max(held, default=-1) + 1
    for start in range(next_index, end, chunk_frames):
        yield begin(range(start, min(end, start + chunk_frames)))


def _composite(chunk: _Chunk, info: VideoInfo, watch: Watcher) -> Iterator[Frame]:
    """Lays the patches over the frames of a chunk."""
    patches = chunk.patches()
    for frame in chunk.frames:
        clean = paste_all(frame, [(patch.box, patch.rgb, patch.alpha) for patch in patches[frame.index]], info)
        watch(frame, clean)
        yield clean
