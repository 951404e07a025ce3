"""Keeps a worker running beside the service: one that dies is started again."""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = (0.2, 1.0, 5.0, 15.0)  # before the next start, longer after each early death
STEADY_SECONDS: Final = 60.0  # a worker that lived so long was no early death
STOP_SECONDS: Final = 30.0  # beyond what it lets its jobs, and more than it gives itself; then it is killed, and they are taken over


class WorkerProcess:
    """A process of its own, so that answering never waits for video; its standard input ends when we do, however that happens.

    `job_seconds`: how long it lets its jobs finish when it is told to stop.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], job_seconds: float = 0.0) -> None:
        self._command = list(command)
        self._stop_seconds = job_seconds + STOP_SECONDS
        self._environment = os.environ | variables
        self._stopping = threading.Event()
        self._starting = threading.Lock()  # or a worker could start in the moment in which all stops
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Let it finish or hand back what it runs; returns when it is gone."""
        with self._starting:
            self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            log.error("the worker does not stop, it is killed")
            self._process.kill()
            self._process.wait()
        self._keeper.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C is for us, who stop it in order.
        return subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE, start_new_session=True)

    def _keep(self) -> None:
        early = 0
        while True:
            started = time.monotonic()
            with self._process as process:  # which closes its standard input in the end
                code = process.wait()
            if self._stopping.is_set():
                return
            early = 0 if time.monotonic() - started > STEADY_SECONDS else min(early + 1, len(AGAIN_SECONDS))
            log.error("the worker died", extra={"exit_code": code})
            self._stopping.wait(AGAIN_SECONDS[max(0, early - 1)])
            with self._starting:
                if self._stopping.is_set():
                    return
                self._process = self._start()
