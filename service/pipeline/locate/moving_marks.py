"""Find marks that move on their own way: they drift across the picture, bounce off its edges, scroll.

Over several frames the segmenter knows a mark by its standing still, so one that moves is seen in single frames alone. There, text of the
scene is seen as well; but it moves with what is around it, and a mark does not. So single frames are glanced at, sightings of one shape are
linked, and a shape that moves is followed frame by frame and compared with its surroundings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from models.arrays import Bytes, Floats, Mask
from service.inference.batcher import Batcher
from service.pipeline.locate.segment import Sample, analysis_size, mark_probability
from service.pipeline.locate.track import MIN_PROBABILITY, find_regions
from service.pipeline.marks.gather import to_float
from service.pipeline.marks.similarity import match_shapes
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.morphology import dilate, ring
from service.pipeline.picture.view import View, crop_padded
from service.pipeline.placement import Kind, bounding_box
from service.pipeline.video import Frame, VideoInfo

Place = tuple[int, int]  # (y, x) in pixels at analysis size

GLANCE_SAMPLES = 3  # between two samples that are looked at by themselves: two glances a second
MIN_SIGHTINGS = 3  # of one shape, in glances that follow each other
MIN_CORRELATION = 0.65  # of two sightings of one shape, as of two places of one mark
MIN_TRAVEL_PIXELS = 6  # at analysis size, mostly, between two sightings: with less, a mark stands
MAX_SPEED_SHARE = 0.01  # of the picture's long side, a frame: 12 pixels at 720 lines
STEP_FRAMES = 2  # from one frame in which a shape is looked for to the next
STEADY_STEPS = 9  # of a path, whose median speed a mark keeps beyond the edge: the last places, seen in part, are inexact
SEARCH_PIXELS = 28  # at analysis size, around the expected place
MIN_FOLLOWED_CORRELATION = 0.5  # with the shape, where it is expected
OWN_MOTION_RATIO = 1.2  # of the surroundings' mean square differences in a step: along the mark's motion, over along their own
MIN_OWN_STEPS_SHARE = 0.75  # of the steps: drifting marks on six clips had 0.86 to 1, a moving thing that looked like one 0.5
RING_PIXELS = (3, 10)  # from the mark: its surroundings
SCENE_REACH_PIXELS = 6  # at analysis size, by which the surroundings may have moved from one step to the next
LUMA_NOISE = 1e-5  # mean square, of luma in [0, 1]: what a codec alone makes of surroundings that stand still


@dataclass(frozen=True)
class Sighting:
    """A shape seen in a single frame: its probability (h, w), whose (0, 0) lies at `place`."""

    frame_index: int
    place: Place
    probability: Floats = field(repr=False)


@dataclass
class Glances:
    """Looks at some of the samples one by one, and keeps what is seen in them. stride_frames: between two samples."""

    network: Batcher
    classes: frozenset[Kind]
    stride_frames: int
    sightings: list[list[Sighting]] = field(default_factory=list)  # of each glance
    _next: int = 0  # frame index of the next glance, or before it

    def add(self, sample: Sample) -> None:
        """Take in the next sample of the video."""
        index, picture = sample
        if index >= self._next:
            self._next = index + GLANCE_SAMPLES * self.stride_frames
            probability = seen_alone(picture, self.network, self.classes)
            self.sightings.append([_sighting(index, region, probability) for region in find_regions(probability)])

    def drop(self, known: Callable[[Sighting], bool]) -> None:
        """Forget the sightings that are known to be of something else."""
        self.sightings = [[sighting for sighting in seen if not known(sighting)] for seen in self.sightings]


@dataclass(frozen=True)
class MovingShape:
    """Sightings of one shape at different places, by frame."""

    sightings: Sequence[Sighting]

    @property
    def fullest(self) -> Sighting:
        """The sighting that shows most of it."""
        return max(self.sightings, key=lambda sighting: float(sighting.probability.sum()))


@dataclass(frozen=True, eq=False)
class MovingMark:
    """A mark and where it is: its probability (h, w) at analysis size, and the place of its (0, 0) in each frame from first to last."""

    probability: Floats = field(repr=False)
    places: Mapping[int, tuple[float, float]]


def moving_shapes(glances: Glances, info: VideoInfo) -> list[MovingShape]:
    """The shapes that were seen at different places, in at least MIN_SIGHTINGS glances that follow each other."""
    max_speed = MAX_SPEED_SHARE * max(analysis_size(info))
    open_chains: list[list[Sighting]] = []
    ended: list[list[Sighting]] = []
    for seen in glances.sightings:
        extended, unmatched = [], list(seen)
        for chain in open_chains:
            following = _continuation(chain, unmatched, max_speed)
            if following is None:
                ended.append(chain)
            else:
                unmatched = [sighting for sighting in unmatched if sighting is not following]
                extended.append([*chain, following])
        open_chains = extended + [[sighting] for sighting in unmatched]
    return [MovingShape(chain) for chain in (*ended, *open_chains) if len(chain) >= MIN_SIGHTINGS and _travels(chain)]


def follow(
    frames: Iterable[Frame], total_frames: int, info: VideoInfo, shapes: Sequence[MovingShape], network: Batcher, classes: frozenset[Kind]
) -> list[MovingMark]:
    """The marks among the shapes, followed through all frames of the video: those that do not move with their surroundings."""
    width, height = analysis_size(info)
    trails = [_Trail(shape, network, classes) for shape in shapes]
    for frame in frames:
        wanted = [trail for trail in trails if trail.wants(frame.index)]
        if wanted:
            picture = shrink_rgb(frame, info, width, height)
            for trail in wanted:
                trail.look(frame.index, picture)
    return [mark for trail in trails if (mark := trail.mark((height, width), total_frames)) is not None]


def seen_alone(picture: Bytes, network: Batcher, classes: frozenset[Kind]) -> Floats:
    """The probability (h, w) that a pixel of one picture (h, w, 3) belongs to a mark, by that picture alone."""
    probability: Floats = mark_probability(to_float(picture.transpose(2, 0, 1)[None]), network, classes)[0]
    return probability


def _sighting(frame_index: int, region: Mask, probability: Floats) -> Sighting:
    box = bounding_box(region)
    return Sighting(frame_index, (box.top, box.left), np.where(region, probability, 0)[box.slices].astype(np.float32))


def _continuation(chain: Sequence[Sighting], seen: Sequence[Sighting], max_speed: float) -> Sighting | None:
    """The sighting most like the chain's last one, near enough for the time between."""
    last, best, found = chain[-1], MIN_CORRELATION, None
    for sighting in seen:
        reach = max_speed * (sighting.frame_index - last.frame_index)
        similarity, top, left = match_shapes(last.probability, sighting.probability)
        moved = sighting.place[0] + top - last.place[0], sighting.place[1] + left - last.place[1]
        if similarity > best and max(map(abs, moved)) <= reach:
            best, found = similarity, sighting
    return found


def _travels(chain: Sequence[Sighting]) -> bool:
    """Whether the shape mostly moves from one sighting to the next; it may turn back in between."""
    steps = [np.abs(np.subtract(after.place, before.place)).max() for before, after in pairwise(chain)]
    return float(np.median(steps)) >= MIN_TRAVEL_PIXELS


def find_shape(shape: Floats, picture: Bytes, expected: Place, network: Batcher, classes: frozenset[Kind]) -> Place | None:
    """Where a shape, a probability (h, w), is in a picture (H, W, 3), near the expected place; None if it is not seen there."""
    view = View(*expected, *shape.shape).grown(SEARCH_PIXELS)
    box = view.inner(picture.shape[1], picture.shape[0])
    if box is None:
        return None
    probability = seen_alone(np.ascontiguousarray(picture[box.slices]), network, classes)
    similarity, y, x = match_shapes(shape, probability)
    return (box.top + y, box.left + x) if similarity > MIN_FOLLOWED_CORRELATION else None


class _Trail:
    """Follows one shape."""

    def __init__(self, shape: MovingShape, network: Batcher, classes: frozenset[Kind]) -> None:
        self._shape, self._network, self._classes = shape, network, classes
        self._template = shape.fullest.probability
        self._mask = self._template > MIN_PROBABILITY
        first, last = shape.sightings[0].frame_index, shape.sightings[-1].frame_index
        reach = 2 * (shape.sightings[1].frame_index - first)  # it may have come, and may go, up to a glance before and after
        self._frames = range(max(0, first - reach), last + reach + 1, STEP_FRAMES)
        self._places: dict[int, Place] = {}
        self._previous: tuple[int, Floats] | None = None  # frame and its luma
        self._own: list[bool] = []  # of each step, whether the surroundings did not move along with the shape

    def wants(self, index: int) -> bool:
        return index in self._frames

    def look(self, index: int, picture: Bytes) -> None:
        """Look for the shape where it is expected, and compare how it and its surroundings moved."""
        place = find_shape(self._template, picture, self._expected(index), self._network, self._classes)
        if place is None:
            self._previous = None
            return
        luma = _luma(picture)
        if self._previous is not None:
            self._compare(self._places[self._previous[0]], place, self._previous[1], luma)
        self._places[index], self._previous = place, (index, luma)

    def _expected(self, index: int) -> Place:
        """Where the shape should be: on from its last two places, or else on the line between its sightings."""
        known = sorted(self._places)[-2:]
        if len(known) == 2 and index - known[1] == known[1] - known[0]:
            (y0, x0), (y1, x1) = (self._places[frame] for frame in known)
            return 2 * y1 - y0, 2 * x1 - x0
        seen = self._shape.sightings
        after = next((n for n, sighting in enumerate(seen) if sighting.frame_index >= index), len(seen) - 1)
        one, other = seen[max(0, after - 1)], seen[max(1, after)]
        share = (index - one.frame_index) / (other.frame_index - one.frame_index)
        y, x = (round(a + share * (b - a)) for a, b in zip(one.place, other.place, strict=True))
        return y, x

    def _compare(self, before: Place, after: Place, earlier: Floats, later: Floats) -> None:
        """Note whether the surroundings moved along with the shape, or otherwise."""
        self._own.append(moves_alone(self._mask, before, after, earlier, later))

    def mark(self, size: tuple[int, int], total_frames: int) -> MovingMark | None:
        """The mark with its place in every frame; None if it is part of the scene, or was not seen again."""
        if len(self._own) < MIN_SIGHTINGS or np.mean(self._own) < MIN_OWN_STEPS_SHARE:
            return None
        known = np.array(sorted(self._places))
        paths = np.array([self._places[frame] for frame in known], np.float64)
        frames = range(max(0, known[0] - STEP_FRAMES + 1), min(total_frames, known[-1] + STEP_FRAMES))
        places = {frame: tuple(_at(frame, known, path) for path in paths.T) for frame in frames}
        places |= _beyond_the_edge(known, paths, self._template.shape, size, total_frames)
        return MovingMark(self._template, {frame: (place[0], place[1]) for frame, place in sorted(places.items())})


def moves_alone(mask: Mask, before: Place, after: Place, earlier: Floats, later: Floats) -> bool:
    """Whether a shape (h, w) that moves from one place to another leaves its surroundings behind: they fit better at another shift.

    earlier, later: luma (H, W) in [0, 1] of the two frames.
    """
    outer, reach = RING_PIXELS[1], SCENE_REACH_PIXELS
    padded = np.pad(mask, outer)
    around = ring(padded, *RING_PIXELS)
    height, width = around.shape
    top, left = before[0] - outer, before[1] - outer
    moved_y, moved_x = after[0] - before[0], after[1] - before[1]
    one = crop_padded(earlier, top, left, height, width, repeat_edge=True)

    def difference(other: Floats, hidden: Mask) -> float:
        where = around & ~dilate(hidden, RING_PIXELS[0])
        return float(np.square(one - other)[where].mean()) if where.any() else np.inf

    # All crops that are compared, in one: the later frame, and the shape in it.
    wide = height + 2 * reach, width + 2 * reach
    others = crop_padded(later, top - reach, left - reach, *wide, repeat_edge=True)
    shapes = crop_padded(padded, -moved_y - reach, -moved_x - reach, *wide, repeat_edge=False)
    differences = [
        difference(others[y : y + height, x : x + width], shapes[y : y + height, x : x + width])
        for y in range(2 * reach + 1)
        for x in range(2 * reach + 1)
        if max(abs(y - reach - moved_y), abs(x - reach - moved_x)) > 1
    ]
    along = difference(crop_padded(later, top + moved_y, left + moved_x, height, width, repeat_edge=True), padded)
    return along > OWN_MOTION_RATIO * (min(differences) + LUMA_NOISE)


def _at(frame: int, known: np.ndarray, path: np.ndarray) -> float:
    """The place along one axis in a frame, between and just beyond the known ones."""
    if frame < known[0]:
        return float(path[0] + (frame - known[0]) * (path[1] - path[0]) / (known[1] - known[0]))
    if frame > known[-1]:
        return float(path[-1] + (frame - known[-1]) * (path[-1] - path[-2]) / (known[-1] - known[-2]))
    return float(np.interp(frame, known, path))


def _beyond_the_edge(
    known: np.ndarray, paths: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], total_frames: int
) -> dict[int, tuple[float, ...]]:
    """The places in further frames of a mark that enters or leaves: at the edge a part of it is too small to be known again."""
    found: dict[int, tuple[float, ...]] = {}
    speeds = np.diff(paths, axis=0) / np.diff(known)[:, None]
    for end, speed, direction in ((0, -np.median(speeds[:STEADY_STEPS], 0), -1), (-1, np.median(speeds[-STEADY_STEPS:], 0), 1)):
        place, frame = paths[end], int(known[end])
        outwards = any(
            (value <= abs(step) * STEP_FRAMES and step < 0) or (value + side >= limit - abs(step) * STEP_FRAMES and step > 0)
            for value, step, side, limit in zip(place, speed, shape, size, strict=True)
        )
        while outwards and all(-side < value < limit for value, side, limit in zip(place, shape, size, strict=True)):
            if not 0 <= frame < total_frames:
                break
            found[frame] = tuple(float(value) for value in place)
            place, frame = place + speed, frame + direction
    return found


def _luma(picture: Bytes) -> Floats:
    luma: Floats = picture.mean(2, dtype=np.float32) / np.float32(255)
    return luma
