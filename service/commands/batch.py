"""Cleans the inputs of a command one after another: all are checked first, and a bad one does not stop the others."""

import traceback
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from service import settings
from service.certificate import command_signer
from service.commands.display import Display, title_of
from service.commands.failure import fail
from service.commands.inputs import Input
from service.commands.outcome import Outcome, Skipped, entry_of, lines_of, total_of
from service.commands.pipes import PIPE
from service.errors import CleanplateError, RequestError
from service.library import Tools, clean_file, load_networks
from service.pipeline import run
from service.pipeline.report.report import FileResult, Report
from service.pipeline.request import Request
from service.pipeline.video import Encoding, Limits, Part
from service.settings import Device


@dataclass(frozen=True)
class Work:
    """What is done to each file of a batch. debug: a folder for pictures."""

    request: Request
    part: Part | None = None
    encoding: Encoding | None = None
    debug: Path | None = None


@dataclass(frozen=True)
class Batch:
    """Files to clean, each to its target, and what has become of them so far."""

    inputs: Sequence[Input]
    targets: Sequence[Path]
    work: Work
    display: Display
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def run(self, device: Device | None, skip_existing: bool = False) -> list[Outcome]:
        """Clean the files, and show what becomes of each. Raises only what concerns all of them, such as ModelError."""
        chosen = settings.read()
        if skip_existing:
            self._skip_existing()
        self._check(chosen.limits)
        if self._left:
            with self.display.waiting("loading the networks"):
                tools = Tools(load_networks(device), chosen.limits, command_signer(chosen), chosen.copy_unmarked)
            with closing(tools.networks):
                self._clean(tools)
        if len(self.inputs) > 1:
            self.display.say(total_of(list(self.outcomes.values())))
        return [self.outcomes[index] for index in range(len(self.inputs))]

    @property
    def _left(self) -> list[int]:
        """The inputs of which nothing has become yet."""
        return [index for index in range(len(self.inputs)) if index not in self.outcomes]

    def _skip_existing(self) -> None:
        """A clean file appears whole or not at all, so one that is there is finished."""
        for index, target in enumerate(self.targets):
            if target.is_file():
                self._end(index, Skipped(self.inputs[index].name))

    def _check(self, limits: Limits) -> None:
        for number, index in enumerate(left := self._left, 1):
            with self.display.waiting(f"checking {title_of(self.inputs[index].name, number, len(left))}"):
                error = self._fault(index, limits, alone=len(left) == 1)
            if error:
                self._end(index, self._result(index, error))

    def _clean(self, tools: Tools) -> None:
        for number, index in enumerate(left := self._left, 1):
            title = title_of(self.inputs[index].name, number, len(left))
            self._end(index, self._result(index, self._cleaned(index, title, tools)))

    def _fault(self, index: int, limits: Limits, *, alone: bool) -> CleanplateError | None:
        """What is wrong with a file, as far as it shows before it is decoded; of one that is cleaned next, whether it is there."""
        source, work = self.inputs[index].path, self.work
        if not source.is_file():
            return RequestError("no such file")
        if alone:
            return None
        try:
            run.check(source, self.targets[index].suffix, work.request, limits, work.part, work.encoding)
        except CleanplateError as error:
            return error
        return None

    def _cleaned(self, index: int, title: str, tools: Tools) -> Report | CleanplateError:
        """Clean one file. Its own error is returned, so that the command goes on with the next one."""
        source, work = self.inputs[index].path, self.work
        try:
            with self.display.progress(title) as on_progress:
                debug = self._debug_folder(index)
                return clean_file(source, self.targets[index], work.request, tools, on_progress, debug, work.part, work.encoding)
        except CleanplateError as error:
            if self.display.verbose:
                traceback.print_exc()
            return error

    def _debug_folder(self, index: int) -> Path | None:
        """Several inputs have a folder each, which has the input's name."""
        folder = self.work.debug
        return folder / self.inputs[index].place if folder and len(self.inputs) > 1 else folder

    def _result(self, index: int, outcome: Report | CleanplateError) -> FileResult:
        return FileResult(self.inputs[index].name, PIPE if self.display.beside_output else self.targets[index].name, outcome)

    def _end(self, index: int, outcome: Outcome) -> None:
        """Keep the outcome of a file, and show it."""
        self.outcomes[index] = outcome
        target = str(self.targets[index])
        entry = entry_of(outcome, PIPE if self.display.beside_output else target)
        if isinstance(outcome, Skipped):
            self.display.show([f"{outcome.source_name}: there already ({target})"], entry)
        elif isinstance(outcome.outcome, Report):
            shown = "standard output" if self.display.beside_output else target
            self.display.show(list(lines_of(outcome.outcome, outcome.source_name, shown, self._debug_folder(index))), entry)
        else:
            fail(f"{outcome.source_name}: {outcome.outcome}", outcome.exit_code)
            if self.display.as_json:
                self.display.show([], entry)
