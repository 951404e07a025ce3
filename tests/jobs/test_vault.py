"""The server's secret key: sealing, and sharing one key among the processes of a data folder."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.jobs.vault import Vault, load_or_create_key

KEY = "a key of 16 characters or more"


def test_a_sealed_secret_opens_only_with_the_same_key() -> None:
    sealed = Vault(KEY).seal("pass word")
    assert "pass" not in sealed
    assert sealed != Vault(KEY).seal("pass word")
    assert Vault(KEY).open(sealed) == b"pass word"
    with pytest.raises(SettingsError, match="CLEANPLATE_SECRET_KEY"):
        Vault(KEY + "!").open(sealed)


def test_each_purpose_has_its_own_secret() -> None:
    assert Vault(KEY).derive("links") == Vault(KEY).derive("links")
    assert len({Vault(key).derive(purpose) for key in (KEY, KEY + "!") for purpose in ("links", "callbacks")}) == 4


def test_a_short_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="CLEANPLATE_SECRET_KEY needs at least 16 characters"):
        Vault("short")


def test_a_folders_key_is_created_once_and_is_private(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path)
    assert len(key) >= 40
    assert load_or_create_key(tmp_path) == key
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


def test_concurrent_processes_get_the_same_key(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from service.jobs import vault; sys.stdin.read(); print(vault.load_or_create_key(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin
        process.stdin.close()  # start
        process.stdin = None
    printed = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert printed == {load_or_create_key(tmp_path)}
    assert len(list(tmp_path.iterdir())) == 1
