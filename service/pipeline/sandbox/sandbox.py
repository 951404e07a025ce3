"""A process of its own for work on untrusted media: with limits, without this process's memory, and without its trust.

The child gets a fresh interpreter, so it inherits no threads and runs no caller's main module. What it says comes as JSON, one
message a line, and is parsed, never unpickled: a decoder that a file has taken over can fail its own job and no more.
"""

import importlib
import json
import os
import resource
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from service import errors
from service.errors import CleanplateError

Message = dict[str, Any]
Task = Callable[["Line", Message], None]

MESSAGE_BYTES = 2**20  # the longest message read; the largest real one describes a video in under 2 kB
ENTRY = "from service.pipeline.sandbox.sandbox import run_task; run_task()"
THREADS = max(1, min(8, os.cpu_count() or 1))  # of a decoder or encoder; each one takes address space, which is limited
CHILD_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # libraries that only reserve memory for threads nobody uses here
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "4",
    "SVT_LOG": "1",  # errors only
}


class Line:
    """One end of the line between parent and child: JSON objects, one a line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = bytearray()

    def send(self, **message: object) -> None:
        """Send a message; one that the other end has gone away from is dropped, the next `receive` tells."""
        try:
            self._socket.settimeout(None)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next message, or None when the other end is gone. Raises TimeoutError; ValueError for what is not a message."""
        self._socket.settimeout(timeout_seconds)
        while b"\n" not in self._received:
            try:
                part = self._socket.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self._received += part
            if len(self._received) > MESSAGE_BYTES:
                raise ValueError("message too long")
        text, _, rest = self._received.partition(b"\n")
        self._received = rest
        message = json.loads(text)
        if not isinstance(message, dict):
            raise ValueError("not a message")
        return message

    def close(self) -> None:
        self._socket.close()


class Child:
    """A process that runs one task. As a context manager it never outlives its block.

    `work` names it in messages ("decoder"); `failure` is what is raised when it dies, stalls or talks nonsense.
    """

    def __init__(
        self,
        task: Task,
        request: Message,
        *,
        work: str,
        failure: type[CleanplateError],
        memory_bytes: int,
        stall_seconds: float,
        may_write: bool = False,
        share: tuple[int, ...] = (),
    ) -> None:
        self._work = work
        self._failure = failure
        self._stall_seconds = stall_seconds
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-c", ENTRY, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                env=_environment(),
                pass_fds=(theirs.fileno(), *share),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children itself
            )
        self._line = Line(ours)
        name = f"{task.__module__}:{task.__qualname__}"
        self._line.send(task=name, memory_bytes=memory_bytes, may_write=may_write, request=request)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._line.close()

    def send(self, **message: object) -> None:
        self._line.send(**message)

    def receive(self) -> Message:
        """The child's next message; raises the error that it reports, or `failure` when none comes."""
        try:
            message = self._line.receive(self._stall_seconds)
        except TimeoutError:
            raise self._failure(f"the {self._work} did nothing for {self._stall_seconds:g} s") from None
        except ValueError:
            raise self._failure(f"the {self._work} sent a message that cannot be read") from None
        if message is None:
            raise self._failure(f"the {self._work}'s process died ({self._cause_of_death()})")
        if "error" in message:
            raise self._reported(message)
        return message

    def _cause_of_death(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its line"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _reported(self, message: Message) -> CleanplateError:
        kind = getattr(errors, str(message["error"]), None)
        if not (isinstance(kind, type) and issubclass(kind, CleanplateError)):
            kind = self._failure
        error = kind(str(message.get("message", "unknown")))
        if "detail" in message:
            error.add_note(str(message["detail"]))
        return error


def _environment() -> dict[str, str]:
    """Ours, with the folders that Python code comes from; libraries are not loaded from the folder that happens to be the current one."""
    inherited = dict(os.environ)
    if "LD_LIBRARY_PATH" in inherited:  # OpenCV's import leaves an empty last part
        inherited["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, inherited["LD_LIBRARY_PATH"].split(os.pathsep)))
    return inherited | CHILD_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def run_task() -> None:
    """The child's main: read what to do from the socket named on the command line, do it, report how it ended."""
    line = Line(socket.socket(fileno=int(sys.argv[1])))
    order = line.receive()
    if order is None:
        return
    _confine(order["memory_bytes"], may_write=order["may_write"])
    try:
        module, _, name = order["task"].partition(":")
        task: Task = getattr(importlib.import_module(module), name)
        task(line, order["request"])
    except CleanplateError as error:
        line.send(error=type(error).__name__, message=str(error))
    except MemoryError:
        line.send(error="", message=f"more than {order['memory_bytes'] // 2**20} MiB of memory are needed")
    except Exception as error:  # the child's last words: whatever it was, the parent must be told
        line.send(error="", message=f"unexpected {type(error).__name__}", detail=traceback.format_exc())


def _confine(memory_bytes: int, *, may_write: bool) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not may_write:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
