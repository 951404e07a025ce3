"""Cleans one file of the matrix as the service does, and judges what came back: kept, converted, not kept, refused, or a fault."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import CleanplateError, DecodeFailed, EncodeFailed, Truncated
from service.inference import fake
from service.inference.session import Networks
from service.pipeline.io.not_kept import Outcome, outcomes
from service.pipeline.placement import Box
from service.pipeline.report.detection import Detection
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Timeline
from tests.footage import placement
from tests.formats.films import NotWritten
from tests.formats.seen_film import Seen, differences

Fate = Literal["kept", "converted", "not kept", "refused", "fault"]
NOTHING: Final = Request(detect=False)
BOX: Final = Box(16, 16, 32, 32)  # what is removed
RIM_PIXELS: Final = 6  # around the box, which an encoder may change along with it
OUTSIDE_DB: Final = 15.0  # of pictures a few dozen pixels wide, at the least rate that the encoders are given
CHANGED: Final = 10.0  # mean square error in the box: the mark is gone
WORKERS: Final = 4


ALSO_SAID_OF: Final = {
    "pictures": ("pixel format",),
    "subtitle": ("closed captions",),
    "colour mode": ("palette", "black and white", "pictures"),
}  # by trait: what a word on it may name instead
UNREADABLE: Final = Seen((0, 0), {}, np.zeros((1, 1, 1), np.float32))


@dataclass(frozen=True)
class Cell:
    """One file of the matrix. place: group, row and column in the table. make: writes the file, or raises NotWritten.

    source, target: suffixes. see: reads what a file shows and carries. needs: what a source must carry; a muxer may have dropped it.
    """

    place: tuple[str, str, str]
    source: str
    target: str
    make: Callable[[Path], object]
    see: Callable[[Path], Seen]
    needs: str = ""

    @property
    def id(self) -> str:
        return " / ".join(self.place)


@dataclass(frozen=True)
class Verdict:
    """What became of a file. notes: what was said about it, or for a fault what was not."""

    fate: Fate
    notes: tuple[str, ...] = ()


def walk(cells: Sequence[Cell], workers: int = WORKERS) -> Iterator[tuple[Cell, Verdict | None]]:
    """Judge cells, in their order; None: FFmpeg writes no such file."""
    networks = fake.networks()
    with ThreadPoolExecutor(workers) as pool:
        yield from zip(cells, pool.map(lambda cell: judge(cell, networks), cells), strict=True)


def judge(cell: Cell, networks: Networks) -> Verdict | None:
    """Clean the file of a cell in a folder of its own."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        source, target, copy = folder / f"source{cell.source}", folder / f"target{cell.target}", folder / f"copy{cell.source}"
        try:
            cell.make(source)
        except NotWritten:
            return None
        try:
            before = cell.see(source)
        except (OSError, ValueError, StopIteration):  # of a format that no reader here knows, or a file that is none
            before = UNREADABLE
        if cell.needs and before is not UNREADABLE and cell.needs not in before.traits:
            return None
        detection = detection_of(len(before.pictures), before.size)
        try:
            report = clean(source, target, NOTHING, networks, detection=detection)
        except CleanplateError as error:
            return _refusal(error, before, sorted(path.name for path in folder.iterdir() if path != source))
        clean(source, copy, NOTHING, networks, detection=Detection((), detection.timeline, detection.size))
        if copy.read_bytes() != source.read_bytes():
            return Verdict("fault", ("without a mark the result is not the same file",))
        return _verdict(before, cell.see(target), report, outcomes(report.info, cell.target))


def _refusal(error: CleanplateError, before: Seen, left: list[str]) -> Verdict | None:
    """A whole file is not refused as damaged, and nothing is left behind."""
    is_damage = isinstance(error, (Truncated, DecodeFailed, EncodeFailed))
    if is_damage and before is UNREADABLE:
        return None
    if is_damage or left:
        return Verdict("fault", (f"{type(error).__name__}: {error}", *left))
    return Verdict("refused", (str(error),))


def detection_of(frames: int, size: tuple[int, int]) -> Detection:
    """One mark, in all frames, as if it had been found before. size: of the upright picture, width and height."""
    return Detection((placement(0, frames - 1, BOX),), Timeline(range(frames), Fraction(1, 25)), size)


def _verdict(before: Seen, after: Seen, report: Report, said: tuple[Outcome, ...]) -> Verdict:
    """What became of all traits. What differs must have been said."""
    changed = differences(before, after)
    fates = {_subject(each): each for each in said if each.fate != "kept"}
    told = {name: next((fates[each] for each in (name, *ALSO_SAID_OF.get(name, ())) if each in fates), None) for name in changed}
    silent = [name for name, outcome in told.items() if outcome is None]
    empty = [each.what for each in said if each.fate == "not kept" and _subject(each) not in changed]
    faults = [
        *(_told(name, before, after) for name in silent),
        *(f"{what}: named as not kept, but there" for what in empty),
        *_of_pictures(before, after),
    ]
    if faults:
        return Verdict("fault", tuple(faults))
    listed = {lost.what for lost in report.not_kept}
    if unlisted := [each.what for each in said if each.fate == "not kept" and each.what not in listed]:
        return Verdict("fault", tuple(f"{what}: not in the report" for what in unlisted))
    notes = tuple(f"{each.what}: {each.reason}" for each in said if each in told.values())
    worst: Collection[str] = {outcome.fate for outcome in told.values() if outcome}
    return Verdict("not kept" if "not kept" in worst else "converted" if worst else "kept", notes)


def _subject(said: Outcome) -> str:
    return said.what.partition(" (")[0]


def _told(name: str, before: Seen, after: Seen) -> str:
    return f"{name}: {_short(before.traits.get(name))} became {_short(after.traits.get(name))}, not said"


def _short(value: object) -> str:
    return repr(value)[:300]


def _of_pictures(before: Seen, after: Seen) -> Iterator[str]:
    """Whether the mark is gone, and all around it is as it was."""
    old, new = before.pictures, after.pictures
    if old.shape != new.shape:
        yield f"pictures of {old.shape} became {new.shape}"
        return
    error, box = (old - new) ** 2, _places(old.shape[1:])
    if error[:, box].mean() < CHANGED:
        yield "the mark is still there"
    decibels = 10 * np.log10(255**2 / max(1e-9, float(error[:, ~_grown(box)].mean())))
    if decibels < OUTSIDE_DB:
        yield f"outside the mark the pictures differ by {decibels:.1f} dB"


def _places(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where the box may be in a stored picture (h, w), turned and mirrored. It is as far from the left as from the top."""
    box = np.zeros(shape, bool)
    box[BOX.slices] = True
    return box | box[::-1] | box[:, ::-1] | box[::-1, ::-1]


def _grown(box: NDArray[np.bool_]) -> NDArray[np.bool_]:
    kernel = np.ones((2 * RIM_PIXELS + 1,) * 2, np.uint8)
    return cv2.dilate(box.astype(np.uint8), kernel).astype(bool)
