"""The path of a video, from a marked file to its clean plate: probe, decode, segment, track, measure, bound, inpaint, composite, encode."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from service.inference.session import Networks
from service.pipeline.extent.join import join_pieces
from service.pipeline.extent.time_extent import find_extents
from service.pipeline.io.decode import decode
from service.pipeline.io.encode import Encoder, copy_untouched
from service.pipeline.io.probe import probe
from service.pipeline.locate.candidates import MAX_PATTERN_PIXELS, from_pattern, from_request, from_tracks
from service.pipeline.locate.segment import segment
from service.pipeline.locate.static_marks import ExposureStack, find_static_marks, merge_static_marks
from service.pipeline.locate.tiled_marks import drop_pattern_pieces, find_tiled_pattern
from service.pipeline.locate.track import track
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.decisions import UNRECORDED, Decisions, note_candidates
from service.pipeline.measure.measure import MeasuredMark, measure
from service.pipeline.placement import Placement
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.remove import remove
from service.pipeline.report.contact_sheet import Sample
from service.pipeline.report.debug import FrameSampler, write_debug_pictures, write_decisions
from service.pipeline.report.report import Report, StepMetrics
from service.pipeline.request import CLASSES, Request
from service.pipeline.video import Frame, Limits, Timeline, VideoInfo
from service.version import versions


@dataclass(frozen=True)
class Progress:
    """How far a step is. Steps: locate, measure, bound, remove."""

    step: str
    done_frames: int
    total_frames: int


Listener = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """A listener that does not care."""


def clean(
    source: Path,
    target: Path,
    request: Request,
    networks: Networks,
    limits: Limits = Limits(),
    on_progress: Listener = ignore,
    debug: Path | None = None,
) -> Report:
    """Writes the clean plate of `source` to `target`; a video without a mark is copied as it is.

    Raises CleanplateError kinds, and then leaves no target behind.
    """
    info = probe(source, limits)
    job = _Job(source, info, limits, networks, on_progress, Decisions() if debug else UNRECORDED)
    marks, timeline = job.find(request)
    samples: tuple[Sample, ...] = ()
    with job.step("remove" if marks else "copy"):
        if marks:
            samples = job.remove(marks, timeline, target)
        else:
            copy_untouched(source, target)
    if debug:
        write_debug_pictures(samples, debug)
        write_decisions(job.decisions, debug)
    return Report(info, tuple(marks), timeline, job.figures(timeline.frames), versions() | networks.versions, samples)


def detect(
    source: Path, request: Request, networks: Networks, limits: Limits = Limits(), on_progress: Listener = ignore
) -> tuple[Placement, ...]:
    """The marks that `clean` would remove. Raises CleanplateError kinds."""
    marks, _ = _Job(source, probe(source, limits), limits, networks, on_progress).find(request)
    return tuple(marks)


@dataclass
class _Job:
    """One run's fixed values, and the time its steps took."""

    source: Path
    info: VideoInfo
    limits: Limits
    networks: Networks
    on_progress: Listener
    decisions: Decisions = UNRECORDED
    seconds: dict[str, float] = field(default_factory=dict)

    def find(self, request: Request) -> tuple[list[Placement], Timeline]:
        """The marks, from where they may be to their first and last frames."""
        marks: list[Placement] = []
        with self.step("locate"):
            candidates, timeline = self.locate(request)
        if candidates:
            with self.step("measure"):
                found = join_pieces(self.measure(candidates, timeline), self.decisions)
            with self.step("bound"):
                marks = self.bound(found, timeline)
        return marks, timeline

    def locate(self, request: Request) -> tuple[list[Candidate], Timeline]:
        """First look: what there is to measure, and when each frame is shown."""
        pts, exposures, network = list[int](), ExposureStack(), self.networks.segmenter
        with decode(self.source, self.info, self.limits) as frames:
            watched = _timed(self._counted("locate", frames, self.info.frames_estimate), pts)
            detections = segment(watched, self.info, network, request.classes, exposures.add) if request.detect else iter(())
            first = next(detections, None)
            tracks = track(chain([first], detections), self.decisions) if first else []
            for _ in watched:  # without detection the frames are only counted
                pass
        looks_for_pattern = "overlay" in request.classes and self.info.width * self.info.height <= MAX_PATTERN_PIXELS
        pattern = find_tiled_pattern(exposures.kept, first.probability) if first and looks_for_pattern else None
        tracks = drop_pattern_pieces(merge_static_marks(tracks, find_static_marks(exposures, network, request.classes)), pattern)
        timeline = Timeline(pts, self.info.time_base)
        kind = next(kind for kind in CLASSES if kind in request.classes or not request.detect)
        found = from_tracks(tracks, self.info, timeline, kind) + from_request(request, self.info, timeline, self.limits)
        if pattern:
            found.append(from_pattern(pattern, (exposures.kept[0][0], exposures.kept[-1][0]), self.info, timeline, kind))
        note_candidates(self.decisions, found)
        return found, timeline

    def measure(self, candidates: list[Candidate], timeline: Timeline) -> list[MeasuredMark]:
        """Second look: exact pixels, opacity and colour."""
        with decode(self.source, self.info, self.limits) as frames:
            counted = self._counted("measure", frames, timeline.frames)
            return measure(counted, self.info, candidates, self.networks, timeline.frames, self.decisions)

    def bound(self, marks: list[MeasuredMark], timeline: Timeline) -> list[Placement]:
        """Third look: their first and last frames."""
        with decode(self.source, self.info, self.limits) as frames:
            counted = self._counted("bound", frames, timeline.frames)
            return find_extents(counted, self.info, marks, timeline.frames, self.decisions)

    def remove(self, marks: list[Placement], timeline: Timeline, target: Path) -> tuple[Sample, ...]:
        """Fourth look: every frame to the encoder, clean; a few of them are kept, small, to be looked at."""
        inpainter = Inpainter(self.networks.inpainter, marks, self.info)
        sampler = FrameSampler(marks, self.info)
        with decode(self.source, self.info, self.limits) as frames, Encoder(self.source, target, self.info) as encoder:
            for frame in remove(self._counted("remove", frames, timeline.frames), inpainter, self.info, sampler.watch):
                encoder.write(frame)
        return sampler.samples

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def figures(self, frames: int) -> tuple[StepMetrics, ...]:
        return tuple(StepMetrics(name, seconds, frames) for name, seconds in self.seconds.items())

    def _counted(self, step: str, frames: Iterable[Frame], total: int) -> Iterator[Frame]:
        for frame in frames:
            yield frame
            self.on_progress(Progress(step, frame.index + 1, max(total, frame.index + 1)))


def _timed(frames: Iterable[Frame], pts: list[int]) -> Iterator[Frame]:
    """The same frames; their times are noted."""
    for frame in frames:
        pts.append(frame.pts)
        yield frame
