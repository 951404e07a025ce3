"""Choose reference frames, which show what a mark hides, and find where the same piece of the scene lies in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.arrays import Floats
from models.references import MAX_CHANGE_RESIDUAL, OFFSETS, SHRINK, Alignment, Reference, Shift, choose, shift_between, shrunk
from service.pipeline.picture.view import View
from service.pipeline.placement import Box
from service.pipeline.remove.mark_windows import MarkWindows
from service.pipeline.video import Frame, VideoInfo

RING_PIXELS = 24  # around a window, whose motion is assumed to be that of its surroundings
SUBPIXEL_STEPS = 16  # per pixel, to which shifts are rounded, so that their sum does not depend on the frame it starts from
EXTENT_SLACK_FRAMES = 2  # before and after a mark's interval, in which its place is still not used: the mark may show there
MAX_KNOWN = 8  # views of one window whose known pixels are kept: most frames have the same marks
MAX_GREYS = 4  # of a window: the target, and the frames up to which the scene was followed; others are made again when they are the target
MAX_DRIFT_PIXELS = 6  # error of a sum of many shifts that can still be corrected


@dataclass(frozen=True)
class _Grey:
    """A view of a frame at the size at which motion is measured. luma: (h, w) in [0, 1]. known: (h, w), 1 where it shows the scene."""

    luma: Floats = field(repr=False)
    known: Floats = field(repr=False)


class ReferenceAligner:
    """Finds the references of one window, for one frame after the other. Frames have to come in order."""

    def __init__(self, box: Box, windows: MarkWindows, info: VideoInfo) -> None:
        self._view = View.of(box)
        self._region = View.of(box, RING_PIXELS)
        self._windows = windows
        self._info = info
        self._greys: dict[int, _Grey] = {}  # of the region, by frame index; the last ones
        self._shifts: dict[int, Shift] = {}  # from a frame to the next one
        self._known: dict[tuple[tuple[int, ...], View], Floats] = {}  # by the frame's marks and the view

    def references(self, target: int, frames: Mapping[int, Frame]) -> tuple[Alignment, ...]:
        """The references for the target frame, chosen from `frames` up to the farthest offset. Missing ones are the target itself.

        A chosen frame whose alignment fails is dropped, and the choice is repeated without it.
        """
        self._forget(target)
        hole = self._windows.hidden_pixels(target, self._view)
        candidates = [*self._candidates(target, frames, -1), *self._candidates(target, frames, 1)]
        refined: dict[Reference, Alignment | None] = {}
        while True:
            chosen = choose(
                target, hole, candidates, lambda r: self._windows.hidden_pixels(r.frame, self._view.moved(r.dy, r.dx), EXTENT_SLACK_FRAMES)
            )
            refined |= {reference: self._refine(target, reference, frames) for reference in chosen if reference not in refined}
            aligned = [exact for reference in chosen if (exact := refined[reference]) is not None]
            if len(aligned) == len(chosen):
                return tuple(aligned)
            candidates = [candidate for candidate in candidates if candidate not in refined or refined[candidate] is not None]

    def _candidates(self, target: int, frames: Mapping[int, Frame], direction: int) -> list[Reference]:
        """The frames at the offsets in one direction (-1 or 1), as far as the scene can be followed from frame to frame."""
        found, y, x = list[Reference](), 0, 0
        for distance in range(1, OFFSETS[-1] + 1):
            frame = target + direction * distance
            if frame not in frames:
                break
            shift = self._shift_to_next(min(frame, frame - direction), frames)
            if not shift.matched:
                break
            y, x = y + direction * round(shift.dy * SUBPIXEL_STEPS), x + direction * round(shift.dx * SUBPIXEL_STEPS)
            candidate = Reference(frame, round(y / SUBPIXEL_STEPS), round(x / SUBPIXEL_STEPS))
            if distance in OFFSETS and self._is_mostly_inside(candidate):
                found.append(candidate)
        return found

    def _is_mostly_inside(self, reference: Reference) -> bool:
        """Whether at least half of the shifted window lies inside the picture."""
        view = self._view.moved(reference.dy, reference.dx)
        inner = view.inner(self._info.width, self._info.height)
        return inner is not None and 2 * inner.width * inner.height >= view.width * view.height

    def _shift_to_next(self, frame: int, frames: Mapping[int, Frame]) -> Shift:
        """The scene's shift from a frame to the next one."""
        if frame not in self._shifts:
            here, there = self._region_grey(frame, frames), self._region_grey(frame + 1, frames)
            self._shifts[frame] = shift_between(here.luma, there.luma, here.known, there.known)
        return self._shifts[frame]

    def _refine(self, target: int, reference: Reference, frames: Mapping[int, Frame]) -> Alignment | None:
        """Corrects a summed shift by comparing the two frames directly. None if the scene has changed in between, or moved out of sight."""
        if reference.frame == target:
            return Alignment(target, 0, 0)
        here = self._region_grey(target, frames)
        there = self._grey(reference.frame, self._region.moved(reference.dy, reference.dx), frames)
        stands = not (reference.dy or reference.dx)
        correction = shift_between(here.luma, there.luma, here.known, there.known, MAX_DRIFT_PIXELS // SHRINK, MAX_CHANGE_RESIDUAL, stands)
        if not correction.matched:
            return None
        aligned = Alignment(reference.frame, reference.dy + correction.dy, reference.dx + correction.dx)
        crop = self._view.moved(aligned.on_grid.dy, aligned.on_grid.dx)
        return aligned if crop.inner(self._info.width, self._info.height) else None

    def _region_grey(self, frame: int, frames: Mapping[int, Frame]) -> _Grey:
        """The window with its surroundings, not shifted."""
        grey = self._greys.pop(frame, None) or self._grey(frame, self._region, frames)
        self._greys[frame] = grey
        if len(self._greys) > MAX_GREYS:
            del self._greys[next(iter(self._greys))]
        return grey

    def _grey(self, frame: int, view: View, frames: Mapping[int, Frame]) -> _Grey:
        """The view of a frame, padded where it lies outside the picture."""
        inner = view.inner(self._info.width, self._info.height)
        if inner is None:
            empty = shrunk(np.zeros((view.height, view.width), np.float32))
            return _Grey(empty, empty)
        luma = view.padded(frames[frame].planes[0][inner.slices], inner).astype(np.float32) / (2**self._info.pixel_format.bit_depth - 1)
        return _Grey(shrunk(luma), self._known_in(frame, view))

    def _known_in(self, frame: int, view: View) -> Floats:
        """The pixels of a view that show the scene; one array for all frames with the same marks."""
        key = self._windows.active(frame), view
        if key not in self._known:
            self._known[key] = (shrunk(1 - self._windows.hidden_pixels(frame, view).astype(np.float32)) > 0.99).astype(np.float32)
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[key]

    def _forget(self, target: int) -> None:
        """Drops the shifts that neither this target nor a later one needs."""
        oldest = target - OFFSETS[-1]
        self._shifts = {frame: shift for frame, shift in self._shifts.items() if frame >= oldest}
