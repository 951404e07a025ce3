"""A case of the evaluation, decoded once and kept in memory, that is cleaned again with a changed constant.

The steps are those of `service/pipeline/run.py`. A step that cannot read the constant and whose input is unchanged is skipped: its output
is unchanged too. Removal writes no file; its frames are compared with the clean pictures as they leave the pipeline.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.altered import altered
from benchmarks.cases import Case, Scene
from benchmarks.constants import Code, Constant
from benchmarks.machine import ROOT
from benchmarks.reads import Reads, watched
from benchmarks.recall import Memory, recalled_functions
from benchmarks.scores import FOUND_F1, away_from_mark, mask_of
from service.inference.session import Networks
from service.pipeline import run
from service.pipeline.extent.join import join_pieces
from service.pipeline.io.probe import probe
from service.pipeline.io.reread import Rereader
from service.pipeline.marks.plan import Candidate
from service.pipeline.measure.measure import MeasuredMark
from service.pipeline.picture.composite import crop_rgb
from service.pipeline.placement import Box, Placement, bounding_box
from service.pipeline.remove.inpaint import Inpainter
from service.pipeline.remove.remove import remove
from service.pipeline.request import Request
from service.pipeline.video import Frame, Limits, VideoInfo
from training.metrics import MARKED, Mask, Mean, f1, psnr, squared_error

STEPS = ("locate", "measure", "extent", "remove")


@dataclass(frozen=True)
class Outcome:
    """PSNR in dB inside the mark and share of the marked frames in which it is found, None without a mark.

    `touched`: share of the pixels farther than 12 from any mark, of all frames, that are changed.
    """

    db: float | None
    found: float | None
    touched: float


@dataclass(frozen=True)
class Changed:
    """A case with a changed constant. `steps`: those that can read it. `same`: whether the placements are equal, bit for bit."""

    steps: tuple[str, ...]
    same: bool
    outcome: Outcome


@dataclass
class _Baseline:
    """The output of each step with the constants as they are."""

    located: tuple[list[Candidate], run.Timeline] | None = None
    marks: list[MeasuredMark] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    outcome: Outcome | None = None


class Rehearsal:
    """One case, decoded once and cleaned once."""

    def __init__(self, case: Case, scene: Scene, networks: Networks, memory: Memory, known: Code) -> None:
        self.case = case
        self._networks, self._memory, self._known = networks, memory, known
        self._truth = _Truth(scene)
        self._info = probe(scene.marked, Limits())
        self._job = run._Job(scene.marked, self._info, Limits(), networks, run.ignore)
        self._job.reader = Rereader(scene.marked, self._info, Limits(), sys.maxsize)
        with self._job.reader.read() as frames:
            self._frames = list(frames)
        self._reads: dict[str, Reads] = {}
        self._baseline = _Baseline()
        self._first()

    @property
    def outcome(self) -> Outcome:
        """With the constants as they are."""
        assert self._baseline.outcome is not None
        return self._baseline.outcome

    def with_constant(self, constant: Constant, value: object) -> Changed:
        """The case with another value of a constant."""
        steps = tuple(step for step in STEPS if self._reads[step].reach(constant, self._known))
        if not steps:
            return Changed((), True, self.outcome)
        with altered(constant, value, self._known), recalled_functions(self._memory, self._known, constant):
            same, outcome = self.again(steps)
        return Changed(steps, same, outcome)

    def again(self, steps: Sequence[str]) -> tuple[bool, Outcome]:
        """Run these steps, and those whose input differs from the baseline: whether the placements are equal, and the outcome."""
        baseline = self._baseline
        assert baseline.located is not None
        located, same = baseline.located, True
        if "locate" in steps:
            located = self._locate()
            same = equal(located, baseline.located)
        marks = baseline.marks
        if not same or "measure" in steps:
            marks = self._measure(located)
            same = equal(marks, baseline.marks)  # the timeline, which the next step gets too, depends on the file alone
        placements = baseline.placements
        if not same or "extent" in steps:
            placements = self._extent(marks, located)
            same = equal(placements, baseline.placements)
        if same and "remove" not in steps:
            return True, self.outcome
        return same, self._truth.compare(self._remove(placements), placements, self._info)

    def _first(self) -> None:
        baseline, root = self._baseline, ROOT.resolve()
        with recalled_functions(self._memory, self._known, None):
            with watched(root) as self._reads["locate"]:
                baseline.located = self._locate()
            with watched(root) as self._reads["measure"]:
                baseline.marks = self._measure(baseline.located)
            with watched(root) as self._reads["extent"]:
                baseline.placements = self._extent(baseline.marks, baseline.located)
            with watched(root) as self._reads["remove"]:
                frames = list(self._remove(baseline.placements))
        baseline.outcome = self._truth.compare(frames, baseline.placements, self._info)

    def _locate(self) -> tuple[list[Candidate], run.Timeline]:
        return self._job.locate(Request())

    def _measure(self, located: tuple[list[Candidate], run.Timeline]) -> list[MeasuredMark]:
        return self._job.measure(*located, Request().classes) if located[0] else []

    def _extent(self, marks: list[MeasuredMark], located: tuple[list[Candidate], run.Timeline]) -> list[Placement]:
        return self._job.bound(join_pieces(marks), located[1]) if located[0] else []

    def _remove(self, placements: list[Placement]) -> Iterator[Frame]:
        if not placements or not self._truth.has_mark:  # without a mark only the placements count
            return iter(self._frames)
        inpainter = Inpainter(self._networks.inpainter_encoder, self._networks.inpainter, placements, self._info)
        return remove(iter(self._frames), inpainter, self._info, lambda before, after: None)


class _Truth:
    """The clean pictures and the true mark of a case."""

    def __init__(self, scene: Scene) -> None:
        self.has_mark = scene.has_mark
        self._size = scene.size
        self._alphas = list(scene.alphas())
        self._away = away_from_mark(scene)
        self._clean = scene.clean.pictures
        self._f1: dict[tuple[int, bytes], float] = {}

    def compare(self, frames: Iterator[Frame] | list[Frame], placements: Sequence[Placement], info: VideoInfo) -> Outcome:
        """The outcome of cleaned frames and placements."""
        error, touched, qualities = Mean(), Mean(), list[float]()
        for frame, alpha, clean in zip(frames, self._alphas, self._clean, strict=True):
            where, mask = alpha > MARKED, mask_of(placements, frame.index, self._size)
            if self._away is not None:
                touched += Mean(float((mask & self._away).sum()), int(self._away.sum()))
            if where.any():
                box = bounding_box(where)
                error += squared_error(_picture(frame, box, info), clean[box.slices], where[box.slices])
                qualities.append(self._quality(mask, alpha))
        found = float(np.mean([quality >= FOUND_F1 for quality in qualities])) if qualities else None
        return Outcome(psnr(error), found, touched.value or 0.0)

    def _quality(self, mask: Mask, alpha: NDArray[np.float32]) -> float:
        key = id(alpha), np.packbits(mask).tobytes()
        if key not in self._f1:
            self._f1[key] = f1(mask, alpha > MARKED)
        return self._f1[key]


def _picture(frame: Frame, box: Box, info: VideoInfo) -> NDArray[np.uint8]:
    """A part of a frame, (h, w, 3)."""
    return np.rint(crop_rgb(frame, box, info).transpose(1, 2, 0) * 255).astype(np.uint8)


def equal(one: object, other: object) -> bool:
    """Whether two results are the same, their arrays bit for bit."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and _equal_arrays(one, other)
    if is_dataclass(one) and not isinstance(one, type):
        return type(one) is type(other) and all(equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def _equal_arrays(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
