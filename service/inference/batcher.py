"""One network on one device for all running jobs: their windows fill its batches, and no window's answer depends on its company."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

BATCH_SIZES = (8, 4, 2, 1)  # only these reach the device, so that it meets few shapes


class Session(Protocol):
    """A loaded network, whole batches in and out; safe in several threads. Its tensors are those of its contract in `models/spec.py`."""

    def run(self, inputs: Arrays) -> Arrays: ...


@dataclass(frozen=True)
class BatchMetrics:
    """What a batcher has run so far, and what waits; windows / capacity is how full its batches were."""

    batches: int
    windows: int
    capacity: int  # windows that these batches could have held
    waiting: int


@dataclass(frozen=True, eq=False)
class _Window:
    """A caller's window in the queue, and the answer that the caller waits for."""

    arrays: Arrays
    ticket: int
    answer: Future[Arrays] = field(default_factory=Future)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(array.shape for array in self.arrays.values())


class Batcher:
    """Runs windows of any number of threads. A batch starts as soon as the device is free, with what waits; later windows fill the next.

    Callers take turns: a window's ticket is the clock plus its place in its call, the lowest ticket goes first and sets the clock.
    So a call of two windows is through after a few batches, however many windows another call has left.
    """

    def __init__(self, session: Session, sizes: Sequence[int] = (1,), workers: int = 1) -> None:
        self._session = session
        self._sizes = frozenset({1, *sizes})
        self._device = ThreadPoolExecutor(workers, thread_name_prefix="device")  # its threads start with the first window
        self._lock = Lock()
        self._waiting: list[_Window] = []  # lowest ticket first, and of equal tickets the oldest
        self._clock = 0
        self._batches = self._windows = 0

    def run(self, windows: Sequence[Arrays]) -> list[Arrays]:
        """Answers of the windows, in their order, once all are there. A window's arrays lack the batch dimension.

        Raises what the network raised, if that was in a batch with one of these windows.
        """
        return self.begin(windows)()

    def begin(self, windows: Sequence[Arrays]) -> Callable[[], list[Arrays]]:
        """Queues the windows and returns at once, for a caller with other things to do. What it returns, called, gives what `run` gives."""
        mine = self._queue(windows)

        def answers() -> list[Arrays]:
            try:
                return [window.answer.result() for window in mine]
            except BaseException:  # Ctrl-C too: nobody waits for the rest
                with self._lock:
                    self._waiting = [window for window in self._waiting if window not in mine]
                raise

        return answers

    def figures(self) -> BatchMetrics:
        """The figures of this moment."""
        with self._lock:
            return BatchMetrics(self._batches, self._windows, self._batches * max(self._sizes), len(self._waiting))

    def close(self) -> None:
        """Answers what waits, and ends the device's threads; later calls are refused."""
        self._device.shutdown()

    def _queue(self, windows: Sequence[Arrays]) -> list[_Window]:
        with self._lock:  # a turn of the device for each window: whoever's window a turn takes, none is left without
            for _ in windows:
                self._device.submit(self._turn)
            queued = [_Window(arrays, self._clock + place) for place, arrays in enumerate(windows, 1)]
            self._waiting = sorted([*self._waiting, *queued], key=attrgetter("ticket"))
        return queued

    def _turn(self) -> None:
        """Runs the next batch; nothing if the windows that asked for this turn had room in earlier ones."""
        batch = self._next_batch()
        if not batch:
            return
        try:
            answers = self._answers(batch)
        except BaseException as error:  # whatever it is, callers wait
            for window in batch:
                window.answer.set_exception(error)
        else:
            for window, answer in zip(batch, answers, strict=True):
                window.answer.set_result(answer)

    def _next_batch(self) -> list[_Window]:
        """The first window, and as many of its shape as the largest allowed size takes."""
        with self._lock:
            if not self._waiting:
                return []
            first = self._waiting[0]
            alike = [window for window in self._waiting if window.shapes == first.shapes]
            batch = alike[: max(size for size in self._sizes if size <= len(alike))]
            self._waiting = [window for window in self._waiting if window not in batch]
            self._clock = first.ticket
            self._batches += 1
            self._windows += len(batch)
            return batch

    def _answers(self, batch: Sequence[_Window]) -> list[Arrays]:
        outputs = self._session.run({name: np.stack([window.arrays[name] for window in batch]) for name in batch[0].arrays})
        return [{name: array[place] for name, array in outputs.items()} for place in range(len(batch))]
