"""Steps 6 and 7 for a whole video: frames in, the same frames without their marks out, holding only what references need."""

from collections.abc import Callable, Iterable, Iterator

from models.references import REACH_FRAMES
from service.pipeline.composite import paste
from service.pipeline.inpaint import Inpainter
from service.pipeline.video import Frame, VideoInfo

CHUNK_FRAMES = 4  # restored together, so that their windows share a batch

Watcher = Callable[[Frame, Frame], None]


def remove(
    frames: Iterable[Frame], inpainter: Inpainter, info: VideoInfo, watch: Watcher, chunk_frames: int = CHUNK_FRAMES
) -> Iterator[Frame]:
    """The frames in order, cleaned; `watch` sees each as it was and as it is now. The chunks' size changes the speed, not the result."""
    held: dict[int, Frame] = {}
    waiting = 0  # the first frame that has not gone out yet
    for frame in frames:
        held[frame.index] = frame
        if frame.index >= waiting + chunk_frames - 1 + REACH_FRAMES:
            yield from _cleaned(range(waiting, waiting + chunk_frames), held, inpainter, info, watch)
            waiting += chunk_frames
            held = {index: kept for index, kept in held.items() if index >= waiting - REACH_FRAMES}
    end = max(held, default=-1) + 1
    for start in range(waiting, end, chunk_frames):
        yield from _cleaned(range(start, min(end, start + chunk_frames)), held, inpainter, info, watch)


def _cleaned(indices: range, held: dict[int, Frame], inpainter: Inpainter, info: VideoInfo, watch: Watcher) -> Iterator[Frame]:
    patches = inpainter.patches(indices, held)
    for index in indices:
        clean = held[index]
        for patch in patches[index]:
            clean = paste(clean, patch.box, patch.rgb, patch.alpha, info)
        watch(held[index], clean)
        yield clean
