"""Prints what is installed beside this Python as a bill of materials: CycloneDX 1.6, as JSON.

    python deploy/sbom.py > sbom.cdx.json

The Dockerfile runs it in the environment that it has just installed. The base image's own packages are not in it.
"""

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any, Final

OWN: Final = "cleanplate"


def main() -> None:
    """Print the document. It says nothing of the time, so that the same packages give the same bytes."""
    parts = {part["bom-ref"]: part for part in map(component, distributions())}
    own = next((part | {"type": "application"} for part in parts.values() if part["name"] == OWN), None)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own} if own else {},
        "components": [part for _, part in sorted(parts.items()) if part["name"] != OWN],
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


def component(package: Distribution) -> dict[str, Any]:
    """A package, named as package indexes do, with its licence if it says one."""
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    address = f"pkg:pypi/{name}@{package.version}"
    found: dict[str, Any] = {"type": "library", "bom-ref": address, "name": name, "version": package.version, "purl": address}
    if expression := package.metadata.get("License-Expression"):
        found["licenses"] = [{"expression": expression}]
    elif (words := package.metadata.get("License", "").strip()) and "\n" not in words:
        found["licenses"] = [{"license": {"name": words}}]
    return found


if __name__ == "__main__":
    main()
