"""The version of Cleanplate, written once; the package's metadata and the reports read it."""

import platform
from functools import cache
from importlib.metadata import version
from typing import Final

VERSION: Final = "0.2.0"


def versions() -> dict[str, str]:
    """What a report says of the software that made it."""
    return {"cleanplate": VERSION, "python": platform.python_version()} | _libraries()


@cache
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in ("av", "numpy", "opencv-python-headless")}
