"""Children from the forker: they see what fresh ones see, die when they must, and the forker may die too."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import DecodeFailed
from service.pipeline.sandbox.forker import AVAILABLE
from service.pipeline.sandbox.sandbox import Channel, Child, Message, Task
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="children are fresh interpreters on this system")


def tell_about_itself(channel: Channel, request: Message) -> None:  # noqa: ARG001
    threads = len(list(Path("/proc/self/task").iterdir()))
    channel.send(pid=os.getpid(), parent=os.getppid(), folder=os.getcwd(), path=sys.path, threads=threads)


def write_to_a_shared_file(channel: Channel, request: Message) -> None:
    os.write(request["file"], b"written")
    channel.send(end=True)


def wait_for_ever(channel: Channel, request: Message) -> None:  # noqa: ARG001
    channel.send(pid=os.getpid())
    signal.pause()


def die(channel: Channel, request: Message) -> None:  # noqa: ARG001
    os.kill(os.getpid(), signal.SIGSEGV)


def start(task: Task, share: tuple[int, ...] = (), **request: object) -> Child:
    return Child(task, request, work="decoder", failure=DecodeFailed, memory_bytes=2**30, stall_seconds=60, share=share)


def is_running(process_id: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False


def test_children_have_one_parent_that_is_not_this_process_and_one_thread() -> None:
    with start(tell_about_itself) as one, start(tell_about_itself) as other:
        first, second = one.receive(), other.receive()
        assert (first["pid"], second["pid"]) == (one.process_id, other.process_id)
    assert first["pid"] != second["pid"]
    assert first["parent"] == second["parent"] != os.getpid()
    assert first["threads"] == 1


def test_a_child_starts_where_this_process_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(tell_about_itself) as child:
        child.receive()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with start(tell_about_itself) as child:
        seen = child.receive()
    assert Path(seen["folder"]) == tmp_path
    assert str(tmp_path) in seen["path"]


def test_shared_files_have_the_same_numbers() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        with os.fdopen(writing, "wb"), start(write_to_a_shared_file, (writing,), file=writing) as child:
            child.receive()
        assert pipe.read() == b"written"


def test_a_child_is_gone_at_the_end_of_its_block() -> None:
    with start(wait_for_ever) as child:
        pid = child.receive()["pid"]
        assert is_running(pid)
    assert not is_running(pid)


def test_how_a_child_died_is_told() -> None:
    with start(die) as child, pytest.raises(DecodeFailed, match="signal 11"):
        child.receive()


def test_after_the_forkers_death_there_is_another_one() -> None:
    with start(tell_about_itself) as child:
        forker = child.receive()["parent"]
    pidfd = os.pidfd_open(forker)
    os.kill(forker, signal.SIGKILL)
    wait_for_end(pidfd)  # so that the next order cannot be sent: what was made for it is closed
    with start(tell_about_itself) as child:
        assert child.receive()["parent"] not in (forker, os.getpid())


def test_children_end_with_a_parent_that_was_killed() -> None:
    code = f"""
import os, signal
from {__name__} import start, wait_for_ever
with start(wait_for_ever) as child:
    print(child.receive()["pid"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.read() == ""  # the end comes when the parent is dead: the others have no standard output
    pidfd = os.pidfd_open(pid) if is_running(pid) else None
    if pidfd is not None:
        wait_for_end(pidfd)
    assert not is_running(pid)


def wait_for_end(pidfd: int) -> None:
    try:
        assert select.select([pidfd], [], [], 60)[0]
    finally:
        os.close(pidfd)
