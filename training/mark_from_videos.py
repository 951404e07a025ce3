"""A user's own mark without a picture of it: what the service measures in several marked videos, put together.

People rarely have a clean picture of the mark in their files. The service finds and measures the mark in each of them; the shape that comes
back in most files is the mark, and its opacity and colour are averaged over them, each weighted by how exactly it was measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import CleanplateError
from service.inference.session import Networks
from service.pipeline.marks.similarity import match_shapes
from service.pipeline.measure.pool import MIN_CORRELATION
from service.pipeline.picture.view import crop_padded
from service.pipeline.placement import Placement, bounding_box
from service.pipeline.request import Request
from service.pipeline.run import detect
from training.own_mark import VISIBLE, InputError

Floats = NDArray[np.float32]

MIN_FILES = 2  # in which the same shape has to be found: what is in one file only may be a part of its scene
MIN_SIGMA = 0.01  # of the opacity; no measurement is more exact than that
COMMON_SHORT_SIDE_PIXELS = 720  # of the pictures at whose size marks of several files are compared


@dataclass(frozen=True)
class Found:
    """A mark as it was measured in one file, scaled as if the picture's short side had COMMON_SHORT_SIDE_PIXELS.

    alpha: (h, w) and colour: (h, w, 3), float32 in [0, 1]. sigma: (h, w), standard deviation of alpha's error. share: its longer side as a
    share of the picture's short side.
    """

    file: Path
    alpha: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    share: float


@dataclass(frozen=True)
class CommonMark:
    """The mark that several files share: RGBA (h, w, 4) uint8, the files, and the range of its size as `OwnMark.size` has it."""

    picture: NDArray[np.uint8] = field(repr=False)
    files: tuple[Path, ...]
    size: tuple[float, float]


def mark_in(folder: Path, networks: Networks) -> CommonMark:
    """The mark that most of the folder's videos and pictures share. Raises InputError if no two of them do."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if len(files) < MIN_FILES:
        raise InputError(f"{folder} holds {len(files)} files: at least {MIN_FILES} with the same mark are needed")
    return common_mark([mark for path in files for mark in _marks_of(path, networks)])


def common_mark(marks: Sequence[Found]) -> CommonMark:
    """The mark that is alike in most files; of several, the one that covers most. Raises InputError if none is in two of them. Pure."""
    groups = [_alike(known, marks) for known in marks]
    best = max(groups, key=lambda group: (len({one.file for one in group}), float(group[0].alpha.sum())), default=[])
    files = tuple(sorted({one.file for one in best}))
    if len(files) < MIN_FILES:
        raise InputError("no mark was found that two of the files share: give a picture of it with --mark")
    shares = [one.share for one in best]
    return CommonMark(_averaged(best), files, (min(shares), min(1.0, max(shares))))


def _marks_of(path: Path, networks: Networks) -> Iterator[Found]:
    """The marks that the service finds in a file. A file that it refuses is passed over, with a line that says so."""
    try:
        report = detect(path, Request(), networks)
    except CleanplateError as error:
        print(f"{path.name}: {error}", flush=True)
        return
    short_side = min(report.info.width, report.info.height)
    print(f"{path.name}: {len(report.placements)} marks", flush=True)
    for placement in report.placements:
        yield from _found(path, placement, short_side)


def _found(path: Path, mark: Placement, short_side: int) -> Iterator[Found]:
    """The mark of one placement, if it is visible, as if its picture's short side had COMMON_SHORT_SIDE_PIXELS."""
    alpha = np.where(mark.mask > 0.5, mark.opacity, 0).astype(np.float32)
    if not (alpha > VISIBLE).any():
        return
    colour = np.ascontiguousarray(mark.colour.transpose(1, 2, 0))
    sigma = np.ascontiguousarray(np.broadcast_to(np.asarray(mark.opacity_sigma, np.float32), alpha.shape))
    scale = COMMON_SHORT_SIDE_PIXELS / short_side
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    planes = [cv2.resize(plane, None, fx=scale, fy=scale, interpolation=method) for plane in (alpha, colour, sigma)]
    visible = bounding_box(alpha > VISIBLE)
    yield Found(path, *planes, max(visible.width, visible.height) / short_side)


def _alike(known: Found, marks: Sequence[Found]) -> list[Found]:
    """The mark itself, then the most similar one of each file that has a similar one, moved to where `known` has its pixels."""
    best: dict[Path, tuple[float, Found]] = {}
    for other in marks:
        if other is known:
            continue
        similarity, top, left = match_shapes(known.alpha, other.alpha)
        if similarity > max(MIN_CORRELATION, best.get(other.file, (0.0, known))[0]):
            best[other.file] = similarity, _moved(other, top, left, *known.alpha.shape)
    return [known, *(mark for file, (_, mark) in best.items() if file != known.file)]


def _moved(mark: Found, top: int, left: int, height: int, width: int) -> Found:
    """The (height, width) crop of a mark that starts at (top, left); outside it nothing is marked, and nothing is known."""

    def cut(plane: Floats, repeat_edge: bool = True) -> Floats:
        crop: Floats = crop_padded(plane, top, left, height, width, repeat_edge)
        return crop

    colour = np.ascontiguousarray(cut(mark.colour.transpose(2, 0, 1)).transpose(1, 2, 0))
    return replace(mark, alpha=cut(mark.alpha, repeat_edge=False), colour=colour, sigma=cut(mark.sigma))


def _averaged(marks: Sequence[Found]) -> NDArray[np.uint8]:
    """RGBA (h, w, 4): the mean opacity, weighted by its precision, and the mean colour, weighted by that and by the opacity."""
    alphas, colours = np.stack([mark.alpha for mark in marks]), np.stack([mark.colour for mark in marks])
    precision = 1 / (np.stack([mark.sigma for mark in marks]) ** 2 + MIN_SIGMA**2)
    alpha = (precision * alphas).sum(0) / precision.sum(0)
    share = (precision * alphas)[..., None]
    colour = (share * colours).sum(0) / np.maximum(share.sum(0), 1e-6)
    rgba = np.concatenate([colour, alpha[..., None]], 2)
    picture: NDArray[np.uint8] = np.rint(rgba.clip(0, 1) * 255).astype(np.uint8)
    return picture
