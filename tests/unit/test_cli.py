"""What the command answers to options that are wrong: one line, its own exit code, no file."""

from pathlib import Path

import pytest

from service.version import VERSION
from tests.conftest import Command


def test_version(cleanplate: Command) -> None:
    done = cleanplate("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cleanplate {VERSION}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
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
def test_a_wrong_option_is_one_line_and_exit_2(cleanplate: Command, arguments: list[str], said: str) -> None:
    done = cleanplate(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("cleanplate: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_wrong_setting_names_its_variable(cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("clean", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", CLEANPLATE_LIMITS__DURATION_SECONDS="long")
    assert done.returncode == 2
    assert done.stderr.startswith("cleanplate: CLEANPLATE_LIMITS__DURATION_SECONDS: ")


def test_without_a_command_the_help_is_shown(cleanplate: Command) -> None:
    done = cleanplate()
    assert "clean" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
