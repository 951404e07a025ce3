"""Starts children in a few milliseconds: a process that has imported what they need forks for each of them.

The forker is a fresh interpreter: it inherits nothing of this process but its environment's harmless part, and never reads untrusted media.
It runs one thread, so that forking is safe. A child is killed as soon as its leash is closed, which a dead parent's is too.
"""

import atexit
import fcntl
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, Final, NoReturn

FORKER_MAIN: Final = f"from {__name__} import serve; serve()"
MAX_ORDER_BYTES: Final = 2**17  # an environment and an import path
MAX_FILES: Final = 16
START_SECONDS: Final = 60.0  # for the forker to import what a child needs, on a busy machine
UNKNOWN_EXIT: Final = 255  # of a child whose forker died too
AVAILABLE: Final = sys.platform == "linux"  # elsewhere system libraries do not survive a fork


class ForkedProcess:
    """A child of the forker, with what callers need of `subprocess.Popen`. It has a leash: a socket to the forker, which tells of it."""

    def __init__(self, leash: socket.socket) -> None:
        self._leash = leash
        self._code: int | None = None
        self.pid = int(self._told(START_SECONDS))

    def kill(self) -> None:
        """Kill the process if it still runs."""
        if self._code is None:
            with suppress(OSError):
                self._leash.shutdown(socket.SHUT_WR)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit code, or minus the signal that killed it. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            try:
                self._code = int(self._told(timeout))
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            except OSError:
                self._code = UNKNOWN_EXIT
            self._leash.close()
        return self._code

    def _told(self, timeout: float | None) -> bytes:
        """What the forker tells next: the process's id, then its exit code. Raises OSError if it tells nothing."""
        self._leash.settimeout(timeout)
        told = self._leash.recv(16)
        if not told:
            raise ConnectionError("the forker is gone")
        return told


class Forker:
    """This process's forker, which is started when it is first needed, and again if it has died."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def start(self, module: str, task_socket: int, files: Sequence[int], environment: Mapping[str, str]) -> ForkedProcess:
        """Start a child that runs the task that it gets on the socket. It has these files, under the same numbers, and no others.

        module: where the task is; it stays imported in the forker. Raises OSError if a new forker does not start a child either.
        """
        order = {
            "module": module,
            "files": [task_socket, *files],
            "environment": dict(environment),
            "path": [os.path.abspath(entry) for entry in sys.path],
            "folder": os.getcwd(),
        }
        with self._lock:
            try:
                return self._fork(order, environment)
            except OSError:
                self._end()
                return self._fork(order, environment)

    @property
    def process_id(self) -> int | None:
        """Of the forker; None where none runs."""
        return self._process.pid if self._process else None

    def _fork(self, order: Mapping[str, Any], environment: Mapping[str, str]) -> ForkedProcess:
        orders = self._orders or self._begin(environment)
        leash, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(orders, [json.dumps(order).encode()], [theirs.fileno(), *order["files"]])
            return ForkedProcess(leash)
        except BaseException:
            leash.close()
            raise

    def _begin(self, environment: Mapping[str, str]) -> socket.socket:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", FORKER_MAIN, str(theirs.fileno())],
                env=dict(environment),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends its children itself
            )
        atexit.register(self._end)
        return self._orders

    def _end(self) -> None:
        """End the forker, and with it all of its children."""
        atexit.unregister(self._end)
        if self._orders:
            self._orders.close()
        if self._process:
            self._process.wait()
        self._orders = self._process = None


FORKER: Final = Forker()


def serve() -> NoReturn:
    """The forker's main function: fork for each order until the parent is gone."""
    _Server(socket.socket(fileno=int(sys.argv[1]))).run()


class _Server:
    """The forker's side: its children, each with its leash by process id."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._woken, self._wake = socket.socketpair()  # by the end of a child
        self._selector = selectors.DefaultSelector()
        self._leashes: dict[int, socket.socket] = {}

    def run(self) -> NoReturn:
        """Serve until the parent is gone, then kill what is left."""
        self._wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        self._selector.register(self._orders, selectors.EVENT_READ, self._take_order)
        self._selector.register(self._woken, selectors.EVENT_READ, self._report_ended)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _take_order(self) -> None:
        """Fork a child with the files that come with the order; the first one is its leash."""
        data, files, _, _ = socket.recv_fds(self._orders, MAX_ORDER_BYTES, MAX_FILES)
        if not data:
            self._end()
        order, leash = json.loads(data), socket.socket(fileno=files[0])
        sys.path[:] = order["path"]
        with suppress(Exception):  # the child will meet the error again, and report it
            importlib.import_module(order["module"])
        if (pid := os.fork()) == 0:
            try:
                self._leave(leash)
                _run(order, files[1:])
            finally:
                os._exit(1)
        for file in files[1:]:
            os.close(file)
        with suppress(OSError):
            leash.send(str(pid).encode())
        self._leashes[pid] = leash
        self._selector.register(leash, selectors.EVENT_READ, partial(self._kill, pid))

    def _leave(self, leash: socket.socket) -> None:
        """In a new child: drop what is the forker's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._orders, self._woken, self._wake, leash, *self._leashes.values()):
            each.close()

    def _kill(self, pid: int) -> None:
        """Kill the child whose leash was closed at the other end."""
        self._selector.unregister(self._leashes[pid])
        os.kill(pid, signal.SIGKILL)

    def _report_ended(self) -> None:
        """Tell of the children that have ended."""
        self._woken.recv(4096)
        while self._leashes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._leashes.pop(pid) as leash:
                with suppress(KeyError):  # it was killed
                    self._selector.unregister(leash)
                with suppress(OSError):
                    leash.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _end(self) -> NoReturn:
        for pid in self._leashes:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _run(order: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Become what a fresh interpreter would be, with these files under the numbers that they have in the parent; run the task; exit."""
    from service.pipeline.sandbox.sandbox import run_task  # the sandbox imports this module

    numbers = order["files"]
    above = 1 + max(*numbers, *files)
    lifted = [fcntl.fcntl(file, fcntl.F_DUPFD, above) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(lifted, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    _close_others({0, 1, 2, *numbers})
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    os.chdir(order["folder"])
    sys.argv = ["-c", str(numbers[0])]
    run_task()
    os._exit(0)


def _close_others(kept: set[int]) -> None:
    """Close the files that a module has opened when it was imported."""
    for file in map(int, os.listdir("/proc/self/fd")):
        if file not in kept:
            with suppress(OSError):  # the folder's own is closed by now
                os.close(file)
