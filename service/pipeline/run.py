"""The path of a video, from a marked file to its clean plate: probe, locate, measure, extent, remove. Each step rereads the file."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from service.inference.session import Networks
from service.pipeline.extent.join import join_pieces
from service.pipeline.extent.time_extent import find_extents
from service.pipeline.io.decode import decode
from service.pipeline.io.encode import Encoder, copy_untouched
from service.pipeline.io.probe import probe
from service.pipeline.locate.locate import locate
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.measure.measure import MeasuredMark, measure
from service.pipeline.placement import Placement
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.remove import remove
from service.pipeline.report.contact_sheet import Sample
from service.pipeline.report.debug import FrameSampler, write_debug_pictures, write_decisions
from service.pipeline.report.report import Report, StepMetrics
from service.pipeline.request import Request
from service.pipeline.video import Frame, Limits, Timeline, VideoInfo
from service.version import versions


@dataclass(frozen=True)
class Progress:
    """How far a step has come. The steps are locate, measure, bound (the time extent) and remove."""

    step: str
    done_frames: int
    total_frames: int


Listener = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """A listener that does nothing."""


def clean(
    source: Path,
    target: Path,
    request: Request,
    networks: Networks,
    limits: Limits = Limits(),
    on_progress: Listener = ignore,
    debug: Path | None = None,
) -> Report:
    """Write the clean plate of `source` to `target`. A file without a mark is copied unchanged.

    `debug`: a folder for pictures of the run and decisions.json. Raises a kind of CleanplateError, and then leaves no target behind.
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
    return Report(info, tuple(marks), timeline, job.metrics(timeline.frames), versions() | networks.versions, samples)


def detect(
    source: Path, request: Request, networks: Networks, limits: Limits = Limits(), on_progress: Listener = ignore
) -> tuple[Placement, ...]:
    """The marks that `clean` would remove. Raises a kind of CleanplateError."""
    marks, _ = _Job(source, probe(source, limits), limits, networks, on_progress).find(request)
    return tuple(marks)


@dataclass
class _Job:
    """The fixed values of one run, and the time that each step took."""

    source: Path
    info: VideoInfo
    limits: Limits
    networks: Networks
    on_progress: Listener
    decisions: Decisions = UNRECORDED
    seconds: dict[str, float] = field(default_factory=dict)

    def find(self, request: Request) -> tuple[list[Placement], Timeline]:
        """Steps 1 to 3: the placements of all marks, and the presentation times of all frames."""
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
        """Step 1: where marks may be."""
        with decode(self.source, self.info, self.limits) as frames:
            counted = self._counted("locate", frames, self.info.frames_estimate)
            return locate(counted, self.info, request, self.networks.segmenter, self.limits, self.decisions)

    def measure(self, candidates: list[Candidate], timeline: Timeline) -> list[MeasuredMark]:
        """Step 2: their pixels, opacity and colour."""
        with decode(self.source, self.info, self.limits) as frames:
            counted = self._counted("measure", frames, timeline.frames)
            return measure(counted, self.info, candidates, self.networks, timeline.frames, self.decisions)

    def bound(self, marks: list[MeasuredMark], timeline: Timeline) -> list[Placement]:
        """Step 3: their first and last frames."""
        with decode(self.source, self.info, self.limits) as frames:
            counted = self._counted("bound", frames, timeline.frames)
            return find_extents(counted, self.info, marks, timeline.frames, self.decisions)

    def remove(self, marks: list[Placement], timeline: Timeline, target: Path) -> tuple[Sample, ...]:
        """Step 4: every frame, cleaned, to the encoder. A few samples are kept, small, for the report."""
        inpainter = Inpainter(self.networks.inpainter_encoder, self.networks.inpainter, marks, self.info)
        sampler = FrameSampler(marks, self.info)
        with decode(self.source, self.info, self.limits) as frames, Encoder(self.source, target, self.info) as encoder:
            for frame in remove(self._counted("remove", frames, timeline.frames), inpainter, self.info, sampler.watch):
                encoder.write(frame)
        return sampler.samples

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the time of the block."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def metrics(self, frames: int) -> tuple[StepMetrics, ...]:
        return tuple(StepMetrics(name, seconds, frames) for name, seconds in self.seconds.items())

    def _counted(self, step: str, frames: Iterable[Frame], total: int) -> Iterator[Frame]:
        for frame in frames:
            yield frame
            self.on_progress(Progress(step, frame.index + 1, max(total, frame.index + 1)))
