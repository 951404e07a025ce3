"""The command as a separate process, as users run it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hypothesis
import onnxruntime as ort
import pytest

from models import registry
from models.spec import MATTE

hypothesis.settings.register_profile("busy", deadline=None)  # shared machines are slow: durations say nothing about the code
hypothesis.settings.load_profile("busy")

pytest_plugins = ["tests.postgres_server"]

ROOT = Path(__file__).parent.parent
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def _temporary_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Redirect what commands store for the user, such as a development certificate, to a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _flush_subnormals() -> None:
    """ONNX Runtime's first session decides for its thread whether subnormal numbers become zero. Ours need that; Hypothesis needs them."""
    ort.InferenceSession(registry.find(MATTE).path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", autouse=True)
def _restore_subnormals() -> Iterator[None]:
    """Restore subnormal numbers after training runs, which flush them to zero too."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def cleanplate() -> Command:
    """`cleanplate("clean", ..., CLEANPLATE_DEVICE="cpu")`: runs a command with arguments and settings; returns the finished process."""

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_words(arguments), cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def command_words(arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-m", "service", *map(str, arguments)]
