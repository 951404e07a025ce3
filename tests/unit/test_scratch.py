"""Temporary files: each process has a folder, and those of dead processes are removed."""

import os
import platform
import tempfile
from pathlib import Path

import pytest

from service.jobs.fleet import start_ticks
from service.scratch import Scratch


def leave_folder(root: Path, host: str, process_id: int, started_ticks: int) -> Path:
    """The folder that a process left behind."""
    folder = root / f"{host}+{process_id}+{started_ticks}" / "job"
    folder.mkdir(parents=True)
    (folder / "half.mp4").write_bytes(b"half")
    return folder.parent


def test_folders_of_dead_processes_are_removed_and_others_stay(tmp_path: Path) -> None:
    here, mine = platform.node(), start_ticks(os.getpid())
    dead = leave_folder(tmp_path, here, 2**22 + 1, 1)
    reused = leave_folder(tmp_path, here, os.getpid(), mine + 1)
    living = leave_folder(tmp_path, here, os.getppid(), start_ticks(os.getppid()))
    elsewhere = leave_folder(tmp_path, "elsewhere", 2**22 + 1, 1)
    other = tmp_path / "metrics"
    other.mkdir()
    with Scratch(tmp_path).opened():
        assert [folder.exists() for folder in (dead, reused, living, elsewhere, other)] == [False, False, True, True, True]


def test_all_temporary_files_of_the_process_are_kept_there_and_removed_with_it(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with Scratch(tmp_path / "scratch").opened() as scratch:
        with tempfile.NamedTemporaryFile() as file, scratch.folder() as folder:
            assert Path(file.name).parent == folder.parent == scratch.own
            (folder / "part.mp4").write_bytes(b"part")
        assert list(scratch.own.iterdir()) == []
        scratch.sweep()
        assert scratch.own.exists(), "we are alive"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert tempfile.gettempdir() == before


def test_a_folder_is_removed_after_an_error_too(tmp_path: Path) -> None:
    with Scratch(tmp_path).opened() as scratch:
        with pytest.raises(KeyError), scratch.folder() as folder:
            raise KeyError
        assert not folder.exists()
