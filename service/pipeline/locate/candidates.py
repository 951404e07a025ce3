"""What is to be measured: tracks that were found, boxes and masks that a person gave, all as candidates. Pure but for reading the mask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import InputError, RequestError
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.locate.segment import sampling_stride
from service.pipeline.locate.tiled_marks import TiledPattern
from service.pipeline.locate.track import Track
from service.pipeline.marks.candidate import Candidate, Detected, Static, Tiled, UserBox, UserMask
from service.pipeline.marks.plan import CONTEXT_PIXELS
from service.pipeline.marks.similarity import iou
from service.pipeline.picture.composite import shrink_rgb
from service.pipeline.picture.orientation import coded_box
from service.pipeline.placement import Box, Kind, bounding_box, intersect
from service.pipeline.request import Request
from service.pipeline.video import Limits, VideoInfo
from service.timed_box import TimedBox

WORD_SEARCH_HEIGHTS = 4  # heights of a mark to look for the rest of it on either side
WORD_SEARCH_WIDTH_DIVISOR = 4  # and no farther than this part of the picture's width
MAX_PATTERN_PIXELS = 2_400_000  # of a picture that is measured whole, in 4 GiB; in a larger one each word is a mark by itself
SAME_MASK_IOU = 0.98  # a video mask stays the same placement while it changes less than its own compression changes it


@dataclass(frozen=True)
class Timeline:
    """The presentation times of every frame of the video."""

    pts: Sequence[int] = field(repr=False)
    time_base: Fraction

    @property
    def frames(self) -> int:
        return len(self.pts)

    def seconds(self, index: int) -> float:
        """Since the first frame."""
        return float((self.pts[index] - self.pts[0]) * self.time_base)


def from_tracks(tracks: Iterable[Track], info: VideoInfo, timeline: Timeline, kind: Kind) -> list[Candidate]:
    """Tracks at native size. A mark seen in the first sample began with the video; one seen in the last may go on to its end."""
    stride = sampling_stride(info)
    found: list[Candidate] = []
    for track in _merge_neighbours(tracks, 2 * stride):
        height, width = track.total.shape
        scale_y, scale_x = info.height / height, info.width / width
        small = track.box
        right, bottom = min(info.width, round(small.right * scale_x)), min(info.height, round(small.bottom * scale_y))
        native = Box(int(small.left * scale_x), int(small.top * scale_y), right, bottom)
        box = _widened(native, info.width).expanded(CONTEXT_PIXELS, info.width, info.height)
        full = cv2.resize(track.mean, (info.width, info.height), interpolation=cv2.INTER_LINEAR)
        probability = np.ascontiguousarray(full[box.slices], np.float32)
        slack = _slack(track, stride, timeline.frames)
        seen = track.first_sample, track.last_sample, track.confidence
        scale = width / info.width
        origin = Static(scale) if track.static else Detected(scale, track.confirmed)
        found.append(Candidate(box, probability, *seen, kind, slack, origin))
    return found


def from_pattern(pattern: TiledPattern, seen: tuple[int, int], info: VideoInfo, timeline: Timeline, kind: Kind) -> Candidate:
    """A mark that repeats over the picture, at native size; `seen`: the first and last sample that showed it."""
    height, width = pattern.shape.shape
    shape = np.asarray(cv2.resize(pattern.shape, (info.width, info.height), interpolation=cv2.INTER_LINEAR), np.float32)
    one, other = ((y * info.height / height, x * info.width / width) for y, x in pattern.lattice)
    slack = max(sampling_stride(info), seen[0], timeline.frames - 1 - seen[1])
    box = Box(0, 0, info.width, info.height)
    return Candidate(box, shape, *seen, 1.0, kind, slack, Tiled(width / info.width, (one, other)))


def _slack(track: Track, stride: int, total_frames: int) -> int:
    """How far beyond its samples a mark may reach: to the next sample; one that stands, to the ends of the video."""
    if total_frames == 1:
        return 0
    return max(stride, track.first_sample, total_frames - 1 - track.last_sample) if track.static else stride


def _merge_neighbours(tracks: Iterable[Track], apart_frames: int) -> list[Track]:
    """Tracks that come and go together beside each other, such as a logo and its word, as one."""
    joined: list[Track] = []
    for track in sorted(tracks, key=lambda t: t.first_sample):
        mine = [other for other in joined if _belong_together(other, track, apart_frames)]
        joined = [other for other in joined if not any(other is one for one in mine)]
        joined.append(reduce(_union, mine, track))
    return joined


def _belong_together(left: Track, right: Track, apart_frames: int) -> bool:
    if (
        left.confirmed != right.confirmed
        or max(abs(left.first_sample - right.first_sample), abs(left.last_sample - right.last_sample)) > apart_frames
    ):
        return False
    width = left.total.shape[1]
    return intersect(_widened(left.box, width), right.box) or intersect(_widened(right.box, width), left.box)


def _union(left: Track, right: Track) -> Track:
    seen = max(left.seen, right.seen)
    first, last = min(left.first_sample, right.first_sample), max(left.last_sample, right.last_sample)
    mean = np.maximum(left.mean, right.mean)
    return Track(first, last, seen, 0, mean * np.float32(seen), confirmed=left.confirmed, static=left.static or right.static)


def _widened(box: Box, width: int) -> Box:
    """The box and what is beside it in a picture of this width: a logo that was seen may have a word next to it that was not."""
    reach = min(WORD_SEARCH_HEIGHTS * box.height, width // WORD_SEARCH_WIDTH_DIVISOR)
    return Box(max(0, box.left - reach), box.top, min(width, box.right + reach), box.bottom)


def from_boxes(boxes: Iterable[TimedBox], info: VideoInfo, timeline: Timeline) -> list[Candidate]:
    """Each box for the frames whose time it covers. Raises RequestError where that is none."""
    found = []
    for timed in boxes:
        inner = coded_box(timed, info)
        covered = [i for i in range(timeline.frames) if timed.covers(timeline.seconds(i))]
        if not covered:
            raise RequestError(f"box {timed} lies after the end of the video, which lasts {timeline.seconds(timeline.frames - 1):.2f} s")
        box = inner.expanded(CONTEXT_PIXELS, info.width, info.height)
        probability = np.zeros((box.height, box.width), np.float32)
        probability[inner.top - box.top : inner.bottom - box.top, inner.left - box.left : inner.right - box.left] = 1
        found.append(Candidate(box, probability, covered[0], covered[-1], 1.0, "user", 0, UserBox()))
    return found


def from_mask(path: Path, info: VideoInfo, timeline: Timeline, limits: Limits) -> list[Candidate]:
    """White pixels of an image, for the whole video, or of a video, frame by frame. Raises RequestError for a mask of another shape."""
    try:
        mask_info = probe(path, limits)
    except InputError as error:
        raise RequestError(f"the mask cannot be read: {error}") from error
    if (mask_info.width, mask_info.height) != (info.width, info.height):
        raise RequestError(f"the mask is {mask_info.width}x{mask_info.height}, the picture {info.width}x{info.height}")
    runs: list[tuple[int, int, NDArray[np.bool_]]] = []
    with decode(path, mask_info, limits) as frames:
        for frame in frames:
            if frame.index >= timeline.frames:
                break
            white = shrink_rgb(frame, mask_info, info.width, info.height).min(2) > 127
            if runs and (iou(runs[-1][2], white) >= SAME_MASK_IOU or not (white.any() or runs[-1][2].any())):
                runs[-1] = (runs[-1][0], frame.index, runs[-1][2])
            else:
                runs.append((frame.index, frame.index, white))
    if len(runs) == 1 and mask_info.container == "image":
        runs = [(0, timeline.frames - 1, runs[0][2])]
    found = [_from_white_pixels(white, first, last, info) for first, last, white in runs if white.any()]
    if not found:
        raise RequestError("the mask has no white pixel")
    return found


def _from_white_pixels(white: NDArray[np.bool_], first: int, last: int, info: VideoInfo) -> Candidate:
    box = bounding_box(white).expanded(CONTEXT_PIXELS, info.width, info.height)
    return Candidate(box, white[box.slices].astype(np.float32), first, last, 1.0, "user", 0, UserMask())


def from_request(request: Request, info: VideoInfo, timeline: Timeline, limits: Limits) -> list[Candidate]:
    """Everything the person gave by hand."""
    given = from_boxes(request.boxes, info, timeline)
    return given + (from_mask(request.mask, info, timeline, limits) if request.mask else [])
