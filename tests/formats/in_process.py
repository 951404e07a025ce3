"""Runs the tasks of decoder and encoder in threads: the same code without the start of a process, of which a job needs four.

For walks over hundreds of files that are made here. A sample of them goes through real processes, in the tests.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import pytest

from service.errors import CleanplateError
from service.pipeline.io import decode, encode, groups, mux, probe
from service.pipeline.sandbox.sandbox import CHILD_ENVIRONMENT, Channel, Child, Message, Task


class TaskInThread(Child):
    """A `Child` without a process. It has no limits."""

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
        self._work, self._failure, self._stall_seconds = work, failure, stall_seconds
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self._thread = threading.Thread(target=_run, args=(task, request, Channel(theirs)), daemon=True)
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._channel.close()
        self._thread.join()

    def _describe_exit(self) -> str:
        return "its thread ended"


def _run(task: Task, request: Message, channel: Channel) -> None:
    try:
        task(channel, request)
    except CleanplateError as error:
        channel.send(error=type(error).__name__, message=str(error))
    except Exception as error:  # as a child process reports it
        channel.send(error="", message=f"unexpected {type(error).__name__}", detail=repr(error))
    finally:
        channel.close()


@contextmanager
def in_process() -> Iterator[None]:
    """For the length of the block, files are read and written by threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVT_LOG", CHILD_ENVIRONMENT["SVT_LOG"])
        for module in (probe, decode, encode, groups):
            patch.setattr(module, "Child", TaskInThread)
        for module in (decode, mux):
            patch.setattr(module, "THREADS", 1)  # several files are cleaned at once
        yield
