"""The data folder and what is in it are closed to others, whoever made them first."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.core import opened
from service.errors import SettingsError
from service.private_folder import private_folder
from service.settings import Settings
from tests.conftest import ROOT

OPEN = """
import os
from service.private_folder import make_files_private
from service.core import bootstrap, opened
from service.settings import Settings
os.umask(0o022)
make_files_private()
with opened(Settings()) as core:
    bootstrap(core)
    core.storage.put_bytes("jobs/a/clean.mp4", b"a result", "video/mp4")
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[bool, set[int]]:
    """The modes of all folders (True) and files (False) in the folder, and of itself."""
    paths = [folder, *folder.rglob("*")]
    return {kind: {mode(path) for path in paths if path.is_dir() is kind} for kind in (True, False)}


def test_what_a_process_of_the_service_writes_is_private(tmp_path: Path) -> None:
    environment = os.environ | {"CLEANPLATE_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([sys.executable, "-c", OPEN], cwd=ROOT, env=environment, check=True)
    assert (tmp_path / "data" / "files" / "jobs" / "a" / "clean.mp4").exists()
    assert modes(tmp_path / "data") == {True: {0o700}, False: {0o600}}


def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    with opened(Settings(data_dir=tmp_path / "data")) as core, core.database.read():
        for path in [tmp_path / "data", *(tmp_path / "data").iterdir()]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    with opened(Settings(data_dir=tmp_path / "data")) as core, core.database.read():
        assert modes(tmp_path / "data") == {True: {0o700}, False: {0o600}}


def test_a_database_elsewhere_is_private_too(tmp_path: Path) -> None:
    (tmp_path / "old.sqlite").touch(0o644)
    for name in ("old.sqlite", "new.sqlite"):
        with opened(Settings(data_dir=tmp_path / "data", database_url=f"sqlite:///{tmp_path / name}")):
            assert {mode(path) for path in tmp_path.glob(f"{name}*")} == {0o600}


def test_a_folder_with_other_files_is_refused_and_not_changed(tmp_path: Path) -> None:
    (shared := tmp_path / "shared").mkdir()
    shared.chmod(0o755)
    (shared / "page.html").touch()
    (shared / "page.html").chmod(0o644)
    with pytest.raises(SettingsError, match=r"^CLEANPLATE_DATA_DIR: the folder is open to others and holds other files") as refused:
        private_folder(shared)
    assert "\n" not in str(refused.value)
    assert (mode(shared), mode(shared / "page.html")) == (0o755, 0o644)
    shared.chmod(0o700)
    assert private_folder(shared) == shared


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is somebody else's")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (foreign := tmp_path / "foreign").mkdir()
    foreign.chmod(0o777)
    os.chown(foreign, 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to another user"):
        private_folder(foreign)
    assert mode(foreign) == 0o777
