"""The worker beside the service: restarted when it dies, stopped in order, and never orphaned."""

import os
import sys
from pathlib import Path

import pytest

from service.supervisor import WorkerProcess
from tests.fixture_host import eventually

# Records its process id and how it ended; runs until it gets SIGTERM or its standard input ends.
SCRIPT = """
import os, pathlib, signal, sys, threading
folder = pathlib.Path(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()
(folder / f"{os.getpid()}.new").touch()
(folder / f"{os.getpid()}.new").rename(folder / f"{os.getpid()}.up")
signal.sigwait({signal.SIGTERM})
(folder / "stopped").touch()
os._exit(0)
"""


def start_worker(folder: Path) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-S", "-c", SCRIPT, str(folder)], {})


def started_ids(folder: Path) -> list[int]:
    """The process ids of all workers started so far."""
    return [int(path.stem) for path in folder.glob("*.up")]


def test_a_dead_worker_is_restarted(tmp_path: Path) -> None:
    worker = start_worker(tmp_path)
    try:
        eventually(lambda: len(started_ids(tmp_path)) == 1)
        os.kill(started_ids(tmp_path)[0], 9)
        eventually(lambda: len(started_ids(tmp_path)) == 2)
        assert not (tmp_path / "stopped").exists()
    finally:
        worker.stop()
    assert (tmp_path / "stopped").exists()
    assert len(started_ids(tmp_path)) == 2


def test_a_worker_that_could_not_be_started_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program, away = tmp_path / "worker", tmp_path / "away"
    program.write_text(f"#!{sys.executable} -S\n{SCRIPT}")
    program.chmod(0o700)
    worker = WorkerProcess([str(program), str(tmp_path)], {})
    try:
        eventually(lambda: len(started_ids(tmp_path)) == 1)
        program.rename(away)
        os.kill(started_ids(tmp_path)[0], 9)
        eventually(lambda: "no worker could be started" in caplog.text)
        away.rename(program)
        eventually(lambda: len(started_ids(tmp_path)) == 2)
    finally:
        worker.stop()
    assert (tmp_path / "stopped").exists()


def test_a_stopped_worker_stays_stopped(tmp_path: Path) -> None:
    worker = start_worker(tmp_path)
    eventually(lambda: len(started_ids(tmp_path)) == 1)
    worker.stop()
    assert (tmp_path / "stopped").exists()
    assert len(started_ids(tmp_path)) == 1


def test_a_crashing_worker_can_be_stopped_before_its_restart(tmp_path: Path) -> None:
    worker = WorkerProcess([sys.executable, "-S", "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"], {})
    eventually(lambda: (tmp_path / "ran").exists() and len((tmp_path / "ran").read_text()) >= 2)
    worker.stop()
