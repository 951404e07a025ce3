"""CPU seconds of a run by step and by activity, measured from outside: functions are wrapped, the program knows nothing of it."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Lock, local
from types import ModuleType
from typing import Any, Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
REST: Final = "numpy"  # what no activity claims: NumPy and OpenCV, mostly
WAITING: Final = "waiting"  # of the thread that runs the steps, in seconds of the clock

Spent = Mapping[str, Mapping[str, float]]  # CPU seconds by step and activity


class CpuMeter:
    """Counts CPU seconds. The seconds of an activity within another are not the outer one's. All threads count for the step that runs."""

    def __init__(self) -> None:
        self.spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._step = "other"
        self._begun: tuple[float, float, float] | None = None  # when the step did: by the clock, and CPU time of process and thread
        self._claimed = 0.0  # by activities of this process since then
        self._lock = Lock()
        self._thread = local()  # its activities, outermost first, and the time up to which they are counted

    def charge(self, activity: str, seconds: float) -> None:
        """Count seconds that are not this process's."""
        with self._lock:
            self.spent[self._step][activity] += seconds

    @contextmanager
    def activity(self, name: str) -> Iterator[None]:
        """Count the CPU time of this thread in the block."""
        names: list[str] = self._thread.__dict__.setdefault("names", [])
        self._claim(names)
        names.append(name)
        try:
            yield
        finally:
            self._claim(names)
            names.pop()

    def _claim(self, names: list[str]) -> None:
        """Count the time since the last call for the innermost activity."""
        now = time.thread_time()
        if names:
            self.charge(names[-1], now - self._thread.counted)
            with self._lock:
                self._claimed += now - self._thread.counted
        self._thread.counted = now

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the CPU time of the whole process in the block for a step; that of a step within it is not the outer one's."""
        before = self._step
        self._begin(name)
        try:
            yield
        finally:
            self._begin(before)

    def _begin(self, step: str) -> None:
        """Count what no activity has claimed since the last call for the step that ran."""
        clock, process, thread = time.perf_counter(), time.process_time(), time.thread_time()
        if self._begun:
            since_clock, since_process, since_thread = self._begun
            self.charge(REST, max(0.0, process - since_process - self._claimed))
            self.charge(WAITING, max(0.0, clock - since_clock - (thread - since_thread)))
        self._begun, self._claimed, self._step = (clock, process, thread), 0.0, step

    def counted(self, activity: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose CPU time is counted for an activity."""

        @wraps(function)
        def counting(*args: Any, **options: Any) -> Any:
            with self.activity(activity):
                return function(*args, **options)

        return counting

    def count(self, activity: str, owner: ModuleType | type, name: str) -> None:
        """Count a function of a module, wherever it was imported, or a method of a class from now on."""
        original = getattr(owner, name)
        places = [owner] if isinstance(owner, type) else [each for each in sys.modules.values() if vars(each).get(name) is original]
        for place in places:
            setattr(place, name, self.counted(activity, original))


def process_seconds(process_id: int) -> float:
    """User and system time of a process and of its children that have ended; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def table(spent: Spent) -> str:
    """A row for each step and a column for each activity, with sums; waiting comes last and is in no sum."""
    names = [name for name in dict.fromkeys(name for of in spent.values() for name in of) if name != WAITING]
    rows = [_row(step, of, names) for step, of in spent.items()]
    rows.append(_row("all", {name: sum(of.get(name, 0.0) for of in spent.values()) for name in (*names, WAITING)}, names))
    head = ["step", *names, "CPU s", WAITING]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows]) + "\n"


def _row(step: str, seconds: Mapping[str, float], names: list[str]) -> list[str]:
    values = [seconds.get(name, 0.0) for name in names]
    return [step, *(f"{value:.2f}" for value in (*values, sum(values), seconds.get(WAITING, 0.0)))]
