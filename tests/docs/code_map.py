"""Writes the part of docs/code.md that lists every module, from the modules' own first sentences.

python -m tests.docs.code_map        # `make docs` calls it
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "code.md"
PACKAGES: Final = tuple(name for name in ("cleanplate", "service", "models", "training", "benchmarks") if (ROOT / name).is_dir())
OPENING, CLOSING = "<!-- modules -->\n", "<!-- /modules -->"


def main() -> None:
    """Write the list anew."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


def written(text: str) -> str:
    """The document with its list as the modules have it now."""
    before, opening, rest = text.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    return "".join([before, opening, "\n".join(_lines()), closing, after])


def _lines() -> Iterator[str]:
    for package in PACKAGES:
        for folder in [ROOT / package, *sorted(path for path in (ROOT / package).rglob("*") if path.is_dir())]:
            modules = sorted(path for path in [*folder.glob("*.py"), *folder.glob("*.js")] if path.name != "__init__.py")
            if modules:
                yield from _section(folder, modules)


def _section(folder: Path, modules: list[Path]) -> Iterator[str]:
    """A heading, the docstring of the package, and a row for each module."""
    yield f"## {folder.relative_to(ROOT).as_posix()}"
    yield ""
    if (package := folder / "__init__.py").exists():
        yield from (_paragraph(package), "")
    yield "| module | |"
    yield "| --- | --- |"
    for module in modules:
        name = module.relative_to(ROOT).as_posix()
        yield f"| [{module.name}](../{name}) | {_sentence(module)} |"
    yield ""


def _sentence(module: Path) -> str:
    """The first sentence of a module's docstring, or of the comment that a script begins with."""
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z`/])", _paragraph(module))[0]
    return sentence.replace("|", "\\|")


def _paragraph(module: Path) -> str:
    """The first paragraph of the docstring or comment, in one line."""
    text = module.read_text(encoding="utf-8")
    if module.suffix == ".js":
        comment = re.match(r"(?://[^\n]*\n)+", text)
        words = re.sub(r"^//", "", comment[0], flags=re.MULTILINE) if comment else ""
    else:
        words = ast.get_docstring(ast.parse(text)) or ""
    paragraph = " ".join(words.split("\n\n")[0].split())
    if not paragraph:
        raise ValueError(f"{module.relative_to(ROOT)} does not say what it is for")
    return paragraph


if __name__ == "__main__":
    main()
