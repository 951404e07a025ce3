"""Step 6, first half: which frames show what a mark hides, and where in them that piece of the scene lies."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.references import CHANGED, OFFSETS, SHRINK, Reference, Shift, choose, shift_between, shrunk
from service.pipeline.picture.view import View
from service.pipeline.placement import Box
from service.pipeline.remove.mark_windows import MarkWindows
from service.pipeline.video import Frame, VideoInfo

Floats = NDArray[np.float32]

RING_PIXELS = 24  # around a window: its motion is that of what is near
SUBPIXEL_STEPS = 16  # positions are whole sixteenths of a pixel, so that a sum of steps does not depend on where it begins
EXTENT_SLACK_FRAMES = 2  # before and after a mark's stay, which may still show it: nothing is borrowed from there
MAX_DRIFT_PIXELS = 6  # by which the sum of many steps may be wrong


class ReferenceAligner:
    """One window of the picture, and where its piece of the scene lies in the frames around the one to be restored."""

    def __init__(self, box: Box, windows: MarkWindows, info: VideoInfo) -> None:
        self._view = View.of(box)
        self._region = View.of(box, RING_PIXELS)
        self._windows = windows
        self._info = info
        self._greys: dict[int, tuple[Floats, Floats]] = {}
        self._steps: dict[int, Shift] = {}

    def references(self, target: int, frames: Mapping[int, Frame]) -> tuple[Reference, ...]:
        """The frames to lay beside the target, of those at hand up to the farthest offset; the target itself where there are too few."""
        self._forget(target)
        hole = self._windows.hidden_pixels(target, self._view)
        candidates = [*self._followed(target, frames, -1), *self._followed(target, frames, 1)]
        refined: dict[Reference, Reference | None] = {}
        while True:
            chosen = choose(
                target, hole, candidates, lambda r: self._windows.hidden_pixels(r.frame, self._view.moved(r.dy, r.dx), EXTENT_SLACK_FRAMES)
            )
            refined |= {reference: self._refined(target, reference, frames) for reference in chosen if reference not in refined}
            found = [fine for reference in chosen if (fine := refined[reference]) is not None]
            if len(found) == len(chosen):
                return tuple(found)
            candidates = [candidate for candidate in candidates if refined.get(candidate, candidate) is not None]

    def _followed(self, target: int, frames: Mapping[int, Frame], side: int) -> list[Reference]:
        """On one side, the frames at the offsets, as far as the scene can be followed from frame to frame."""
        found, y, x = list[Reference](), 0, 0
        for distance in range(1, OFFSETS[-1] + 1):
            frame = target + side * distance
            if frame not in frames:
                break
            step = self._step(min(frame, frame - side), frames)
            if not step.alike:
                break
            y, x = y + side * round(step.dy * SUBPIXEL_STEPS), x + side * round(step.dx * SUBPIXEL_STEPS)
            moved = Reference(frame, round(y / SUBPIXEL_STEPS), round(x / SUBPIXEL_STEPS))
            if distance in OFFSETS and self._shows(moved):
                found.append(moved)
        return found

    def _shows(self, moved: Reference) -> bool:
        """Whether at least half of the window lies in the picture there."""
        view = self._view.moved(moved.dy, moved.dx)
        inner = view.inner(self._info.width, self._info.height)
        return inner is not None and 2 * inner.width * inner.height >= view.width * view.height

    def _step(self, frame: int, frames: Mapping[int, Frame]) -> Shift:
        """From a frame to the next one."""
        if frame not in self._steps:
            (one, known), (other, shown) = self._grey(frame, frames), self._grey(frame + 1, frames)
            self._steps[frame] = shift_between(one, other, known, shown)
        return self._steps[frame]

    def _refined(self, target: int, reference: Reference, frames: Mapping[int, Frame]) -> Reference | None:
        """The sum of steps, set right by a look at both ends; None where something has come into the scene or gone in between."""
        if reference.frame == target:
            return reference
        one, known = self._grey(target, frames)
        other, shown = self._seen(reference.frame, self._region.moved(reference.dy, reference.dx), frames)
        fine = shift_between(one, other, known, shown, MAX_DRIFT_PIXELS // SHRINK, CHANGED)
        if not fine.alike:
            return None
        return Reference(reference.frame, reference.dy + round(fine.dy), reference.dx + round(fine.dx))

    def _grey(self, frame: int, frames: Mapping[int, Frame]) -> tuple[Floats, Floats]:
        if frame not in self._greys:
            self._greys[frame] = self._seen(frame, self._region, frames)
        return self._greys[frame]

    def _seen(self, frame: int, view: View, frames: Mapping[int, Frame]) -> tuple[Floats, Floats]:
        """The view's luma at the size at which motion is measured; and where it shows the scene, 0 or 1."""
        inner = view.inner(self._info.width, self._info.height)
        if inner is None:
            flat = shrunk(np.zeros((view.height, view.width), np.float32))
            return flat, flat
        luma = view.padded(frames[frame].planes[0][inner.slices], inner).astype(np.float32) / (2**self._info.pixel_format.bit_depth - 1)
        known = (shrunk(1 - self._windows.hidden_pixels(frame, view).astype(np.float32)) > 0.99).astype(np.float32)
        return shrunk(luma), known

    def _forget(self, target: int) -> None:
        """What no later target needs."""
        oldest = target - OFFSETS[-1]
        for kept in (self._greys, self._steps):
            for frame in [frame for frame in kept if frame < oldest]:
                del kept[frame]
