"""Settings from `.env` and `cleanplate.toml` in the folder of the command, and variables that are no settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import settings, variables
from service.errors import SettingsError
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the files set is unset again."""
    monkeypatch.setattr(os, "environ", {name: value for name, value in os.environ.items() if not name.startswith("CLEANPLATE_")})


def check(folder: Path, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "service", "settings", "check", *options]
    environment = os.environ | given | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_reads_both_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export CLEANPLATE_PORT='http'\n")
    assert check(tmp_path).stderr.startswith("cleanplate: CLEANPLATE_PORT: ")
    (tmp_path / ".env").unlink()
    (tmp_path / "cleanplate.toml").write_text("[limits]\nfile_bytes = 'much'\n")
    assert check(tmp_path).stderr.startswith("cleanplate: CLEANPLATE_LIMITS__FILE_BYTES: ")
    done = check(tmp_path, CLEANPLATE_LIMITS__FILE_BYTES="1000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the settings are valid\n", "")


def test_the_check_is_json_for_programs(tmp_path: Path) -> None:
    (tmp_path / "cleanplate.toml").write_text("prot = 1\n")
    done = check(tmp_path, "--json")
    names = ["CLEANPLATE_PROT"]
    assert (done.returncode, json.loads(done.stdout)) == (0, {"valid": True, "error": None, "given": names, "unknown": names})
    assert "did you mean CLEANPLATE_PORT?" in done.stderr
    done = check(tmp_path, "--json", CLEANPLATE_PORT="http")
    assert (done.returncode, json.loads(done.stdout)["valid"]) == (2, False)
    assert json.loads(done.stdout)["error"].startswith("CLEANPLATE_PORT: ")


def test_the_environment_is_stronger_than_the_files_and_env_than_toml(tmp_path: Path) -> None:
    (tmp_path / "cleanplate.toml").write_text(
        'port = 1\nhost = "a"\npublic_url = "b"\nmaintenance = true\nfeatures_off = ["kie", "kaze"]\n[limits]\nduration_seconds = 2.5\n'
    )
    (tmp_path / ".env").write_text("# ours\nCLEANPLATE_PORT=2\nCLEANPLATE_HOST=c\nPATH=/nowhere\n")
    os.environ["CLEANPLATE_PORT"] = "3"
    variables.read_files(tmp_path)
    read = {name: value for name, value in os.environ.items() if name.startswith("CLEANPLATE_")}
    assert read == {
        "CLEANPLATE_PORT": "3",
        "CLEANPLATE_HOST": "c",
        "CLEANPLATE_PUBLIC_URL": "b",
        "CLEANPLATE_MAINTENANCE": "true",
        "CLEANPLATE_FEATURES_OFF": "kie,kaze",
        "CLEANPLATE_LIMITS__DURATION_SECONDS": "2.5",
    }
    assert os.environ["PATH"] != "/nowhere"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("cleanplate.toml", b"port = = 1", r"cleanplate\.toml cannot be read: Invalid value"),
        ("cleanplate.toml", b"\xff", r"cleanplate\.toml cannot be read: 'utf-8' codec"),
        (".env", b"CLEANPLATE_HOST=\xff", r"\.env cannot be read: 'utf-8' codec"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(SettingsError, match=message) as wrong:
        variables.read_files(tmp_path)
    assert str(tmp_path) not in str(wrong.value)


def test_an_unknown_name_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "cleanplate.toml").write_text("prot = 8080\n")
    done = check(tmp_path, CLEANPLATE_KEY="a key", CLEANPLATE_TEST_POSTGRES="", CLEANPLATE_FLAVOUR="plum", CLEANPLATE_LIMITS__FILE_BYTE="1")
    assert (done.returncode, done.stdout) == (0, "the settings are valid\n")
    assert done.stderr.splitlines() == [
        "cleanplate: CLEANPLATE_FLAVOUR is not a setting",
        "cleanplate: CLEANPLATE_LIMITS__FILE_BYTE is not a setting; did you mean CLEANPLATE_LIMITS__FILE_BYTES?",
        "cleanplate: CLEANPLATE_PROT is not a setting; did you mean CLEANPLATE_PORT?",
    ]


def test_every_setting_is_known() -> None:
    assert {"CLEANPLATE_PORT", "CLEANPLATE_C2PA__ENABLED", "CLEANPLATE_LIMITS__STILL_PIXELS"} <= settings.names()
    assert variables.remark_on("CLEANPLATE_KEYS", settings.names()).endswith("did you mean CLEANPLATE_KEY?")
