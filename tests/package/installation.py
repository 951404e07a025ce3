"""What an installation with some extras would have, of what the development environment has."""

import re
import tomllib
from collections.abc import Collection
from functools import cache
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def packages_with(*extras: str) -> set[str]:
    """The packages that `pip install cleanplate[extras]` brings, and those that they need; of another platform's none."""
    found: set[tuple[str, str]] = set()
    wanted = [Requirement(text) for text in PROJECT["dependencies"]]
    wanted += [Requirement(text) for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    while wanted:
        requirement = wanted.pop()
        for extra in ("", *requirement.extras):
            name = normal(requirement.name)
            if (name, extra) not in found:
                found.add((name, extra))
                wanted += _needs(name, extra)
    return {name for name, _ in found} - {"cleanplate"}


def modules_beyond(packages: Collection[str]) -> set[str]:
    """The top-level modules that belong to other packages alone."""
    owners = metadata.packages_distributions()
    return {module for module, names in owners.items() if not {normal(name) for name in names} & {*packages, "cleanplate", "pip"}}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _needs(name: str, extra: str) -> list[Requirement]:
    if name == "cleanplate":
        return [Requirement(text) for text in PROJECT["optional-dependencies"].get(extra, ())]
    try:
        needs = [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
