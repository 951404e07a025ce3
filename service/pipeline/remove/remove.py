"""Steps 6 and 7 for a whole video: frames in, the same frames without their marks out, holding only what references need."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from models.references import REACH_FRAMES
from service.pipeline.picture.composite import paste
from service.pipeline.remove.inpaint import Inpainter, Patch
from service.pipeline.video import Frame, VideoInfo

CHUNK_FRAMES = 4  # restored together, so that their windows share a batch

Watcher = Callable[[Frame, Frame], None]


@dataclass(frozen=True)
class _Chunk:
    """Frames that the network restores at this moment, and what waits for its answers."""

    frames: list[Frame]
    patches: Callable[[], dict[int, list[Patch]]]


def remove(
    frames: Iterable[Frame], inpainter: Inpainter, info: VideoInfo, watch: Watcher, chunk_frames: int = CHUNK_FRAMES
) -> Iterator[Frame]:
    """The frames in order, cleaned; `watch` sees each as it was and as it is now. The chunks' size changes the speed, not the result."""
    before: _Chunk | None = None
    for chunk in _begun(frames, inpainter, chunk_frames):
        if before:  # while the network restores the next ones
            yield from _cleaned(before, info, watch)
        before = chunk
    if before:
        yield from _cleaned(before, info, watch)


def _begun(frames: Iterable[Frame], inpainter: Inpainter, chunk_frames: int) -> Iterator[_Chunk]:
    """The frames in chunks, each as soon as all of its references are there."""
    held: dict[int, Frame] = {}
    waiting = 0  # the first frame that has not gone out yet

    def chunk(indices: range) -> _Chunk:
        return _Chunk([held[index] for index in indices], inpainter.begin(indices, held))

    for frame in frames:
        held[frame.index] = frame
        if frame.index >= waiting + chunk_frames - 1 + REACH_FRAMES:
            yield chunk(range(waiting, waiting + chunk_frames))
            waiting += chunk_frames
            held = {index: kept for index, kept in held.items() if index >= waiting - REACH_FRAMES}
    end = max(held, default=-1) + 1
    for start in range(waiting, end, chunk_frames):
        yield chunk(range(start, min(end, start + chunk_frames)))


def _cleaned(chunk: _Chunk, info: VideoInfo, watch: Watcher) -> Iterator[Frame]:
    patches = chunk.patches()
    for frame in chunk.frames:
        clean = frame
        for patch in patches[frame.index]:
            clean = paste(clean, patch.box, patch.rgb, patch.alpha, info)
        watch(frame, clean)
        yield clean
