"""An installation that lacks packages: the development environment, in which some cannot be found."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

Lacking = Callable[..., subprocess.CompletedProcess[str]]

# Python runs a module of this name at each start, in child processes too.
HIDE = """
from importlib.machinery import PathFinder

HIDDEN = {hidden!r}
find_spec = PathFinder.find_spec


def find_what_is_not_hidden(name, path=None, target=None):
    return None if name.partition(".")[0] in HIDDEN else find_spec(name, path, target)


PathFinder.find_spec = find_what_is_not_hidden
"""


@pytest.fixture
def lacking(tmp_path: Path) -> Lacking:
    """`lacking({"onnxruntime"}, "-m", "cleanplate", ...)`: Python without these packages."""

    def run(hidden: set[str], *words: str | Path) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "hide"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(HIDE.format(hidden=hidden), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "CLEANPLATE_DATA_DIR": str(tmp_path / "data")}
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run
