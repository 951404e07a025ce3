"""Keeps a worker process running beside the service, and restarts it when it dies."""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

RESTART_SECONDS: Final = (0.2, 1.0, 5.0, 15.0)  # delay before a restart, longer after each early death
STEADY_SECONDS: Final = 60.0  # a worker that lived this long did not die early
STOP_SECONDS: Final = 30.0  # beyond the jobs' own time; longer than the worker's own limit. Then it is killed, and its jobs are taken over


class WorkerProcess:
    """The worker as a separate process, so that requests never wait for video. Its standard input closes whenever this process ends.

    variables: set in its environment beside this process's own; None removes one that it need not know.
    job_seconds: how long the worker lets its jobs finish when asked to stop.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str | None], job_seconds: float = 0.0) -> None:
        self._command = list(command)
        self._stop_seconds = job_seconds + STOP_SECONDS
        self._environment = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
        self._stopping = threading.Event()
        self._starting = threading.Lock()  # so that no worker starts while the service stops
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Let the worker finish or hand back its jobs; return when it has ended."""
        with self._starting:
            self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            log.error("the worker does not stop and is killed")
            self._process.kill()
            self._process.wait()
        self._keeper.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # In a new session, so that Ctrl-C reaches only this process, which stops the worker in order.
        return subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE, start_new_session=True)

    def _keep(self) -> None:
        early_deaths = 0
        while True:
            started = time.monotonic()
            with self._process as process:  # closes its standard input at the end
                code = process.wait()
            if self._stopping.is_set():
                return
            early_deaths = 0 if time.monotonic() - started > STEADY_SECONDS else min(early_deaths + 1, len(RESTART_SECONDS))
            log.error("the worker died", extra={"exit_code": code})
            if not self._restart(early_deaths):
                return

    def _restart(self, early_deaths: int) -> bool:
        """Start another worker after a delay, as soon as the machine can; False if the service stops."""
        while not self._stopping.wait(RESTART_SECONDS[max(0, early_deaths - 1)]):
            with self._starting:
                if self._stopping.is_set():
                    return False
                try:
                    self._process = self._start()
                    return True
                except OSError as error:  # such as no memory for another process
                    log.error("no worker could be started: %s", error)
            early_deaths = min(early_deaths + 1, len(RESTART_SECONDS))
        return False
