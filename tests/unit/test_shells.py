"""The printed scripts complete the command in real shells. `CLEANPLATE_TEST_SHELLS=off` skips what needs zsh and fish."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

PATIENCE_SECONDS = 240.0  # only failing tests or busy machines wait this long
ENDS = b"<end>"
ZSH = "PS1='> '; autoload -Uz compinit; compinit -u -d {folder}/dump; source <(cleanplate completion zsh); echo '<'end'>'\n"
LINES = [
    ("jobs can", "cancel"),
    ("clean --detect-o", "--detect-only"),
    ("keys create --scope adm", "admin"),
    ("clean hol", "holiday.mp4"),
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which `cleanplate` is this interpreter's."""
    program = tmp_path / "bin" / "cleanplate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m service "$@"\n')
    program.chmod(0o755)
    (tmp_path / "holiday.mp4").touch()
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}


def shell(name: str) -> str:
    if os.environ.get("CLEANPLATE_TEST_SHELLS") == "off":
        pytest.skip("CLEANPLATE_TEST_SHELLS=off")
    program = shutil.which(name)
    if program is None:
        pytest.fail(f"{name} is not installed: see .ci/servers, or set CLEANPLATE_TEST_SHELLS=off to skip what needs it", pytrace=False)
    return program


@pytest.mark.parametrize(("line", "completed"), LINES)
def test_fish_completes(environment: dict[str, str], tmp_path: Path, line: str, completed: str) -> None:
    code = f"cleanplate completion fish | source; complete -C 'cleanplate {line}'"
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == [completed]
    assert done.stderr == ""


def test_zsh_completes_and_its_line_stays_whole(environment: dict[str, str], tmp_path: Path) -> None:
    """At a prompt, where whatever the program says of itself would stand in the middle of the line."""
    with terminal([shell("zsh"), "-f", "-i"], environment, tmp_path) as screen:
        os.write(screen, ZSH.format(folder=tmp_path).encode())
        read_until(screen, ENDS)
        for line, completed in LINES:
            os.write(screen, f"cleanplate {line}\t".encode())
            shown = read_until(screen, completed.rpartition(line.split()[-1])[2].encode())
            assert b"starting" not in shown
            os.write(screen, b"\x15echo '<'end'>'\n")  # Ctrl-U clears the line
            read_until(screen, ENDS)


@contextmanager
def terminal(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[int]:
    """A program on a terminal of its own, of which this is our end."""
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment)
    try:
        yield screen
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(screen)


def read_until(screen: int, wanted: bytes) -> bytes:
    """What is shown until this is."""
    shown, end = b"", time.monotonic() + PATIENCE_SECONDS
    while wanted not in shown:
        left = end - time.monotonic()
        if left < 0 or not select.select([screen], [], [], left)[0]:
            raise AssertionError(f"{wanted!r} was never shown: {shown!r}")
        shown += os.read(screen, 65536)
    return shown
