"""The steps of Dockerfile that build and install the wheel, played with nothing but what the image copies.

The locked packages are those of this environment, and there is no base image: `make container` plays all of it, with root and the network.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.version import VERSION
from tests.conftest import ROOT
from tests.container.dockerfile import context, parse, parse_copy

BUILD = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))[0]
PREFIX = "/opt/cleanplate"  # of the environment in the image
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
BUILD_SECONDS = 180.0

pytestmark = pytest.mark.slow


def copied() -> Iterator[tuple[str, str]]:
    """Each file that the first stage copies, and the place in its folder."""
    files = context(ROOT)
    for step in BUILD.steps:
        if step.name == "COPY":
            copy = parse_copy(step.text)
            for source in copy.sources:
                for name in (name for name in files if name == source or name.startswith(f"{source}/")):
                    below = name.removeprefix(source).lstrip("/")
                    yield name, str(Path(copy.target) / (below or Path(name).name))


def test_the_wheel_is_built_and_installed_from_what_the_image_copies(tmp_path: Path) -> None:
    source, image = tmp_path / "src", tmp_path / "image"
    for name, place in copied():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / place)
    venv.create(image, symlinks=True)
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (image / SITE / "packages.pth").write_text("\n".join(packages), encoding="utf-8")  # paths alone: their own .pth files are not read
    (image / "bin" / "pip").write_text(f'#!/bin/sh\nexec {image}/bin/python -m pip "$@"\n', encoding="utf-8")
    (image / "bin" / "pip").chmod(0o755)
    (command,) = [step.text for step in BUILD.steps if step.name == "RUN" and "pip wheel" in step.text]
    done = subprocess.run(
        ["sh", "-ec", command.replace(PREFIX, str(image))], cwd=source, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    program = [image / "bin" / "cleanplate"]
    for words in (["version"], ["models", "verify"], ["serve", "--help"]):
        tried = subprocess.run([*program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        assert tried.returncode == 0, tried.stderr
        assert VERSION in tried.stdout or words != ["version"]
