"""Where marks may be: the first reading of the file, from frames to candidates."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain

from service.inference.batcher import Batcher
from service.pipeline.locate.candidates import MAX_PATTERN_PIXELS, from_moving, from_pattern, from_request, from_tracks
from service.pipeline.locate.closer_look import closer_look
from service.pipeline.locate.follow import MovingMark, follow
from service.pipeline.locate.moving_boxes import BoxPath, grow_to_marks
from service.pipeline.locate.moving_marks import Glances
from service.pipeline.locate.one_or_other import those_that_move, those_that_stand
from service.pipeline.locate.segment import Sample, sampling_stride, segment
from service.pipeline.locate.static_marks import ExposureStack, find_static_marks, merge_static_marks
from service.pipeline.locate.taking_turns import gaps_between, look_between, note_lines, with_found
from service.pipeline.locate.tiled_marks import TiledPattern, drop_pattern_pieces, find_tiled_pattern
from service.pipeline.locate.track import Track, track
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.decisions import UNRECORDED, Decisions, note_candidates
from service.pipeline.placement import Kind
from service.pipeline.request import CLASSES, Request
from service.pipeline.video import Frame, Limits, Timeline, VideoInfo

Again = Callable[[], AbstractContextManager[Iterable[Frame]]]


def locate(
    frames: Iterable[Frame],
    again: Again,
    info: VideoInfo,
    request: Request,
    network: Batcher,
    limits: Limits,
    decisions: Decisions = UNRECORDED,
) -> tuple[list[Candidate], Timeline]:
    """The candidates, detected and given by the person, and the presentation times of all frames.

    `again`: reads the frames once more, if captions take turns, or a shape or a person's box moves and is to be followed. `network` is the
    segmenter; `limits` hold for the mask file. Raises RequestError for a box or mask that does not fit the video.
    """
    pts, exposures, glances = list[int](), ExposureStack(), Glances(network, request.classes, sampling_stride(info))
    timed = _timed(frames, pts)

    def keep(sample: Sample) -> None:
        exposures.add(sample)
        glances.add(sample)

    detections = segment(timed, info, network, request.classes, keep) if request.detect else iter(())
    first = next(detections, None)
    tracks = track(chain([first], detections), closer_look(network, request.classes), decisions) if first else []
    deque(timed, maxlen=0)  # without detection the frames are only counted
    tracks = _with_lines(tracks, again, info, len(pts), network, request.classes)
    pattern = None
    if first and "overlay" in request.classes and info.width * info.height <= MAX_PATTERN_PIXELS:
        pattern = find_tiled_pattern(exposures.kept, first.probability)
    tracks = drop_pattern_pieces(merge_static_marks(tracks, find_static_marks(exposures, network, request.classes)), pattern)
    timeline = Timeline(pts, info.time_base)
    kind = next(kind for kind in CLASSES if kind in request.classes or not request.detect)
    moving = _followed(again, glances, tracks, pattern, info, timeline.frames)
    candidates = from_tracks(those_that_stand(tracks, moving), info, timeline, kind)
    candidates += from_request(request, info, timeline, limits, grow=partial(_grown, again, info, network))
    if pattern:
        candidates.append(from_pattern(pattern, exposures.span, info, timeline, kind))
    candidates += [candidate for mark in moving for candidate in from_moving(mark, info, kind)]
    note_candidates(decisions, candidates)
    return candidates, timeline


def _with_lines(
    tracks: list[Track], again: Again, info: VideoInfo, total_frames: int, network: Batcher, classes: frozenset[Kind]
) -> list[Track]:
    """The tracks with what was not seen of captions that take turns; of these it is noted that they are of a line."""
    gaps = gaps_between(tracks, sampling_stride(info), total_frames)
    if gaps:
        with again() as frames_again:
            tracks = with_found(tracks, look_between(frames_again, info, gaps, network, classes))
    note_lines(tracks)
    return tracks


def _followed(
    again: Again, glances: Glances, tracks: Sequence[Track], pattern: TiledPattern | None, info: VideoInfo, total_frames: int
) -> list[MovingMark]:
    """The marks that move on their own way, with their paths."""
    shapes = [one for one in glances.moving if not (pattern and pattern.holds(one.shape.mask, *one.first_corner))]
    shapes = those_that_move(shapes, tracks)
    if not shapes:
        return []
    with again() as frames_again:
        return follow(frames_again, total_frames, info, shapes, glances.network, glances.classes)


def _grown(again: Again, info: VideoInfo, network: Batcher, paths: list[BoxPath]) -> list[BoxPath]:
    """A person's moving boxes, grown to the marks that are seen in them."""
    if not paths:
        return []
    with again() as frames_again:
        return grow_to_marks(frames_again, info, paths, network)


def _timed(frames: Iterable[Frame], pts: list[int]) -> Iterator[Frame]:
    """The frames, unchanged; the pts of each is appended to `pts`."""
    for frame in frames:
        pts.append(frame.pts)
        yield frame
