"""A child process for work on untrusted media. It has limits, and no access to the memory of its parent, which does not trust it.

The child is a fresh interpreter, or the fork of one that has only imported modules (`forker.py`): it inherits no threads and does not run
the caller's main module. Its messages are lines of JSON and are never unpickled: a decoder that a malicious file has taken over can only
fail its own job.
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
from service.pipeline.sandbox import forker

Message = dict[str, Any]
Task = Callable[["Channel", Message], None]

MAX_MESSAGE_BYTES = 2**20  # the largest real message describes a video in less than 2 kB
CHILD_MAIN = f"from {__name__} import run_task; run_task()"
THREADS = max(1, min(8, os.cpu_count() or 1))  # of a decoder or encoder; each takes address space, which is limited
INHERITED = (  # all that a child gets of its parent's environment: no settings, credentials, tokens or addresses of proxies
    *("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
    *("LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
    *("PYTHONHOME", "PYTHONUTF8", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE", "PYTHONUSERBASE"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),  # for the authority that dates signatures
)
CHILD_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # unused threads would only reserve memory
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "4",
    "SVT_LOG": "1",  # errors only
}


class Channel:
    """One end of the socket between parent and child. Messages are JSON objects, one per line."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = bytearray()

    def send(self, **message: object) -> None:
        """Send a message. If the other end is closed the message is dropped; the next `receive` then returns None."""
        try:
            self._socket.settimeout(None)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next message; None if the other end is closed. Raises TimeoutError, and ValueError for bytes that are not a message."""
        self._socket.settimeout(timeout_seconds)
        while b"\n" not in self._received:
            try:
                chunk = self._socket.recv(65536)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                return None
            self._received += chunk
            if len(self._received) > MAX_MESSAGE_BYTES:
                raise ValueError("message too long")
        line, _, rest = self._received.partition(b"\n")
        self._received = rest
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("not a message")
        return message

    def close(self) -> None:
        self._socket.close()


class Child:
    """A process that runs one task. As a context manager it never outlives its block.

    work: its name in error messages, such as "decoder". failure: the error for a child that dies, stalls or sends nonsense.
    memory_bytes: limit of its address space. stall_seconds: the longest wait for a message. share: file descriptors it inherits.
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
            start = _start_forked if forker.AVAILABLE else _start_fresh
            self._process = start(task.__module__, theirs.fileno(), share)
        self._channel = Channel(ours)
        name = f"{task.__module__}:{task.__qualname__}"
        self._channel.send(task=name, memory_bytes=memory_bytes, may_write=may_write, request=request)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def send(self, **message: object) -> None:
        """Send the child a message."""
        self._channel.send(**message)

    def receive(self) -> Message:
        """The child's next message. Raises the error that the child reports, or `failure` if no valid message comes."""
        try:
            message = self._channel.receive(self._stall_seconds)
        except TimeoutError:
            raise self._failure(f"the {self._work} did nothing for {self._stall_seconds:g} s") from None
        except ValueError:
            raise self._failure(f"the {self._work} sent a message that cannot be read") from None
        if message is None:
            raise self._failure(f"the {self._work}'s process died ({self._describe_exit()})")
        if "error" in message:
            raise self._error_from(message)
        return message

    def _describe_exit(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its socket"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _error_from(self, message: Message) -> CleanplateError:
        kind = getattr(errors, str(message["error"]), None)
        if not (isinstance(kind, type) and issubclass(kind, CleanplateError)):
            kind = self._failure
        error = kind(str(message.get("message", "unknown")))
        if "detail" in message:
            error.add_note(str(message["detail"]))
        return error


def _start_forked(module: str, task_socket: int, share: tuple[int, ...]) -> forker.ForkedProcess:
    return forker.FORKER.start(module, task_socket, share, _child_environment())


def _start_fresh(_module: str, task_socket: int, share: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD_MAIN, str(task_socket)],
        env=_child_environment(),
        pass_fds=(task_socket, *share),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches only the parent, which ends its children itself
    )


def _child_environment() -> dict[str, str]:
    """What a child needs of this process's environment, and its import path.

    Empty parts of LD_LIBRARY_PATH are dropped: they mean the current folder, and importing OpenCV appends one.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if libraries := list(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))):
        inherited["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    return inherited | CHILD_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def run_task() -> None:
    """The child's main function: receive a task on the socket named on the command line, run it, report an error."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    order = channel.receive()
    if order is None:
        return
    _set_limits(order["memory_bytes"], may_write=order["may_write"])
    try:
        module, _, name = order["task"].partition(":")
        task: Task = getattr(importlib.import_module(module), name)
        task(channel, order["request"])
    except CleanplateError as error:
        channel.send(error=type(error).__name__, message=str(error))
    except MemoryError:
        channel.send(error="", message=f"it needs more than {order['memory_bytes'] // 2**20} MiB of memory")
    except Exception as error:  # the parent must learn of any error
        channel.send(error="", message=f"unexpected {type(error).__name__}", detail=traceback.format_exc())


def _set_limits(memory_bytes: int, *, may_write: bool) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not may_write:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
