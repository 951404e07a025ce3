"""The path of a video, from a marked file to its clean plate: probe, locate, measure, extent, remove. Each step rereads the frames."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.errors import RequestError
from service.inference.session import Networks
from service.pipeline.extent.join import join_pieces
from service.pipeline.extent.time_extent import find_extents, frames_of_extents
from service.pipeline.io.encode import Encoder, can_copy, check_target, copy_untouched, is_copied
from service.pipeline.io.groups import Groups, read_groups
from service.pipeline.io.not_kept import not_kept
from service.pipeline.io.probe import probe
from service.pipeline.io.reread import Rereader
from service.pipeline.locate.locate import locate
from service.pipeline.marks.candidate import Candidate
from service.pipeline.marks.decisions import UNRECORDED, Decisions
from service.pipeline.measure.measure import MeasuredMark, frames_to_measure, measure
from service.pipeline.placement import Kind, Placement, pixel_box
from service.pipeline.remove.fields import in_fields, weaving
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.keep import KeptBoxes
from service.pipeline.remove.remove import EVERYTHING, frames_around, remove
from service.pipeline.report.contact_sheet import Sample
from service.pipeline.report.debug import FrameSampler, write_debug_pictures, write_decisions
from service.pipeline.report.detection import Detection
from service.pipeline.report.report import Report, StepMetrics
from service.pipeline.request import Request, chosen_marks, within
from service.pipeline.video import Encoding, Frame, Limits, NotKept, Part, Timeline, VideoInfo
from service.tracing import span
from service.version import versions


@dataclass(frozen=True)
class Progress:
    """How far a step has come. The steps are locate, measure, bound (the time extent) and remove. `pixels`: of a frame."""

    step: str
    done_frames: int
    total_frames: int
    pixels: int = 0


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
    detection: Detection | None = None,
    part: Part | None = None,
    encoding: Encoding | None = None,
    copy: bool = True,
) -> Report:
    """Write the clean plate of `source` to `target`. A file without a mark is copied unchanged.

    debug: a folder for pictures of the run and decisions.json. detection: of the same file; its marks are removed without looking again,
    and the request only chooses among them. part: of a video; it becomes the whole target, and boxes keep the times of the whole video.
    encoding: of a video; then one without a mark is encoded too. copy: a video's own packets stay where no mark is, if that is proven to be
    exact. Raises a kind of CleanplateError, and then leaves no target behind.
    """
    info = check(source, target.suffix, request, limits, part, encoding)
    request = within(request, part) if part else request
    copies_to = target.suffix if copy and not info.part and not info.encoding else None
    job = _Job(source, info, limits, networks, on_progress, Decisions() if debug else UNRECORDED, copies_to)
    found = job.choose(detection, request) if detection else job.find(request)
    samples: tuple[Sample, ...] = ()
    with job.step("remove" if found.marks else "copy"):
        if found.marks:
            samples = job.remove(found, target)
        elif info.part or info.encoding or not can_copy(info, target):
            job.encode(target)
        else:
            copy_untouched(source, target)
            if info.container != "image" or is_copied(info.container, source, target):
                job.copied_frames = found.timeline.frames
    if debug:
        write_debug_pictures(samples, debug)
        write_decisions(job.decisions, debug)
    return job.report(found, samples, target)


def check(
    source: Path,
    suffix: str,
    request: Request,
    limits: Limits = Limits(),
    part: Part | None = None,
    encoding: Encoding | None = None,
) -> VideoInfo:
    """What `clean` would clean into a file with this suffix. Raises as it does, as far as nothing needs to be decoded for it."""
    info = probe(source, limits).wished(encoding)
    check_target(info, suffix)
    for box in (*request.boxes, *request.keep):
        pixel_box(box, info.width, info.height, box.first_seconds or 0.0)
    if part:
        within(request, part)
    return _part_of(info, part) if part else info


def detect(
    source: Path,
    request: Request,
    networks: Networks,
    limits: Limits = Limits(),
    on_progress: Listener = ignore,
    encoding: Encoding | None = None,
) -> Report:
    """The marks that `clean` would remove. Raises a kind of CleanplateError."""
    job = _Job(source, probe(source, limits).wished(encoding), limits, networks, on_progress)
    return job.report(job.find(request))


def _part_of(info: VideoInfo, part: Part) -> VideoInfo:
    """The description of a part. Raises RequestError for an image, and for a part after the end."""
    if info.container == "image":
        raise RequestError("a part is one of a video; an image has no seconds")
    if part.first_seconds >= info.duration_seconds:
        raise RequestError(f"the part begins after the end of the video, which lasts {info.duration_seconds:.2f} s")
    seconds = min(part.seconds, info.duration_seconds - part.first_seconds)
    frames = max(1, round(info.frames_estimate * seconds / info.duration_seconds))
    return replace(info, part=part, duration_seconds=seconds, frames_estimate=frames)


@dataclass(frozen=True)
class _Found:
    """What steps 1 to 3 say: the marks to remove, the presentation times of all frames, and what is kept."""

    marks: tuple[Placement, ...]
    timeline: Timeline
    kept: KeptBoxes


@dataclass
class _Job:
    """The fixed values of one run, and the time that each step took."""

    source: Path
    info: VideoInfo
    limits: Limits
    networks: Networks
    on_progress: Listener
    decisions: Decisions = UNRECORDED
    copies_to: str | None = None  # the target's suffix, if packets may be copied into it
    seconds: dict[str, float] = field(default_factory=dict)
    copied_frames: int = 0
    reader: Rereader = field(init=False)
    _known_groups: Groups | None = None
    _looked_for_groups: bool = False

    def __post_init__(self) -> None:
        self.reader = Rereader(self.source, self.info, self.limits, self.limits.kept_bytes)

    def _read(self, wanted: Iterable[int], timeline: Timeline) -> AbstractContextManager[Iterator[Frame]]:
        """The frames with these numbers; no more is decoded than is needed, where that is known."""
        numbers = {number for number in wanted if number < timeline.frames}
        if len(numbers) == timeline.frames:
            return self.reader.read()
        return self.reader.read(numbers, None if self.reader.keeps_all else self._groups(timeline))

    def _groups(self, timeline: Timeline) -> Groups | None:
        """Where the source's packets can be cut; None: not known."""
        whole = self.info.container != "image" and not self.info.part and not self.info.deinterlaced
        if not self._looked_for_groups and whole:
            self._known_groups = read_groups(self.source, self.info, self.limits, timeline, self.copies_to)
        self._looked_for_groups = True
        return self._known_groups

    def find(self, request: Request) -> _Found:
        """Steps 1 to 3."""
        marks: list[Placement] = []
        with self.step("locate"):
            candidates, timeline = self.locate(request)
        kept = KeptBoxes.of(request.keep, self.info, timeline)
        if candidates:
            with self.step("measure"):
                found = join_pieces(self.measure(candidates, timeline, request.classes), self.decisions)
            with self.step("bound"):
                marks = self.bound(found, timeline)
        return _Found(tuple(kept.spare(chosen_marks(marks, request.reject, request.only))), timeline, kept)

    def choose(self, detection: Detection, request: Request) -> _Found:
        """In place of steps 1 to 3: marks that were found before."""
        detection.check(self.info)
        kept = KeptBoxes.of(request.keep, self.info, detection.timeline)
        return _Found(tuple(kept.spare(chosen_marks(detection.marks, request.reject, request.only))), detection.timeline, kept)

    def locate(self, request: Request) -> tuple[list[Candidate], Timeline]:
        """Step 1: where marks may be."""
        with self.reader.read() as frames:
            counted = self._counted("locate", frames, self.info.frames_estimate)
            return locate(counted, self._again, self.info, request, self.networks.segmenter, self.limits, self.decisions)

    def measure(self, candidates: list[Candidate], timeline: Timeline, classes: frozenset[Kind]) -> list[MeasuredMark]:
        """Step 2: their pixels, opacity and colour."""
        wanted = frames_to_measure(candidates, self.info, timeline.frames, self.limits)
        with self._read(wanted, timeline) as frames:
            counted = self._counted("measure", frames, timeline.frames)
            return measure(counted, self.info, candidates, self.networks, timeline.frames, self.decisions, self.limits, classes)

    def bound(self, marks: list[MeasuredMark], timeline: Timeline) -> list[Placement]:
        """Step 3: their first and last frames."""
        with self._read(frames_of_extents(marks, timeline.frames, self.limits), timeline) as frames:
            counted = self._counted("bound", frames, timeline.frames)
            return find_extents(counted, self.info, marks, timeline.frames, self.decisions, self.limits)

    def remove(self, found: _Found, target: Path) -> tuple[Sample, ...]:
        """Step 4: the frames that change, cleaned, to the encoder. A few samples are kept, small, for the report."""
        total, stretches, fields = found.timeline.frames, self._encoded_stretches(found), self.info.in_fields
        info, marks = (fields, in_fields(found.marks)) if fields else (self.info, found.marks)
        inpainter = Inpainter(self.networks.inpainter_encoder, self.networks.inpainter, marks, info, self.limits)
        sampler = FrameSampler(found.marks, self.info)
        wanted = frames_around(stretches, total) if stretches else range(total)
        reading = Rereader(self.source, info, self.limits, 0).read() if fields else self._read(wanted, found.timeline)
        with reading as frames, Encoder(self.source, target, self.info, stretches) as encoder:

            def finish(marked: Frame, clean: Frame) -> None:
                clean = found.kept.restored(marked, clean)
                sampler.watch(marked, clean)
                encoder.write(clean)
                self._tell("remove", marked.index + 1, found.timeline.frames)  # many are read before the first is clean

            watch = weaving(finish, bottom_first=self.info.bottom_first) if fields else finish
            deque(remove(frames, inpainter, info, watch, limits=self.limits, stretches=stretches or EVERYTHING), maxlen=0)
        if stretches and stretches[-1].stop < total:
            self._tell("remove", total, total)
        self.copied_frames = total - sum(map(len, stretches)) if stretches else 0
        return sampler.samples

    def _encoded_stretches(self, found: _Found) -> list[range] | None:
        """The frames to encode, if the packets of all others can be copied; None: all."""
        marked = {frame for mark in found.marks for frame in range(mark.first_frame, mark.last_frame + 1)}
        may_copy = self.copies_to and not self.info.in_fields and len(marked) < found.timeline.frames
        groups = self._groups(found.timeline) if may_copy else None
        if groups is None or groups.not_copied:
            return None
        stretches = groups.encoded_for((mark.first_frame, mark.last_frame) for mark in found.marks)
        return stretches if sum(map(len, stretches)) < groups.frames else None

    def encode(self, target: Path) -> None:
        """In place of step 4 for a video without marks, of which not all is shown, so that it cannot be copied."""
        with self.reader.read() as frames, Encoder(self.source, target, self.info) as encoder:
            for frame in frames:
                encoder.write(frame)

    def report(self, found: _Found, samples: tuple[Sample, ...] = (), target: Path | None = None) -> Report:
        """What was found and done. target: where the result is; None: the marks were only found."""
        steps = tuple(StepMetrics(name, seconds, found.timeline.frames) for name, seconds in self.seconds.items())
        lost = self._not_kept(found, target) if target else ()
        used = versions() | self.networks.versions
        return Report(self.info, found.marks, found.timeline, steps, used, samples, not_kept=lost, copied_frames=self.copied_frames)

    def _not_kept(self, found: _Found, target: Path) -> tuple[NotKept, ...]:
        """What the source carries and the target does not."""
        encoded = bool(found.marks or self.info.part or self.info.encoding) or not can_copy(self.info, target)
        if not encoded and is_copied(self.info.container, self.source, target):
            return ()
        return not_kept(self.info, target.suffix, encoded=encoded, spliced=self.copied_frames > 0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the time of the block."""
        started = time.monotonic()
        with span(name):
            yield
        self.networks.give_back()  # the next step sees pictures of another size
        self.seconds[name] = time.monotonic() - started

    def _counted(self, step: str, frames: Iterable[Frame], total: int, again: bool = False) -> Iterator[Frame]:
        """The frames, which may not be all; what is after them is done with them. Again: nothing is left to count."""
        done = 0
        for frame in frames:
            yield frame
            done = total if again else frame.index + 1
            self._tell(step, done, total)
        if done < total:
            self._tell(step, total, total)

    @contextmanager
    def _again(self) -> Iterator[Iterator[Frame]]:
        """The frames once more, for the first step; they may not be read to the end. Told of each, the listener may end the run."""
        with self.reader.read() as frames:
            yield self._counted("locate", frames, self.info.frames_estimate, again=True)

    def _tell(self, step: str, done: int, total: int) -> None:
        self.on_progress(Progress(step, done, max(total, done), self.info.width * self.info.height))
