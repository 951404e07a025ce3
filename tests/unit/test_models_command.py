"""`cleanplate models`: lists, verifies and chooses weights."""

import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import pytest

from models.registry import MANIFEST, MANIFEST_FILE, SHIPPED
from models.spec import NETWORKS
from service.cli import run_command


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLEANPLATE_WEIGHTS", raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A weights folder with only a matte network."""
    folder = tmp_path / "own"
    (folder / "weights").mkdir(parents=True)
    shutil.copy(SHIPPED / "weights" / "matte.onnx", folder / "weights")
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    sha256 = hashlib.sha256((folder / "weights" / "matte.onnx").read_bytes()).hexdigest()
    contract = tomllib.loads(MANIFEST.read_text())["matte"]["contract"]
    lines = ("[matte]", 'file = "weights/matte.onnx"', f'sha256 = "{sha256}"', 'version = "9-mine"', f"contract = {contract}", "f1 = 0.75")
    (folder / MANIFEST_FILE).write_text("\n".join(lines))


def rows(printed: str) -> dict[tuple[str, str], str]:
    """The table's lines by network and precision."""
    return {(words[0], words[2]): line for line in printed.partition("\n\n")[0].splitlines()[2:] if (words := line.split())}


def test_the_list_contains_every_shipped_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "list"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("in use: the shipped weights\n")
    tables = tomllib.loads(MANIFEST.read_text())
    found = rows(printed)
    assert {name for name, _ in found} == {network.name for network in NETWORKS}
    for (name, precision), line in found.items():
        table = tables[name] if precision == "fp32" else tables[name][precision]
        assert all(word in line.split() for word in (tables[name]["version"], table["sha256"][:12], Path(table["file"]).name, "shipped"))


def test_the_list_explains_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "list"]) == 0
    table, _, legend = capsys.readouterr().out.partition("\n\n")
    explained = {line.split()[0] for line in legend.splitlines()[1:]}
    assert "as the training run names it" not in legend
    assert explained == {word.partition("=")[0] for word in table.split() if "=" in word}


def test_the_list_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "list", "--json"]) == 0
    segmenter = json.loads(capsys.readouterr().out)[0]
    assert (segmenter["network"], segmenter["precision"], segmenter["bytes"] > 10**6) == ("segmenter", "fp32", True)
    assert 0 < segmenter["metrics"]["f1"] < 1


def test_the_shipped_networks_pass_verification(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "verify"]) == 0
    assert capsys.readouterr().out.count("intact") == sum(
        1 + ("fp16" in t) + ("int8" in t) for t in tomllib.loads(MANIFEST.read_text()).values()
    )


def test_verification_is_json_for_programs(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "verify", str(own), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], found["error"]) == (True, None)
    assert {"network": "matte", "version": "9-mine", "precision": "fp32", "file": "matte.onnx"} in found["passed"]
    (own / "weights" / "matte.onnx").write_bytes(b"no network")
    assert run_command(["models", "verify", str(own), "--json"]) == 5
    printed = capsys.readouterr()
    assert json.loads(printed.out)["valid"] is False
    assert json.loads(printed.out)["error"] in printed.err


def test_a_folder_is_used_until_the_shipped_one_is_again(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "use", str(own)]) == 0
    assert run_command(["models", "list"]) == 0
    printed = capsys.readouterr().out
    assert f"in use: {own}" in printed
    line = next(line for line in printed.splitlines() if "9-mine  " in line)
    assert line.split()[-2:] == ["own", "f1=0.75"]
    assert "segmenter.onnx" in printed
    assert run_command(["models", "use", "--shipped"]) == 0
    assert run_command(["models", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "in use: the shipped weights"


def test_the_variable_overrides_the_choice(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(own, tmp_path / "other"))
    monkeypatch.setenv("CLEANPLATE_WEIGHTS", str(other))
    assert run_command(["models", "use", str(own)]) == 0
    assert "CLEANPLATE_WEIGHTS is set" in capsys.readouterr().err
    assert run_command(["models", "list"]) == 0
    assert f"in use: {other}" in capsys.readouterr().out


def refused(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("cleanplate: ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "use"])
def test_an_invalid_folder_gives_one_line_and_exit_5_and_is_not_used(own: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights = own / "weights" / "matte.onnx"
    weights.write_bytes(b"no network")
    refused(["models", command, str(own)], 5, "damaged", capsys)
    write_manifest(own)
    refused(["models", command, str(own)], 5, "the matte does not load", capsys)
    weights.write_bytes((SHIPPED / "weights" / "segmenter.onnx").read_bytes())
    write_manifest(own)
    refused(["models", command, str(own)], 5, "contract", capsys)
    (own / MANIFEST_FILE).unlink()
    refused(["models", command, str(own)], 5, "missing", capsys)
    assert run_command(["models", "list"]) == 0
    assert "in use: the shipped weights" in capsys.readouterr().out


def test_a_choice_is_a_folder_or_the_shipped_one(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["models", "use"], 2, "either DIR or --shipped", capsys)
    refused(["models", "use", str(own), "--shipped"], 2, "either DIR or --shipped", capsys)
