"""Restore a whole video: frames in, the same frames without their marks out. Holds only the frames that references need."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from models.references import REACH_FRAMES
from service.pipeline.picture.composite import paste_all
from service.pipeline.remove.inpaint import TILES_AT_ONCE, Inpainter, Patch
from service.pipeline.video import Frame, Limits, VideoInfo

CHUNK_FRAMES = 4  # frames restored together, at most, so that their windows share a batch

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
) -> Iterator[Frame]:
    """Yields the frames in order, cleaned. `watch` is called for each. `chunk_frames` changes speed and memory, not the result.

    Of large pictures, references are searched among fewer frames.
    """
    pending: _Chunk | None = None
    chunk_frames = chunk_frames or max(1, min(CHUNK_FRAMES, TILES_AT_ONCE // inpainter.most_tiles))
    for chunk in _begin_chunks(frames, inpainter, chunk_frames, limits):
        if pending:  # composited while the network restores the next chunk
            yield from _composite(pending, info, watch)
        pending = chunk
    if pending:
        yield from _composite(pending, info, watch)


def _begin_chunks(frames: Iterable[Frame], inpainter: Inpainter, chunk_frames: int, limits: Limits) -> Iterator[_Chunk]:
    """Hands the frames to the inpainter in chunks, each as soon as all frames that its references may need are read."""
    held: dict[int, Frame] = {}
    next_index, reach = 0, REACH_FRAMES  # the first frame that is not in a chunk yet; frames held on either side of a chunk

    def begin(indices: range) -> _Chunk:
        return _Chunk([held[index] for index in indices], inpainter.begin(indices, held))

    for frame in frames:
        held[frame.index] = frame
        reach = min(REACH_FRAMES, max(1, limits.around_bytes // (2 * sum(plane.nbytes for plane in frame.planes))))
        if frame.index >= next_index + chunk_frames - 1 + reach:
            yield begin(range(next_index, next_index + chunk_frames))
            next_index += chunk_frames
            held = {index: kept for index, kept in held.items() if index >= next_index - reach}
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
