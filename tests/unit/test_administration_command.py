"""The commands of an operator, given what is wrong: one line that says so, exit code 2, and nothing is changed."""

import io
import json
import os
import pty
import sys
from pathlib import Path

import pytest

from service.cli import run_command

SECRET = "a-secret-access-key"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service's data, which is not there yet."""
    folder = tmp_path / "data"
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(folder))
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said of a command line that is wrong."""
    capsys.readouterr()
    assert run_command(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("cleanplate: ")
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("cleanplate: ").strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["credits", "grant", "ann"], "Missing argument"),
        (["credits", "grant", "ann", "ten"], "this is no whole number"),
        (["credits", "grant", "ann", "0"], "the least is 1"),
        (["credits", "correct", "ann", "5"], "--note"),
        (["accounts", "set", "ann"], "nothing to change"),
        (["accounts", "set", "ann", "--rights", "mine"], "'mine' is not one of"),
        (["accounts", "set", "ann", "--digital-source-type", "dream"], "'dream' is not an IPTC digital source type"),
        (["accounts", "create", "ann", "--digital-source-type", "dream"], "'dream' is not an IPTC digital source type"),
        (["accounts", "limit", "ann"], "nothing to change"),
        (["accounts", "limit", "ann", "--queue-jobs", "-7"], "the least is -1"),
        (["keys", "create", "ann", "--scope", "all"], "'all' is not one of"),
        (["keys", "create", "ann", "--days", "soon"], "this is no number"),
        (["redeliver"], "name jobs or batches"),
        (["redeliver", "job_1", "--given-up"], "name jobs or batches"),
        (["signers", "make"], "No such command 'make'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_wrong_word_is_said_in_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], data: Path, words: list[str], said: str
) -> None:
    refused = refusal(capsys, *words)
    assert said in refused
    assert "Input should" not in refused
    assert "Value error" not in refused
    assert not data.exists()


def test_a_wrong_name_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["credits", "grant", "ann", "5"],
        ["credits", "ledger", "ann"],
        ["accounts", "ban", "ann"],
        ["accounts", "delete", "ann"],
        ["accounts", "limit", "ann", "--queue-jobs", "1"],
        ["accounts", "webhook-secret", "ann"],
        ["keys", "create", "ann"],
        ["keys", "list", "ann"],
        ["signers", "create", "ann", "app"],
    ):
        assert refusal(capsys, *words) == "there is no account ann"
    assert refusal(capsys, "keys", "revoke", "cp_none") == "there is no such key"
    assert refusal(capsys, "signers", "revoke", "app") == "there is no such signer"
    assert refusal(capsys, "redeliver", "job_1") == "job_1 has no callback, or has not ended"
    assert refusal(capsys, "accounts", "create", "") == "an account's name has 1 to 100 printable characters"
    assert run_command(["accounts", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_bucket_takes_its_secret_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command(["accounts", "create", "ann"]) == 0
    words = ["accounts", "bucket", "ann", "--bucket", "results", "--access-key-id", "AKIA1"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert "secret_access_key" in refusal(capsys, *words)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    assert run_command(words) == 0
    assert SECRET not in "".join(capsys.readouterr())


def test_a_bucket_asks_for_its_secret_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command(["accounts", "create", "ann"]) == 0
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, encoding="ascii") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr("getpass.getpass", lambda *_: SECRET)
        assert run_command(["accounts", "bucket", "ann", "--bucket", "results", "--access-key-id", "AKIA1"]) == 0
    os.close(ours)
    shown = capsys.readouterr()
    assert "secret access key" in shown.err
    assert SECRET not in shown.out + shown.err
