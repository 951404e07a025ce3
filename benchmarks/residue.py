"""Measures the remainder of real marks without ground truth: cleans marked files, and compares each located mark in input and output.

    python -m benchmarks.residue samples/marked.mp4

Each placement has two metrics, before and after. A visible mark has about 1, an absent one about 0, and an overcorrected one less than 0:
the amplitude with which the mark's effect on its surroundings explains the pictures, and the correlation of the pictures' fine detail,
averaged over the interval, with the effect's. Both use the measured matte, so marks that were not found do not count. The texture of a
static scene can hide a remainder: compare with the metrics before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.media import Picture, pictures_of
from benchmarks.product import cleaner
from benchmarks.summary import number, table
from service.pipeline.marks.presence import fill_hole
from service.pipeline.placement import Box, Placement, intersect, shared_slices

Floats = NDArray[np.float32]

AROUND_PIXELS = 16  # of surroundings from which a mark's place is filled
DETAIL_PIXELS = 3.0  # standard deviation of the blur that is subtracted: it keeps strokes of letters and removes shading


@dataclass(frozen=True)
class Trace:
    """How much of a mark a file shows: least-squares amplitude, and correlation of detail; None if the mark has no effect."""

    amplitude: float | None
    correlation: float | None


@dataclass(frozen=True)
class Residue:
    """A placement's traces in the marked and in the cleaned file."""

    placement: Placement
    before: Trace
    after: Trace


@dataclass(frozen=True)
class MarkView:
    """A mark in one frame, in its box with surroundings. opacity (h, w), 0 outside its mask; colour (3, h, w); both in [0, 1].

    `hidden` (h, w): pixels under any mark of the frame; `own` (h, w): pixels to compare, near this mark and not under another.
    """

    box: Box
    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    hidden: NDArray[np.bool_] = field(repr=False)
    own: NDArray[np.bool_] = field(repr=False)


@dataclass
class _Sums:
    """Sums of one mark in one file, over its interval."""

    explained: float = 0.0
    possible: float = 0.0
    picture_detail: Floats | float = 0.0
    effect_detail: Floats | float = 0.0
    own: NDArray[np.bool_] | bool = True

    def add(self, picture: Picture, view: MarkView) -> None:
        crop = picture[view.box.slices].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        fill = fill_hole(crop, view.hidden)
        effect = view.opacity * (view.colour - fill)
        self.explained += float((effect * (crop - fill)).sum())
        self.possible += float((effect * effect).sum())
        self.picture_detail = self.picture_detail + detail(crop)
        self.effect_detail = self.effect_detail + detail(effect)
        self.own = self.own & view.own

    def trace(self) -> Trace:
        amplitude = self.explained / self.possible if self.possible > 0 else None
        if not np.any(self.own):
            return Trace(amplitude, None)
        return Trace(amplitude, correlation(np.asarray(self.picture_detail)[self.own], np.asarray(self.effect_detail)[self.own]))


def residues(placements: Sequence[Placement], before: Iterable[Picture], after: Iterable[Picture]) -> list[Residue]:
    """The traces of each placement in the (H, W, 3) uint8 pictures of the marked and of the cleaned file."""
    sums = [(_Sums(), _Sums()) for _ in placements]
    for index, pictures in enumerate(zip(before, after, strict=True)):
        for place, view in views(placements, index, pictures[0].shape[:2]):
            for picture, part in zip(pictures, sums[place], strict=True):
                part.add(picture, view)
    return [Residue(placement, old.trace(), new.trace()) for placement, (old, new) in zip(placements, sums, strict=True)]


def views(placements: Sequence[Placement], frame_index: int, size: tuple[int, int]) -> Iterator[tuple[int, MarkView]]:
    """(index, view) of each placement in a frame of (height, width) pixels."""
    visible = [(place, placement) for place, placement in enumerate(placements) if placement.covers(frame_index)]
    for place, placement in visible:
        yield place, _view(placement, [other for index, other in visible if index != place], size)


def _view(placement: Placement, others: Sequence[Placement], size: tuple[int, int]) -> MarkView:
    inner = placement.box
    box = Box(
        max(0, inner.left - AROUND_PIXELS),
        max(0, inner.top - AROUND_PIXELS),
        min(size[1], inner.right + AROUND_PIXELS),
        min(size[0], inner.bottom + AROUND_PIXELS),
    )
    here, _ = shared_slices(box, inner)
    mask, other_marks = _masked(box, [placement]), _masked(box, others)
    opacity, colour = np.zeros(mask.shape, np.float32), np.zeros((3, *mask.shape), np.float32)
    opacity[here], colour[:, here[0], here[1]] = placement.opacity * (placement.mask > 0.5), placement.colour
    side = 2 * round(2 * DETAIL_PIXELS) + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return MarkView(box, opacity, colour, mask | other_marks, near & ~other_marks)


def _masked(box: Box, placements: Sequence[Placement]) -> NDArray[np.bool_]:
    """The pixels (h, w) of a box under any of the placements."""
    mask = np.zeros((box.height, box.width), bool)
    for placement in placements:
        if intersect(box, placement.box):
            here, there = shared_slices(box, placement.box)
            mask[here] |= placement.mask[there] > 0.5
    return mask


def detail(rgb: Floats) -> Floats:
    """The fine detail (h, w) of (3, h, w): its grey values minus their blur."""
    grey = rgb.mean(0)
    fine: Floats = (grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_PIXELS)).astype(np.float32, copy=False)
    return fine


def correlation(x: Floats, y: Floats) -> float | None:
    """Pearson's correlation, in [-1, 1]; None if one of them does not vary."""
    return None if x.std() < 1e-7 or y.std() < 1e-7 else float(np.corrcoef(x, y)[0, 1])


def metrics_of(residue: Residue) -> tuple[float | None, ...]:
    """Amplitude before and after, correlation before and after."""
    before, after = residue.before, residue.after
    return before.amplitude, after.amplitude, before.correlation, after.correlation


def overall(found: Sequence[Residue]) -> tuple[float | None, ...]:
    """Amplitude before and after, correlation before and after, averaged over the placements by pixels and frames."""
    weights = [float((r.placement.mask > 0.5).sum()) * (r.placement.last_frame - r.placement.first_frame + 1) for r in found]
    return tuple(_weighted_mean(column, weights) for column in zip(*map(metrics_of, found), strict=True))


def _weighted_mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def markdown(found: Sequence[Residue]) -> str:
    """A table with a line for each placement, and one for all."""
    head = ("frames", "box", "opacity", "amplitude before", "after", "correlation before", "after")
    whole = ["all", "", "", *(number(value, 3) for value in overall(found))]
    return "\n".join(table(head, [*map(_cells, found), whole]))


def _cells(residue: Residue) -> list[str]:
    placement, box = residue.placement, residue.placement.box
    opacity = float(placement.opacity[placement.mask > 0.5].mean())
    place = [f"{placement.first_frame}-{placement.last_frame}", f"{box.left},{box.top},{box.right},{box.bottom}", number(opacity, 2)]
    return [*place, *(number(value, 3) for value in metrics_of(residue))]


def main(
    files: Annotated[list[Path], typer.Argument(help="Marked videos and photos.", exists=True, dir_okay=False)],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Clean each file and print the remainders of its marks."""
    clean = cleaner(device)
    for source in files:
        with TemporaryDirectory() as scratch:
            target = Path(scratch) / source.name
            found = residues(clean(source, target), pictures_of(source), pictures_of(target))
        print(f"{source.name}\n\n{markdown(found)}\n" if found else f"{source.name}: no mark found\n", flush=True)


if __name__ == "__main__":
    typer.run(main)
