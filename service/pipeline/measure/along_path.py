"""A mark that moves on its own way, measured in its own frame of reference: there it stands and the scene moves.

Crops are taken along its path and moved until the mark lies at the same pixels in all of them. What measures a mark that stands then
measures this one, from more of the scene than most that stand are seen over.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bytes, Floats, Mask
from models.blend import detail_pixels
from service.inference.session import Networks
from service.pipeline.marks.candidate import Candidate, Followed
from service.pipeline.marks.decisions import UNNOTED, Notes
from service.pipeline.marks.gather import CropRequest, Crops, to_float
from service.pipeline.marks.mark_model import MarkModel, PredictedMark, opacity_level
from service.pipeline.marks.plan import MARKED_FRAMES, MIN_MARKED_FRAMES
from service.pipeline.marks.registration import fine_detail, match_detail, moved
from service.pipeline.measure.given_region import OPAQUE, Region, Solve, measure_region
from service.pipeline.measure.observe import ABSENT_SCORE_SHARE
from service.pipeline.measure.pixel_opacity import MIN_EDGE_SHARE, fit_pixel_opacity
from service.pipeline.measure.pool import MAX_OBSERVATIONS
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, bounding_box
from service.pipeline.remove.reference_alignment import SUBPIXEL_STEPS
from service.pipeline.video import Limits, VideoInfo


@dataclass(frozen=True, eq=False)
class Sight:
    """A frame in which the whole mark is in the picture, and the window there: the mark's frame of reference and what it may have moved."""

    frame: int
    view: View


@dataclass(frozen=True, eq=False)
class PathCrops:
    """What was seen along the path of a mark: crops (N, 3, h, w), one for each sight."""

    origin: Followed = field(repr=False)
    sights: Sequence[Sight] = field(repr=False)
    crops: Sequence[Bytes] = field(repr=False)


class CropsAlongPaths:
    """Collects the crops of all paths; a path's are complete with those of its last sight.

    requests: what is to be read. too_short: the paths of which nothing is.
    """

    def __init__(self, candidates: Iterable[Candidate], info: VideoInfo, limits: Limits = Limits()) -> None:
        origins = {c.path: c.origin for c in candidates if isinstance(c.origin, Followed)}
        sights = {path: sights_along(origin, info, limits) for path, origin in origins.items()}
        self.too_short = [PathCrops(origins[path], (), ()) for path, seen in sights.items() if not seen]
        self._origins, self._sights = origins, sights
        self._expected = [(path, sight, _inside(sight.view, info)) for path, seen in sights.items() for sight in seen]
        self._crops: dict[str, dict[int, Bytes]] = defaultdict(dict)
        self.requests = [CropRequest(box, frozenset({sight.frame})) for _, sight, box in self._expected]

    def add(self, request: int, crops: Crops) -> Iterator[PathCrops]:
        """Take in the crop of a request; yield the path that it completes."""
        path, sight, box = self._expected[request]
        seen, sights = self._crops[path], self._sights[path]
        seen[sight.frame] = sight.view.padded(crops[sight.frame], box)
        if len(seen) == len(sights):
            yield PathCrops(self._origins[path], sights, [seen[one.frame] for one in sights])
            del self._crops[path]


def _inside(view: View, info: VideoInfo) -> Box:
    box = view.inner(info.width, info.height)
    assert box is not None, "the mark lies in it"
    return box


def sights_along(origin: Followed, info: VideoInfo, limits: Limits) -> list[Sight]:
    """Frames all along the path, as many as are read of a mark that was seen at several places; none of a path too short to measure."""
    shape, reach = bounding_box(origin.pixels), origin.reach_pixels
    height, width = (side + 2 * reach for side in origin.pixels.shape)
    whole = [
        (frame, View(round(y), round(x), *origin.pixels.shape).grown(reach))
        for frame, (y, x) in origin.places.items()
        if y + shape.top >= 0 and x + shape.left >= 0 and y + shape.bottom <= info.height and x + shape.right <= info.width
    ]
    count = min(MAX_OBSERVATIONS * MARKED_FRAMES, max(MIN_MARKED_FRAMES, limits.crop_pixels // (height * width)), len(whole))
    if count < MIN_MARKED_FRAMES:
        return []
    return [Sight(*whole[number]) for number in np.unique(np.linspace(0, len(whole) - 1, count).round().astype(int))]


def measure_along_path(path: PathCrops, networks: Networks, solve: Solve, notes: Notes = UNNOTED) -> MarkModel | None:
    """The mark in its own frame of reference; None where it is opaque, or un-blending it is not proven to restore the scene."""
    crops = standing(path)
    notes("frames in which the mark is clear", len(crops), MIN_MARKED_FRAMES, "measured" if len(crops) >= MIN_MARKED_FRAMES else "filled")
    if len(crops) < MIN_MARKED_FRAMES:
        return None
    scenes = _scenes(path)

    def solve_pixels(crops: Floats, predicted: PredictedMark, notes: Notes) -> MarkModel:
        return fit_pixel_opacity(crops, solve(crops, predicted, notes), scenes)

    region = Region(np.ones(path.origin.pixels.shape, bool), exact=False)
    model = measure_region(crops, crops[:0], region, networks, solve_pixels, notes)
    opacity = model.opacity * model.mask
    shown = opacity > MIN_EDGE_SHARE
    if not shown.any() or float(np.median(opacity[shown])) >= OPAQUE:
        return None
    mask = opacity > MIN_EDGE_SHARE * opacity_level(opacity, shown)
    return replace(model, mask=mask.astype(np.float32), opacity=opacity)


def _scenes(path: PathCrops) -> float:
    """The number of crops that show the mark over different pixels of the scene: those farther apart than its strokes are wide."""
    places = np.array([path.origin.places[sight.frame] for sight in path.sights])
    travelled = float(np.abs(np.diff(places, axis=0)).max(1).sum())
    return min(len(places), 1 + travelled / detail_pixels(path.origin.pixels.astype(np.float32)))


def standing(path: PathCrops) -> Floats:
    """The crops (N, 3, h, w) in [0, 1] in the mark's frame of reference, without those in which too little of it is seen to place it."""
    origin, reach = path.origin, path.origin.reach_pixels
    if not path.crops:
        return np.zeros((0, 3, *origin.pixels.shape), np.float32)
    crops = to_float(np.stack(path.crops))
    expected = [origin.places[sight.frame] for sight in path.sights]
    start = np.array([(y - round(y), x - round(x)) for y, x in expected])
    details = fine_detail(crops, detail_pixels(origin.pixels.astype(np.float32)))
    offsets, strengths = register(details, start, dilate(origin.pixels, 1), reach)
    clear = strengths > ABSENT_SCORE_SHARE * float(np.median(strengths))
    return np.stack([_inner(moved(crop, *offset), reach) for crop, offset in zip(crops[clear], offsets[clear], strict=True)])


def register(details: Floats, offsets: NDArray[np.float64], around: Mask, reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the mark lies in each crop's detail (N, 3, h + 2 reach, w + 2 reach), and its strength there: (N, 2) as (y, x), and (N,).

    offsets: the same as expected. around: (h, w), the mark. Each crop is matched with the mean of all others at their places, until all
    places stay.
    """
    strengths = np.ones(len(details))
    for _ in range(2 * reach):
        still = np.stack([moved(detail, *offset) for detail, offset in zip(details, offsets, strict=True)])
        total = np.sum([_inner(one, reach) for one in still], axis=0) * around
        templates = [(total - _inner(one, reach) * around) / np.float32(len(still) - 1) for one in still]
        matches = [match_detail(one, template) for one, template in zip(still, templates, strict=True)]
        strengths = np.array([match.strength for match in matches])
        steps = np.array([(match.dy, match.dx) if np.isfinite(match.sigma) else (0, 0) for match in matches])
        steps -= np.median(steps, axis=0)  # together they do not move
        offsets = np.clip(offsets + steps, -reach, reach)
        if np.abs(steps).max() < 1 / SUBPIXEL_STEPS:
            break
    return offsets, strengths


def _inner(crop: Floats, reach: int) -> Floats:
    """The crop (3, h, w) without the outermost `reach` pixels."""
    return crop[..., reach:-reach, reach:-reach]
