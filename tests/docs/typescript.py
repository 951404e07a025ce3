"""Writes clients/typescript/cleanplate.d.ts: the types of every request and answer, from the service's own OpenAPI document.

    python -m tests.docs.typescript    # `make types`: needs npx, and the network once

The generator sees the document's structure alone, without texts and examples. Its digest stands in the file's first line, by which a test
knows whether the file is as the service is: that needs neither npm nor the network.
"""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from service.app import create_app
from service.core import opened
from service.settings import Settings

FILE: Final = Path(__file__).parents[2] / "clients" / "typescript" / "cleanplate.d.ts"
GENERATOR: Final = "openapi-typescript@7.13.0"
TEXTS: Final = frozenset({"description", "summary", "example", "examples", "title"})
HEAD: Final = "// The structure of the service's OpenAPI document, by its SHA-256: {}. Written by `make types`.\n"


def structure_of(document: Any, *, names: bool = False) -> Any:
    """The document without what only tells, or what types cannot: that one of two fields must be there, which would become `unknown`.

    names: whether the keys of this part are names, of fields or schemas, and stay.
    """
    if isinstance(document, list):
        return [structure_of(part) for part in document]
    if not isinstance(document, dict):
        return document
    kept = document if names else {key: part for key, part in document.items() if key not in TEXTS and not _only_requires(key, part)}
    return {key: structure_of(part, names=not names and key in ("properties", "schemas")) for key, part in kept.items()}


def _only_requires(key: str, part: Any) -> bool:
    return key == "anyOf" and all(set(choice) == {"required"} for choice in part)


def head_of(structure: Any) -> str:
    """The first line of the file for this structure."""
    return HEAD.format(hashlib.sha256(json.dumps(structure, sort_keys=True).encode()).hexdigest())


def structure_now() -> Any:
    """The structure of the document of the service as it is."""
    with tempfile.TemporaryDirectory() as folder, opened(Settings.model_validate({"data_dir": folder})) as core:
        return structure_of(create_app(core).openapi())


def main() -> None:
    """Write the file."""
    structure = structure_now()
    with tempfile.TemporaryDirectory() as name:
        document, types = Path(name) / "openapi.json", Path(name) / "types.d.ts"
        document.write_text(json.dumps(structure), encoding="utf-8")
        subprocess.run(["npx", "--yes", GENERATOR, document, "--output", types], check=True)
        FILE.write_text(head_of(structure) + types.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main()
