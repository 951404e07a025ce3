"""The worker beside the service: started again when it dies, stopped in order, gone when we are."""

import os
import sys
from pathlib import Path

from service.supervisor import WorkerProcess
from tests.fixture_host import eventually

# Notes its number, and how it ended; lives until it is told to stop, or its standard input ends.
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


def keeper(folder: Path) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-S", "-c", SCRIPT, str(folder)], {})


def up(folder: Path) -> list[int]:
    """The numbers of all that ever ran."""
    return [int(path.stem) for path in folder.glob("*.up")]


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    kept = keeper(tmp_path)
    try:
        eventually(lambda: len(up(tmp_path)) == 1)
        os.kill(up(tmp_path)[0], 9)
        eventually(lambda: len(up(tmp_path)) == 2)
        assert not (tmp_path / "stopped").exists()
    finally:
        kept.stop()
    assert (tmp_path / "stopped").exists()
    assert len(up(tmp_path)) == 2


def test_a_worker_that_is_stopped_stays_so(tmp_path: Path) -> None:
    kept = keeper(tmp_path)
    eventually(lambda: len(up(tmp_path)) == 1)
    kept.stop()
    assert (tmp_path / "stopped").exists()
    assert len(up(tmp_path)) == 1


def test_one_that_dies_at_once_can_be_stopped_while_we_wait_to_start_it_again(tmp_path: Path) -> None:
    kept = WorkerProcess([sys.executable, "-S", "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"], {})
    eventually(lambda: (tmp_path / "ran").exists() and len((tmp_path / "ran").read_text()) >= 2)
    kept.stop()
