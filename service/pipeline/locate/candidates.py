"""Turn tracks, tiled patterns, and the boxes and masks of a request into candidates at the size of the video.

Pure, except for reading the mask file.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

import cv2
import numpy as np

from models.arrays import Floats, Mask
from service.errors import InputError, RequestError
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.locate.follow import STEP_FRAMES, MovingMark
from service.pipeline.locate.pooled_shape import MIN_SHAPE_PROBABILITY
from service.pipeline.locate.segment import analysis_size, sampling_stride
from service.pipeline.locate.tiled_marks import TiledPattern
from service.pipeline.locate.track import Track
from service.pipeline.marks.candidate import Candidate, Detected, Followed, Origin, Static, Tiled, UserBox, UserMask
from service.pipeline.marks.plan import CONTEXT_PIXELS
from service.pipeline.marks.similarity import iou
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.morphology import dilate
from service.pipeline.picture.view import View
from service.pipeline.placement import Box, Kind, bounding_box, hull, intersect
from service.pipeline.request import BoxInterval, Request, box_intervals
from service.pipeline.video import Limits, Timeline, VideoInfo
from service.timed_box import TimedBox

WORD_SEARCH_HEIGHTS = 4  # heights of a mark, on either side of it, within which an undetected word of a logo is looked for
WORD_SEARCH_WIDTH_DIVISOR = 4  # but at most the picture's width divided by this
MAX_PATTERN_PIXELS = 2_400_000  # largest picture measured as a whole; in a larger one each tile is a separate mark
MIN_DRIFT_PIXELS, MAX_DRIFT_SHARE = 2, 0.125  # by which a moving box may move, of its smaller side, before a new region begins
SAME_MASK_IOU = 0.98  # IoU of consecutive frames of a mask video that count as one mask; compression alone changes it less

Grow = Callable[[list[list[BoxInterval]]], list[list[BoxInterval]]]  # the boxes of several paths, frame by frame


def from_tracks(tracks: Iterable[Track], info: VideoInfo, timeline: Timeline, kind: Kind) -> list[Candidate]:
    """One candidate for each track, or for each group of neighbouring tracks such as a logo and its word."""
    stride = sampling_stride(info)
    return [_from_track(track, info, timeline, kind) for track in _merge_neighbours(tracks, 2 * stride)]


def _from_track(track: Track, info: VideoInfo, timeline: Timeline, kind: Kind) -> Candidate:
    height, width = track.size
    scale_y, scale_x = info.height / height, info.width / width
    small = track.box
    right, bottom = min(info.width, round(small.right * scale_x)), min(info.height, round(small.bottom * scale_y))
    native = Box(int(small.left * scale_x), int(small.top * scale_y), right, bottom)
    box = _widened(native, info.width).expanded(CONTEXT_PIXELS, info.width, info.height)
    probability = enlarged_part(track.mean, info.width, info.height, box)
    slack = _slack_frames(track, sampling_stride(info), timeline.frames)
    scale = width / info.width
    origin = Static(scale, track.in_samples) if track.static else Detected(scale, track.confirmed, track.in_line)
    return Candidate(box, probability, track.first_sample, track.last_sample, track.confidence, kind, slack, origin)


def enlarged_part(values: Floats, width: int, height: int, box: Box) -> Floats:
    """What the box shows of `values` (h, w) enlarged to (height, width) by linear interpolation; the rest is not computed."""
    columns = _enlarged_along(values.T, width, box.left, box.right).T
    return np.ascontiguousarray(_enlarged_along(columns, height, box.top, box.bottom))


def _enlarged_along(values: Floats, length: int, first: int, last: int) -> Floats:
    """Rows [first, last) of `values` (h, w) enlarged to (length, w)."""
    rows = len(values)
    places = np.clip((np.arange(first, last) + 0.5) * rows / length - 0.5, 0, rows - 1)
    before = places.astype(int)
    share = (places - before)[:, None].astype(np.float32)
    enlarged: Floats = (1 - share) * values[before] + share * values[np.minimum(before + 1, rows - 1)]
    return enlarged


def from_pattern(pattern: TiledPattern, samples: tuple[int, int], info: VideoInfo, timeline: Timeline, kind: Kind) -> Candidate:
    """The candidate of a tiled mark: the whole picture. samples: the frame indices of the first and last sample that show it."""
    height, width = pattern.strokes.shape
    probability = np.asarray(cv2.resize(pattern.strokes, (info.width, info.height), interpolation=cv2.INTER_LINEAR), np.float32)
    first_vector, second_vector = ((y * info.height / height, x * info.width / width) for y, x in pattern.lattice)
    slack = _slack_to_ends(*samples, sampling_stride(info), timeline.frames)
    box = Box(0, 0, info.width, info.height)
    return Candidate(box, probability, *samples, 1.0, kind, slack, Tiled(width / info.width, (first_vector, second_vector)))


def _slack_frames(track: Track, stride: int, total_frames: int) -> int:
    """How many frames beyond its samples a mark may reach: up to the next sample; a static mark, up to the ends of the video."""
    if track.static:
        return _slack_to_ends(track.first_sample, track.last_sample, stride, total_frames)
    return 0 if total_frames == 1 else stride


def _slack_to_ends(first_sample: int, last_sample: int, stride: int, total_frames: int) -> int:
    """How many frames beyond its samples a mark may reach that may be there up to the ends of the video; in a photo, none."""
    return 0 if total_frames == 1 else max(stride, first_sample, total_frames - 1 - last_sample)


def _merge_neighbours(tracks: Iterable[Track], max_apart_frames: int) -> list[Track]:
    """Merges tracks that appear and disappear together beside each other, such as a logo and its word."""
    merged: list[Track] = []
    for track in sorted(tracks, key=lambda t: t.first_sample):
        neighbours = [other for other in merged if _are_neighbours(other, track, max_apart_frames)]
        merged = [other for other in merged if other not in neighbours]
        merged.append(reduce(_union, neighbours, track))
    return merged


def _are_neighbours(left: Track, right: Track, max_apart_frames: int) -> bool:
    """Whether two tracks lie beside each other, and begin and end at most `max_apart_frames` apart."""
    apart_frames = max(abs(left.first_sample - right.first_sample), abs(left.last_sample - right.last_sample))
    if left.confirmed != right.confirmed or apart_frames > max_apart_frames or left.in_line or right.in_line:
        return False
    at_once = left.first_sample <= right.last_sample and right.first_sample <= left.last_sample
    width = left.size[1]
    return at_once and (intersect(_widened(left.box, width), right.box) or intersect(_widened(right.box, width), left.box))


def _union(left: Track, right: Track) -> Track:
    """Two tracks as one; each pixel has the higher of the two mean probabilities."""
    count = max(left.detection_count, right.detection_count)
    first, last = min(left.first_sample, right.first_sample), max(left.last_sample, right.last_sample)
    total = np.maximum(left.mean, right.mean) * np.float32(count)
    static, in_samples = left.static or right.static, left.in_samples or right.in_samples
    return Track(first, last, count, 0, total, confirmed=left.confirmed, static=static, in_samples=in_samples)


def _widened(box: Box, width: int) -> Box:
    """The box, widened on both sides in a picture of this width: beside a detected logo there may be an undetected word."""
    reach = min(WORD_SEARCH_HEIGHTS * box.height, width // WORD_SEARCH_WIDTH_DIVISOR)
    return Box(max(0, box.left - reach), box.top, min(width, box.right + reach), box.bottom)


def from_boxes(boxes: Sequence[TimedBox], info: VideoInfo, timeline: Timeline, grow: Grow = list) -> list[Candidate]:
    """One candidate for each box, for the frames that it covers; several for one that moves, each for a short interval.

    `grow` may enlarge the boxes of those that move. Raises RequestError for a box outside the picture, and for one that covers no frame.
    """
    over_time = [box_intervals(timed, info, timeline) for timed in boxes]
    moving = [number for number, timed in enumerate(boxes) if timed.end]
    for number, grown in zip(moving, grow([over_time[number] for number in moving]), strict=True):
        over_time[number] = grown
    paths = zip(_paths(boxes), over_time, strict=True)
    return [_from_box(path, *interval, info) for path, intervals in paths for interval in _joined(intervals)]


def _paths(boxes: Iterable[TimedBox]) -> Iterator[str]:
    """The name of each box's path; empty if it stays. One that begins where the last one ended goes on along its path."""
    path, last = "", None
    for box in boxes:
        goes_on = path and last and last.end == box.corners and last.last_seconds == box.first_seconds
        path = "" if box.end is None else path if goes_on else str(box)
        yield path
        last = box


def from_moving(mark: MovingMark, info: VideoInfo, kind: Kind) -> list[Candidate]:
    """The candidates along the path of a moving mark, each for a few frames in which it hardly moves."""
    height, width = mark.probability.shape
    scale_x, scale_y = (full / small for full, small in zip((info.width, info.height), analysis_size(info), strict=True))
    size = round(width * scale_x), round(height * scale_y)
    shape = np.asarray(cv2.resize(mark.probability, size, interpolation=cv2.INTER_LINEAR), np.float32)
    exact = {frame: (y * scale_y, x * scale_x) for frame, (y, x) in mark.places.items()}
    pixels = dilate(np.pad(shape > MIN_SHAPE_PROBABILITY, (reach := 1 + math.ceil(scale_x))), reach)
    places = [(frame, round(y) - reach, round(x) - reach) for frame, (y, x) in exact.items()]
    confidence = float(mark.probability[mark.probability > MIN_SHAPE_PROBABILITY].mean())
    runs: list[list[tuple[int, int, int]]] = []
    for frame, y, x in places:
        if runs and max(abs(y - runs[-1][0][1]), abs(x - runs[-1][0][2])) <= MIN_DRIFT_PIXELS:
            runs[-1].append((frame, y, x))
        else:
            runs.append([(frame, y, x)])
    swept = ((run[0][0], run[-1][0], _swept(pixels, {(y, x) for _, y, x in run}, info)) for run in runs)
    origin = _followed(f"{places[0]} {places[-1]}", shape, exact, scale_x)
    return [_from_pixels(*one, info, confidence, kind, origin) for one in swept if one[2].any()]


def _followed(path: str, shape: Floats, places: Mapping[int, tuple[float, float]], scale: float) -> Followed:
    """The origin of a shape's candidates. Its frame of reference has room for letters beside the shape that were not seen alone.

    A place may be wrong by a pixel at analysis size, and by what the mark moves from one look to the next if it turned.
    """
    pixels = shape > MIN_SHAPE_PROBABILITY
    margin = CONTEXT_PIXELS + min(shape.shape) // 2
    speeds = np.abs(np.diff(np.array(list(places.values())), axis=0)).max(1, initial=0)
    reach = math.ceil(scale + STEP_FRAMES * (float(np.median(speeds)) if len(speeds) else 0.0))
    moved = {frame: (y - margin, x - margin) for frame, (y, x) in places.items()}
    return Followed(path, np.pad(pixels, margin), moved, reach)


def _swept(pixels: Mask, places: Iterable[tuple[int, int]], info: VideoInfo) -> Mask:
    """The pixels of the picture (H, W) that a shape covers at any of the places of its (0, 0)."""
    covered = np.zeros((info.height, info.width), bool)
    for y, x in places:
        view = View(y, x, *pixels.shape)
        if (shared := view.within(Box(0, 0, info.width, info.height))) is not None:
            in_view, in_picture = shared
            covered[in_picture] |= pixels[in_view]
    return covered


def _from_pixels(first: int, last: int, mask: Mask, info: VideoInfo, confidence: float, kind: Kind, origin: Origin) -> Candidate:
    """The candidate of which all pixels (H, W) and frames are known."""
    box = bounding_box(mask).expanded(CONTEXT_PIXELS, info.width, info.height)
    return Candidate(box, mask[box.slices].astype(np.float32), first, last, confidence, kind, 0, origin)


def _joined(intervals: Iterable[BoxInterval]) -> list[BoxInterval]:
    """Intervals of a moving box, joined while the box has moved little; the joined box holds all of them."""
    joined: list[BoxInterval] = []
    for first, last, box in intervals:
        if joined and _is_near((whole := hull(joined[-1][2], box)), box):
            joined[-1] = joined[-1][0], last, whole
        else:
            joined.append((first, last, box))
    return joined


def _is_near(whole: Box, box: Box) -> bool:
    """Whether a box is nearly as large as the one that holds it."""
    allowed = max(MIN_DRIFT_PIXELS, round(MAX_DRIFT_SHARE * min(box.width, box.height)))
    return whole.width - box.width <= allowed and whole.height - box.height <= allowed


def _from_box(path: str, first: int, last: int, inner: Box, info: VideoInfo) -> Candidate:
    box = inner.expanded(CONTEXT_PIXELS, info.width, info.height)
    probability = np.zeros((box.height, box.width), np.float32)
    probability[inner.top - box.top : inner.bottom - box.top, inner.left - box.left : inner.right - box.left] = 1
    return Candidate(box, probability, first, last, 1.0, "user", 0, UserBox(path))


@dataclass(frozen=True)
class _MaskInterval:
    """A mask (h, w) that holds from its first to its last frame, both included."""

    first_frame: int
    last_frame: int
    mask: Mask = field(repr=False)


def from_mask(path: Path, info: VideoInfo, timeline: Timeline, limits: Limits) -> list[Candidate]:
    """The white pixels of a mask file as candidates: of an image, for the whole video; of a video, frame by frame.

    Raises RequestError for a file that cannot be read, is of another size than the picture, or has no white pixel.
    """
    try:
        mask_info = probe(path, limits)
    except InputError as error:
        raise RequestError(f"the mask cannot be read: {error}") from error
    if (mask_info.width, mask_info.height) != (info.width, info.height):
        raise RequestError(f"the mask is {mask_info.width}x{mask_info.height}, the picture {info.width}x{info.height} as it is shown")
    intervals = _mask_intervals(path, mask_info, timeline, limits)
    if len(intervals) == 1 and mask_info.container == "image":
        intervals = [replace(intervals[0], first_frame=0, last_frame=timeline.frames - 1)]
    candidates = [
        _from_pixels(one.first_frame, one.last_frame, one.mask, info, 1.0, "user", UserMask()) for one in intervals if one.mask.any()
    ]
    if not candidates:
        raise RequestError("the mask has no white pixel")
    return candidates


def _mask_intervals(path: Path, mask_info: VideoInfo, timeline: Timeline, limits: Limits) -> list[_MaskInterval]:
    """The masks of a mask file up to the end of the video. Consecutive frames with nearly the same mask are one interval."""
    intervals: list[_MaskInterval] = []
    with decode(path, mask_info, limits) as frames:
        for frame in frames:
            if frame.index >= timeline.frames:
                break
            white = shrink_rgb(frame, mask_info, mask_info.width, mask_info.height).min(2) > 127
            if intervals and _same_mask(intervals[-1].mask, white):
                intervals[-1] = replace(intervals[-1], last_frame=frame.index)
            else:
                intervals.append(_MaskInterval(frame.index, frame.index, white))
    return intervals


def _same_mask(left: Mask, right: Mask) -> bool:
    """Whether two masks (h, w) are nearly the same, or both empty."""
    return iou(left, right) >= SAME_MASK_IOU or not (left.any() or right.any())


def from_request(request: Request, info: VideoInfo, timeline: Timeline, limits: Limits, grow: Grow = list) -> list[Candidate]:
    """The boxes and the mask of a request as candidates. Raises RequestError as `from_boxes` and `from_mask` do."""
    boxes = from_boxes(request.boxes, info, timeline, grow)
    return boxes + (from_mask(request.mask, info, timeline, limits) if request.mask else [])
