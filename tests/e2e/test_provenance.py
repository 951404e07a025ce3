"""Content Credentials end to end: the command, the service and `cleanplate verify`, with the fake networks."""

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
    """Runs commands with a data folder of this test."""

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


def test_the_command_signs_its_outputs_and_verify_shows_it(tmp_path: Path, terminal: Terminal) -> None:
    source, clean, again = written(tmp_path / "in.png", "clean_image"), tmp_path / "clean.png", tmp_path / "again.png"
    for before, after in ((source, clean), (clean, again)):
        code, output = terminal.run("clean", before, "-o", after, "--box", "20,20,60,36", "--report", tmp_path / "report.json", "-v")
        assert code == 0
        assert "credentials    signed by Cleanplate on this machine" in output
    (entry,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert (entry["provenance"]["signed_by"], entry["provenance"]["source_state"]) == ("Cleanplate on this machine", "Valid")
    code, output = terminal.run("verify", again)
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "again.png: valid: the file is unchanged since it was signed; the signer is not on a trust list"
    assert [line.split(",")[:2] for line in lines if "c2pa.edited" in line] == 2 * [["  action     c2pa.edited", " visible mark removed"]]
    assert "  made from  source.png, parentOf, with Content Credentials" in lines
    assert "  made from  source.png, parentOf, without Content Credentials" in lines
    output = json.loads(terminal.run("verify", again, "--json")[1])
    assert (output["valid"], output["state"], len(output["manifests"])) == (True, "Valid", 2)


def test_verify_exits_3_for_invalid_credentials(tmp_path: Path, terminal: Terminal) -> None:
    source, clean = written(tmp_path / "in.png", "clean_image"), tmp_path / "clean.png"
    assert terminal.run("verify", source) == (3, "in.png: no Content Credentials\n")
    assert terminal.run("verify", tmp_path / "missing.png") == (2, "")
    terminal.run("clean", source, "-o", clean, "--box", "20,20,60,36")
    with Image.open(clean) as image:
        size = image.size
    data = clean.read_bytes()
    clean.write_bytes(data.replace(b"IHDR" + size[0].to_bytes(4, "big"), b"IHDR" + (size[0] + 1).to_bytes(4, "big")))
    code, output = terminal.run("verify", clean)
    assert code == 3
    assert output.startswith("clean.png: not valid: the file or its credentials were changed after signing\n  problem: ")


def test_without_a_mark_nothing_is_signed(tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "in.png", "clean_image")
    assert terminal.run("clean", source, "-o", tmp_path / "same.png")[0] == 0
    assert (tmp_path / "same.png").read_bytes() == source.read_bytes()
    monkeypatch.setenv("CLEANPLATE_C2PA__ENABLED", "false")
    assert terminal.run("clean", source, "-o", tmp_path / "plain.png", "--box", "20,20,60,36")[0] == 0
    assert terminal.run("verify", tmp_path / "plain.png")[0] == 3


def test_a_jobs_output_is_signed_with_its_accounts_source_type(tmp_path: Path, terminal: Terminal) -> None:
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
    output = json.loads(terminal.run("verify", clean, "--json")[1])
    (manifest,) = output["manifests"]
    assert [(action["name"], action["description"]) for action in manifest["actions"]] == [
        ("c2pa.opened", None),
        ("c2pa.edited", "visible mark removed"),
        ("c2pa.edited", "sound removed"),
    ]
    assert manifest["actions"][0]["digital_source_type"] == TRAINED
    assert (entry["provenance"]["digital_source_type"], entry["provenance"]["told_by"]) == (TRAINED, "account")


def declared(terminal: Terminal) -> list[tuple[str, str | None, str | None]]:
    """Each account with its defaults."""
    rows = json.loads(terminal.run("accounts", "list", "--json")[1])
    return [(row["account"], row["rights"], row["source_type"]) for row in rows]


def test_rights_and_source_types_of_accounts_can_be_set(terminal: Terminal) -> None:
    assert terminal.run("accounts", "create", "ann", "--rights", "owner", "--digital-source-type", f"{IPTC}digitalCapture")[0] == 0
    assert declared(terminal) == [("ann", "owner", "digitalCapture")]
    assert terminal.run("accounts", "set", "ann", "--rights", "licensed")[0] == 0
    assert declared(terminal) == [("ann", "licensed", "digitalCapture")]
    assert terminal.run("accounts", "set", "ann", "--rights", "none", "--digital-source-type", "none")[0] == 0
    assert declared(terminal) == [("ann", None, None)]
    assert terminal.run("accounts", "create", "bob", "--rights", "stolen")[0] == 2
    assert terminal.run("accounts", "create", "bob", "--digital-source-type", "painted")[0] == 2
    assert len(declared(terminal)) == 1
