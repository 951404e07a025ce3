"""Batches the windows of all running jobs for one network on one device. A window's result does not depend on its batch."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

BATCH_SIZES = (8, 4, 2, 1)  # the only sizes used, so that the device sees few shapes


class Session(Protocol):
    """A loaded network that runs whole batches; thread-safe. Its tensors are those of its contract in `models/spec.py`."""

    def run(self, inputs: Arrays) -> Arrays: ...


@runtime_checkable
class Keeping(Protocol):
    """A session that keeps memory from its largest run, and can give it back."""

    def give_back(self) -> None: ...


@dataclass(frozen=True)
class BatchMetrics:
    """What a batcher has run so far, and what is waiting. windows / capacity is the fill of its batches."""

    batches: int
    windows: int
    capacity: int  # windows that these batches could have held
    waiting: int


@dataclass(frozen=True, eq=False)
class _Window:
    """A queued window, and the future of its result."""

    arrays: Arrays
    ticket: int
    answer: Future[Arrays] = field(default_factory=Future)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(array.shape for array in self.arrays.values())


class Batcher:
    """Runs windows from any number of threads. A batch starts as soon as the device is free, with the windows that are waiting.

    Callers take turns: a window's ticket is the clock plus its place in its call; the lowest ticket goes first and sets the clock.
    So a call of two windows finishes after a few batches, however many windows another call has left.
    """

    def __init__(self, session: Session, sizes: Sequence[int] = (1,), workers: int = 1) -> None:
        self._session = session
        self._sizes = frozenset({1, *sizes})
        self._device = ThreadPoolExecutor(workers, thread_name_prefix="device")  # threads start with the first window
        self._lock = Lock()
        self._waiting: list[_Window] = []  # lowest ticket first, oldest first among equals
        self._clock = 0
        self._batches = self._windows = 0

    def run(self, windows: Sequence[Arrays]) -> list[Arrays]:
        """Run the windows and return their results in order. A window's arrays have no batch dimension.

        Raises the network's error if a batch with one of these windows failed.
        """
        return self.begin(windows)()

    def begin(self, windows: Sequence[Arrays]) -> Callable[[], list[Arrays]]:
        """Queue the windows and return at once. The returned function waits and returns what `run` returns."""
        queued = self._queue(windows)

        def answers() -> list[Arrays]:
            try:
                return [window.answer.result() for window in queued]
            except BaseException:  # including Ctrl-C: nobody waits for the rest
                with self._lock:
                    self._waiting = [window for window in self._waiting if window not in queued]
                raise

        return answers

    def metrics(self) -> BatchMetrics:
        """The current metrics."""
        with self._lock:
            return BatchMetrics(self._batches, self._windows, self._batches * max(self._sizes), len(self._waiting))

    def give_back(self) -> None:
        """Free the memory that the network keeps from its largest run, between two batches; returns at once."""
        if isinstance(self._session, Keeping):
            self._device.submit(self._session.give_back)

    def close(self) -> None:
        """Finish what is queued and end the device's threads; later calls are refused."""
        self._device.shutdown()

    def _queue(self, windows: Sequence[Arrays]) -> list[_Window]:
        with self._lock:  # one turn per window: whichever windows a turn takes, enough turns are left for the rest
            for _ in windows:
                self._device.submit(self._turn)
            queued = [_Window(arrays, self._clock + place) for place, arrays in enumerate(windows, 1)]
            self._waiting = sorted([*self._waiting, *queued], key=attrgetter("ticket"))
        return queued

    def _turn(self) -> None:
        """Run the next batch, if earlier turns have left any window."""
        batch = self._next_batch()
        if not batch:
            return
        try:
            answers = self._answers(batch)
        except BaseException as error:  # any error at all: callers are waiting
            for window in batch:
                window.answer.set_exception(error)
        else:
            for window, answer in zip(batch, answers, strict=True):
                window.answer.set_result(answer)

    def _next_batch(self) -> list[_Window]:
        """The first window and others of its shape, as many as the largest allowed size takes."""
        with self._lock:
            if not self._waiting:
                return []
            first = self._waiting[0]
            same_shape = [window for window in self._waiting if window.shapes == first.shapes]
            batch = same_shape[: max(size for size in self._sizes if size <= len(same_shape))]
            self._waiting = [window for window in self._waiting if window not in batch]
            self._clock = first.ticket
            self._batches += 1
            self._windows += len(batch)
            return batch

    def _answers(self, batch: Sequence[_Window]) -> list[Arrays]:
        inputs = batch[0].arrays
        if len(batch) == 1:
            stacked = {name: array[None] for name, array in inputs.items()}
        else:
            stacked = {name: np.stack([window.arrays[name] for window in batch]) for name in inputs}
        outputs = self._session.run(stacked)
        return [{name: array[place] for name, array in outputs.items()} for place in range(len(batch))]
