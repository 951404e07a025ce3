"""Temporary files: each process has a folder, and what the dead left is removed."""

import os
import platform
import tempfile
from pathlib import Path

import pytest

from service.jobs.fleet import started
from service.scratch import Scratch


def left(root: Path, host: str, process_id: int, began: int) -> Path:
    """What a process left behind."""
    folder = root / f"{host}+{process_id}+{began}" / "job"
    folder.mkdir(parents=True)
    (folder / "half.mp4").write_bytes(b"half")
    return folder.parent


def test_the_deads_folders_go_and_the_livings_stay(tmp_path: Path) -> None:
    here, mine = platform.node(), started(os.getpid())
    dead = left(tmp_path, here, 2**22 + 1, 1)
    reused = left(tmp_path, here, os.getpid(), mine + 1)
    living = left(tmp_path, here, os.getppid(), started(os.getppid()))
    elsewhere = left(tmp_path, "elsewhere", 2**22 + 1, 1)
    other = tmp_path / "metrics"
    other.mkdir()
    with Scratch(tmp_path).begun():
        assert [folder.exists() for folder in (dead, reused, living, elsewhere, other)] == [False, False, True, True, True]


def test_all_temporary_files_of_the_process_come_there_and_go_with_it(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with Scratch(tmp_path / "scratch").begun() as scratch:
        with tempfile.NamedTemporaryFile() as file, scratch.folder() as folder:
            assert Path(file.name).parent == folder.parent == scratch.own
            (folder / "part.mp4").write_bytes(b"part")
        assert list(scratch.own.iterdir()) == []
        scratch.sweep()
        assert scratch.own.exists(), "we are alive"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert tempfile.gettempdir() == before


def test_a_folder_goes_with_an_error_too(tmp_path: Path) -> None:
    with Scratch(tmp_path).begun() as scratch:
        with pytest.raises(KeyError), scratch.folder() as folder:
            raise KeyError
        assert not folder.exists()
