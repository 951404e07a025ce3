"""The command's response to invalid options: one line, its own exit code, no file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import cli
from service.version import VERSION
from tests.conftest import ROOT, Command

HEAVY = {"numpy", "pydantic_settings", "av", "cv2", "httpx", "sqlalchemy", "fastapi", "dbos", "onnxruntime"}


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version(cleanplate: Command, word: str) -> None:
    done = cleanplate(word)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cleanplate {VERSION}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clean", "in.mp4"], "--output"),
        (["clean", "-o", "out.mp4"], "INPUT"),
        (["clean", "in.mp4", "-o", "out.mp4", "--device", "abacus"], "abacus"),
        (["clean", "in.mp4", "-o", "out.mp4", "--box", "1,2,3"], "box '1,2,3' is not x1,y1,x2,y2"),
        (["clean", "in.mp4", "-o", "out.mp4", "--box", "9,2,3,4"], "empty or negative"),
        (["clean", "in.mp4", "-o", "out.mp4", "--classes", "logo"], "choose from overlay, scene_text"),
        (["clean", "in.mp4", "-o", "out.mp4", "--mask", "nowhere.png"], "nowhere.png: no such file"),
        (["clean", "in.mp4", "-o", "./in.mp4"], "would overwrite an input"),
        (["clean", "--polish"], "--polish"),
        (["polish"], "polish"),
    ],
)
def test_an_invalid_option_gives_one_line_and_exit_2(cleanplate: Command, arguments: list[str], message: str) -> None:
    done = cleanplate(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("cleanplate: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_invalid_setting_names_its_variable(cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("clean", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", CLEANPLATE_LIMITS__DURATION_SECONDS="long")
    assert done.returncode == 2
    assert done.stderr.startswith("cleanplate: CLEANPLATE_LIMITS__DURATION_SECONDS: ")


@pytest.mark.parametrize("words", [["-h"], ["clean", "-h"], ["models", "list", "-h"]], ids=" ".join)
def test_help_in_short(cleanplate: Command, words: list[str]) -> None:
    done = cleanplate(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: cleanplate {' '.join(words[:-1])}".strip() in done.stdout


@pytest.mark.parametrize("words", [[], ["-h"], ["--version"], ["version"], ["polish"], ["completion", "bash"]], ids=" ".join)
def test_what_needs_no_command_loads_none(words: list[str]) -> None:
    """So that it starts in a fifth of a second: networks, codecs and databases take ten times as long to load."""
    code = f"from service import cli; cli.run_command({words}); import sys; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("[]\n")


def test_each_command_loads_only_what_it_needs() -> None:
    for name, entry in cli.ENTRIES.items():
        assert entry.summary.endswith(".")
        app = cli.command_line(name)
        assert name in {each.name for each in (*app.registered_commands, *app.registered_groups)}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("cleanplate ", "submit"),
        ("cleanplate cl", "clean"),
        ("cleanplate clean --de", "--detect-only"),
        ("cleanplate clean --device ", "cuda"),
        ("cleanplate models ", "verify"),
    ],
)
def test_a_shell_completes_the_line(cleanplate: Command, line: str, shown: str) -> None:
    words = line.split(" ")
    bash = {"_CLEANPLATE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    assert shown in cleanplate(**bash).stdout.splitlines()
    assert f'"{shown}"' in cleanplate(_CLEANPLATE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line).stdout
    fish = {"_CLEANPLATE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert shown in cleanplate(**fish).stdout


def test_bash_completes_with_the_printed_script(cleanplate: Command, tmp_path: Path) -> None:
    """In a real bash, where `cleanplate` is this interpreter's."""
    program = tmp_path / "cleanplate"
    program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m service "$@"\n')
    program.chmod(0o755)
    script = cleanplate("completion", "bash").stdout
    code = f"{script}\nCOMP_WORDS=(cleanplate ins) COMP_CWORD=1 && _cleanplate_completion cleanplate && echo ${{COMPREPLY[@]}}"
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "inspect\n"


def test_ctrl_c_while_a_command_is_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    assert cli.run_command(["clean"]) == 130
    assert capsys.readouterr().err == "cleanplate: stopped\n"


def test_without_a_command_the_help_is_shown(cleanplate: Command) -> None:
    done = cleanplate()
    assert "clean" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_during_a_destructor_is_not_lost() -> None:
    """While a weak reference's callback runs, as at each import."""
    code = """
import signal, sys, time, weakref
from service import __main__, cli

class Thing:
    pass

def import_something(_arguments):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing
    print("not lost yet", flush=True)
    time.sleep(60)

cli.run_command = import_something
__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "not lost yet\n", "")
