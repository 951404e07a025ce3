"""Packs `service` and `models` into `cleanplate`, so that a wheel has one top-level package (docs/decisions/0021).

pyproject.toml maps the folders; this hook makes the imports follow: `from service.errors import X` becomes
`from cleanplate.service.errors import X` in the wheel's copy of each file. An editable installation uses the files as they are.
"""

import ast
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "cleanplate"
MOVED = ("service", "models")


class MovedPackages(BuildHookInterface[Any]):
    """Gives the wheel its own copy of each Python file, with the imports as they must be there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """hatchling calls it before the files are packed; a file that is named in `force_include` is taken instead of the one there."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory(prefix="cleanplate-wheel-")
        for file in list(self.build_config.builder.recurse_included_files()):
            if file.path.endswith(".py"):
                copy = Path(self._folder.name, file.distribution_path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(moved(Path(file.path).read_text(encoding="utf-8"), file.relative_path), encoding="utf-8")
                build_data["force_include"][str(copy)] = file.distribution_path

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """hatchling calls it when the wheel is written."""
        if version != "editable":
            self._folder.cleanup()


def moved(source: str, name: str) -> str:
    """A file's text with the package put before each imported module that moves.

    Raises ValueError for what would still name the old module afterwards: a bare `import service`, or a module's name in a string.
    """
    lines = source.encode().splitlines(keepends=True)  # ast counts columns in bytes
    for line, column in sorted(_places(ast.parse(source), name), reverse=True):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + f"{PACKAGE}.".encode() + text[column:]
    return b"".join(lines).decode()


def _places(tree: ast.Module, name: str) -> list[tuple[int, int]]:
    """Line and column, in bytes, of each module name that moves."""
    places = []
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), level=0) if _moves(module):
                places.append((node.lineno, node.col_offset + len("from ")))
            case ast.Import() if any(_moves(alias.name) and not alias.asname for alias in node.names):
                raise ValueError(f"{name}, line {node.lineno}: write `from ... import ...`, which can be moved into {PACKAGE}")
            case ast.Import():
                places += [(alias.lineno, alias.col_offset) for alias in node.names if _moves(alias.name)]
            case ast.Constant(value=str(text)) if text.startswith(tuple(f"{module}." for module in MOVED)) and " " not in text:
                raise ValueError(f"{name}, line {node.lineno}: {text!r} names a module that moves; use its __name__")
    return places


def _moves(module: str) -> bool:
    return module.partition(".")[0] in MOVED
