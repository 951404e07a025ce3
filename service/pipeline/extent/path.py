"""A mark that was measured along its path: where it is in each frame, to a fraction of a pixel, and its placements there. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Mask
from models.blend import detail_pixels
from service.pipeline.locate.follow import STEADY_STEPS
from service.pipeline.marks.candidate import Followed
from service.pipeline.marks.gather import Crops, to_float
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.presence import fill_hole, mark_effect
from service.pipeline.marks.registration import Match, Place, fine_detail, match_detail, moved
from service.pipeline.measure.dilation import WIDE_PIXELS
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.measure.observe import ABSENT_SCORE_SHARE
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import View, crop_padded
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.reference_alignment import SUBPIXEL_STEPS
from service.pipeline.video import VideoInfo


@dataclass(frozen=True)
class Seen:
    """Where the (0, 0) of a mark's frame of reference lies in a frame, and the standard deviation of that place's error in pixels.

    shows: whether the frame shows the mark, as far as can be seen.
    """

    place: Place
    sigma: float
    shows: bool = True


@dataclass(frozen=True, eq=False)
class PieceOfPath:
    """One of the candidates along a path, and where its mark is in its frames."""

    mark: MeasuredMark
    seen: Mapping[int, Seen] = field(repr=False)


def piece_of_path(mark: MeasuredMark, crops: Crops, info: VideoInfo) -> PieceOfPath:
    """Where the mark is in each frame of which there is a crop (3, h, w)."""
    return PieceOfPath(mark, {frame: _see(mark, frame, to_float(crop), info) for frame, crop in crops.items()})


def placements_along(pieces: Sequence[PieceOfPath]) -> list[Placement]:
    """A placement for each frame of all paths."""
    found = []
    for path in dict.fromkeys(piece.mark.candidate.path for piece in pieces):
        own = [piece for piece in pieces if piece.mark.candidate.path == path]
        seen = _within_reach(steady({frame: one for piece in own for frame, one in piece.seen.items()}), own[0].mark)
        boxes = {frame: piece.mark.candidate.box for piece in own for frame in piece.seen}
        model = own[0].mark.model
        placed = PlacedModel(model, max(margin_pixels(box, model, seen[frame]) for frame, box in boxes.items()))
        found += [_placement(own[0].mark, frame, box, placed.within(box, seen[frame])) for frame, box in boxes.items()]
    return found


def _placement(mark: MeasuredMark, frame: int, box: Box, model: MarkModel) -> Placement:
    """An un-blended mark is replaced with what a codec carries beyond its edge."""
    planes, candidate = (model.mask, model.opacity, model.colour), mark.candidate
    return Placement(
        frame, frame, box, *planes, mark.confidence, candidate.kind, model.opacity_sigma, dilation_pixels=WIDE_PIXELS, path=candidate.path
    )


def _see(mark: MeasuredMark, frame: int, crop: Floats, info: VideoInfo) -> Seen:
    """The mark in one frame: its effect on what is around it is matched with the frame, again and again from the place found before."""
    origin, model, box = mark.candidate.origin, mark.model, mark.candidate.box
    assert isinstance(origin, Followed), "others do not move"
    reach, width = origin.reach_pixels, detail_pixels(model.opacity * model.mask)
    y, x = origin.places[frame]
    view = View(round(y), round(x), *model.mask.shape).grown(reach)
    window = crop_padded(crop, view.top - box.top, view.left - box.left, view.height, view.width, repeat_edge=True)
    detail, inside = fine_detail(window, width), _inside(view, info)
    dy, dx, match = y - round(y), x - round(x), Match(0, 0, np.inf, 0)
    for beside in (reach, WIDE_PIXELS, WIDE_PIXELS):
        here = _inner(moved(window, dy, dx), reach)
        template = fine_detail(mark_effect(fill_hole(here, model.pixels, beside), model), width)
        match = match_detail(moved(detail, dy, dx), template * (dilate(model.pixels, 1) & _inner(inside, reach)))
        if not math.isfinite(match.sigma):
            break
        dy, dx = (float(np.clip(value, -reach, reach)) for value in (dy + match.dy, dx + match.dx))
    shows = match.strength >= ABSENT_SCORE_SHARE
    return Seen((round(y) + dy, round(x) + dx), max(match.sigma, SUBPIXEL_STEPS**-2), shows)


def _inside(view: View, info: VideoInfo) -> Mask:
    """The pixels (h, w) of the view that lie in the picture."""
    inside = np.zeros((view.height, view.width), bool)
    if (shared := view.within(Box(0, 0, info.width, info.height))) is not None:
        inside[shared[0]] = True
    return inside


def _inner(values: NDArray[Any], reach: int) -> NDArray[Any]:
    return values[..., reach:-reach, reach:-reach]


def steady(seen: Mapping[int, Seen]) -> dict[int, Seen]:
    """The places, each weighed against the line on which those before, after or around it lie, whichever it fits best.

    A mark keeps its speed until it turns. One that is drawn at whole pixels scatters about its line, and then its own place counts more.
    """
    return {frame: _weighed(frame, seen) for frame in seen}


def _within_reach(seen: Mapping[int, Seen], mark: MeasuredMark) -> dict[int, Seen]:
    """The places, none farther from where the mark was expected than it can be."""
    origin = mark.candidate.origin
    assert isinstance(origin, Followed), "others do not move"
    places = {
        frame: np.clip(one.place, *np.add(origin.places[frame], [[-origin.reach_pixels], [origin.reach_pixels]]))
        for frame, one in seen.items()
    }
    return {frame: replace(one, place=(float(places[frame][0]), float(places[frame][1]))) for frame, one in seen.items()}


def _weighed(frame: int, seen: Mapping[int, Seen]) -> Seen:
    own = seen[frame]
    before, after = (range(frame - STEADY_STEPS, frame), range(frame + 1, frame + STEADY_STEPS + 1))
    lines = [line for near in (before, after, (*before, *after)) if (line := _line_at(frame, near, seen)) is not None]
    if not lines:
        return own
    if math.isinf(own.sigma):
        return replace(min(lines, key=lambda line: line.sigma), shows=own.shows)
    best = min(lines, key=lambda line: math.dist(line.place, own.place) / math.hypot(line.sigma, own.sigma) + math.log(line.sigma))
    own_weight, line_weight = 1 / own.sigma**2, 1 / best.sigma**2
    y, x = ((own_weight * a + line_weight * b) / (own_weight + line_weight) for a, b in zip(own.place, best.place, strict=True))
    return Seen((y, x), (own_weight + line_weight) ** -0.5, own.shows)


def _line_at(frame: int, near: Sequence[int], seen: Mapping[int, Seen]) -> Seen | None:
    """Where the line through the places in the frames near lies in a frame, and how far places scatter about it; None without a line."""
    clear = [other for other in near if other in seen and math.isfinite(seen[other].sigma)]
    if len(clear) < 3:
        return None
    times, places = np.array(clear) - frame, np.array([seen[other].place for other in clear])
    sigmas = np.array([seen[other].sigma for other in clear])
    slopes, here = np.polyfit(times, places, 1, w=1 / sigmas)
    weights = 1 / np.square(sigmas)
    scatter = float(np.sqrt((np.square(places - here - np.outer(times, slopes)).max(1) * weights).sum() / weights.sum()))
    return Seen((float(here[0]), float(here[1])), max(scatter, 1 / SUBPIXEL_STEPS))


class PlacedModel:
    """A mark's model moved by fractions of a pixel, each once: frames whose places differ by whole pixels share its planes, so that memory
    does not grow with the length of the path.
    """

    def __init__(self, model: MarkModel, margin: int) -> None:
        self._margin = margin
        self._model = MarkModel(*(_padded(plane, margin) for plane in (model.mask, model.opacity, model.colour, model.opacity_sigma)))
        self._moved: dict[tuple[int, int], MarkModel] = {}

    def within(self, box: Box, seen: Seen) -> MarkModel:
        """The model in a box of the picture, its (0, 0) at the place seen. Where the place is uncertain the opacity is as well.

        In a frame that does not show the mark it is opaque: to fill a bare place does little harm, to un-blend it leaves a negative.
        """
        (top, down), (left, right) = (divmod(round(value * SUBPIXEL_STEPS), SUBPIXEL_STEPS) for value in seen.place)
        if (down, right) not in self._moved:
            self._moved[down, right] = _moved_model(self._model, down / SUBPIXEL_STEPS, right / SUBPIXEL_STEPS)
        moved_model = self._moved[down, right]
        rows, columns = (
            slice(start - at + self._margin, stop - at + self._margin)
            for start, stop, at in ((box.top, box.bottom, top), (box.left, box.right, left))
        )
        mask, opacity, colour, sigma = (plane[..., rows, columns] for plane in vars(moved_model).values())
        if seen.sigma > 1 / SUBPIXEL_STEPS:
            slopes = np.hypot(*np.gradient(opacity))
            sigma = np.minimum(np.hypot(sigma, slopes * min(seen.sigma, 1.0)), 1).astype(np.float32)
        if not seen.shows:
            opacity = np.ones_like(opacity)
        return MarkModel(mask, opacity, colour, sigma)


def _padded(plane: Floats, margin: int) -> Floats:
    around = ((0, 0),) * (plane.ndim - 2) + ((margin, margin),) * 2
    return np.pad(plane, around)


def _moved_model(model: MarkModel, down: float, right: float) -> MarkModel:
    """The model moved by fractions of a pixel. Its colour hardly differs from one pixel to the next.

    Cubic: linear interpolation would blur the opacity, which the frames that it was measured from have blurred already.
    """
    mask = moved(model.mask, -down, -right, cv2.INTER_LINEAR)
    opacity, sigma = (moved(plane, -down, -right) for plane in (model.opacity, model.opacity_sigma))
    return MarkModel(mask, np.clip(opacity, 0, 1), model.colour, np.clip(sigma, 0, 1))


def margin_pixels(box: Box, model: MarkModel, seen: Seen) -> int:
    """How far a box reaches beyond the model at a place."""
    (height, width), top, left = model.mask.shape, *(math.floor(value) for value in seen.place)
    return 1 + int(max(0, top - box.top, left - box.left, box.bottom - top - height, box.right - left - width))
