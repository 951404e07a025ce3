"""From a marked file to what its receiver can see of it: the command, the service, and `cleanplate verify`; with the fake networks."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from service.cli import run_command
from service.source_type import IPTC
from tests.service_process import file, running

TRAINED = f"{IPTC}trainedAlgorithmicMedia"


@dataclass(frozen=True)
class Terminal:
    """Commands of a person whose data folder is of this test."""

    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        code = run_command([str(argument) for argument in arguments])
        return code, self.capsys.readouterr().out


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    return Terminal(capsys)


def written(path: Path, kind: str) -> Path:
    path.write_bytes(file(kind)[0])
    return path


def test_the_command_signs_what_it_cleans_and_verify_tells(tmp_path: Path, terminal: Terminal) -> None:
    source, clean, again = written(tmp_path / "in.png", "clean_image"), tmp_path / "clean.png", tmp_path / "again.png"
    for before, after in ((source, clean), (clean, again)):
        code, told = terminal.run("clean", before, "-o", after, "--box", "20,20,60,36", "--report", tmp_path / "report.json", "-v")
        assert code == 0
        assert "credentials    signed by Cleanplate on this machine" in told
    (entry,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert (entry["provenance"]["signed_by"], entry["provenance"]["source_state"]) == ("Cleanplate on this machine", "Valid")
    code, told = terminal.run("verify", again)
    assert code == 0
    lines = told.splitlines()
    assert lines[0] == "again.png: valid: the file is as it was signed; nobody whom this program knows vouches for the signer"
    assert [line.split(",")[:2] for line in lines if "c2pa.edited" in line] == 2 * [["  action     c2pa.edited", " visible mark removed"]]
    assert "  made from  source.png, parentOf, with Content Credentials" in lines
    assert "  made from  source.png, parentOf, without Content Credentials" in lines
    told = json.loads(terminal.run("verify", again, "--json")[1])
    assert (told["valid"], told["state"], len(told["manifests"])) == (True, "Valid", 2)


def test_verify_has_an_exit_code_for_what_is_not_valid(tmp_path: Path, terminal: Terminal) -> None:
    source, clean = written(tmp_path / "in.png", "clean_image"), tmp_path / "clean.png"
    assert terminal.run("verify", source) == (3, "in.png: no Content Credentials\n")
    assert terminal.run("verify", tmp_path / "missing.png") == (3, "")
    terminal.run("clean", source, "-o", clean, "--box", "20,20,60,36")
    with Image.open(clean) as image:
        size = image.size
    data = clean.read_bytes()
    clean.write_bytes(data.replace(b"IHDR" + size[0].to_bytes(4, "big"), b"IHDR" + (size[0] + 1).to_bytes(4, "big")))
    code, told = terminal.run("verify", clean)
    assert code == 3
    assert told.startswith("clean.png: not valid: the file, or what it says of itself, was changed after it was signed\n  problem: ")


def test_no_mark_no_signature(tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "in.png", "clean_image")
    assert terminal.run("clean", source, "-o", tmp_path / "same.png")[0] == 0
    assert (tmp_path / "same.png").read_bytes() == source.read_bytes()
    monkeypatch.setenv("CLEANPLATE_C2PA__ENABLED", "false")
    assert terminal.run("clean", source, "-o", tmp_path / "plain.png", "--box", "20,20,60,36")[0] == 0
    assert terminal.run("verify", tmp_path / "plain.png")[0] == 3


def test_a_job_is_signed_and_says_what_its_account_declares(tmp_path: Path, terminal: Terminal) -> None:
    with running(tmp_path / "data", c2pa__enabled="true") as service:
        account = service.account()
        assert (
            terminal.run("accounts", "set", account.name, "--rights", "licensed", "--digital-source-type", "trainedAlgorithmicMedia")[0]
            == 0
        )
        asked = {"source_url": service.video_url("marked"), "remove_audio": True}
        job = service.client.post("/v1/jobs", headers=account.bearer, json=asked).json()
        assert job["rights"] == "licensed"
        ended = service.wait(account, job["id"])
        assert ended.result is not None
        assert (ended.rights, ended.digital_source_type, ended.failure) == ("licensed", TRAINED, None)
        view = service.client.get(f"/v1/jobs/{job['id']}", headers=account.bearer).json()
        clean = tmp_path / "clean.mp4"
        clean.write_bytes(httpx.get(view["result"]["url"], trust_env=False).content)
        (entry,) = json.loads(service.core.storage.get_bytes(str(ended.result.report_key)))["files"]
    told = json.loads(terminal.run("verify", clean, "--json")[1])
    (manifest,) = told["manifests"]
    assert [(action["name"], action["description"]) for action in manifest["actions"]] == [
        ("c2pa.opened", None),
        ("c2pa.edited", "visible mark removed"),
        ("c2pa.edited", "sound removed"),
    ]
    assert manifest["actions"][0]["digital_source_type"] == TRAINED
    assert (entry["provenance"]["digital_source_type"], entry["provenance"]["told_by"]) == (TRAINED, "account")


def test_accounts_are_given_rights_and_source_types(terminal: Terminal) -> None:
    assert terminal.run("accounts", "create", "ann", "--rights", "owner", "--digital-source-type", f"{IPTC}digitalCapture")[0] == 0
    assert terminal.run("accounts", "list")[1] == "ann\tactive\t0\t0\t0\towner\tdigitalCapture\n"
    assert terminal.run("accounts", "set", "ann", "--rights", "licensed")[0] == 0
    assert terminal.run("accounts", "list")[1].endswith("\tlicensed\tdigitalCapture\n")
    assert terminal.run("accounts", "set", "ann", "--rights", "none", "--digital-source-type", "none")[0] == 0
    assert terminal.run("accounts", "list")[1].endswith("\t-\t-\n")
    assert terminal.run("accounts", "create", "bob", "--rights", "stolen")[0] == 2
    assert terminal.run("accounts", "create", "bob", "--digital-source-type", "painted")[0] == 7
    assert terminal.run("accounts", "list")[1].count("\n") == 1
