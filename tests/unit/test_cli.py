"""The command's response to invalid options: one line, its own exit code, no file."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.version import VERSION
from tests.conftest import ROOT, Command


def test_version(cleanplate: Command) -> None:
    done = cleanplate("version")
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
