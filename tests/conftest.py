"""The command as a process of its own, as a person runs it."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest_plugins = ["tests.postgres_server"]

ROOT = Path(__file__).parent.parent
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cleanplate() -> Command:
    """`cleanplate("clean", ..., CLEANPLATE_DEVICE="cpu")`: arguments and settings in, finished process out."""

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_words(arguments), cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def command_words(arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-m", "service", *map(str, arguments)]
