"""The documents are true: their commands are run against a running service, and those that cannot be run are checked to exist."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.main import get_command

from benchmarks import documents as figures
from service import settings
from service.cli import command_line
from tests.conftest import ROOT
from tests.docs import code_map
from tests.docs.markdown import Block, anchors, blocks, links
from tests.service_process import TestAccount, file, running

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN_FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "build", "cleanplate-", "demo-")))
EVERY_MARKDOWN = [*sorted(ROOT.glob("*.md")), *(path for folder in OWN_FOLDERS for path in sorted(folder.rglob("*.md")))]
RUN = {"sh", "python"}
QUOTED = {"", "typescript", "json", "yaml", "toml", "promql", "sql", "nginx"}  # shown, not run
CLIENT_VARIABLES = {
    "CLEANPLATE_URL",
    "CLEANPLATE_KEY",
    "CLEANPLATE_TEST_POSTGRES",
    "CLEANPLATE_TEST_SHELLS",
    "CLEANPLATE_TEST_PROMETHEUS",
    "CLEANPLATE_TEST_BROWSER",
    "CLEANPLATE_TEST_FORMATS",
    "CLEANPLATE_TEST_PROXY",
    "CLEANPLATE_SCREENSHOT",
    "CLEANPLATE_ADMIN_SCREENSHOT",
}
BLOCK_SECONDS = 180  # only a failing test waits so long, or a busy machine
# Later blocks see the variables that a block sets, as in one terminal.
TERMINAL = "set -eu -o pipefail\nif [ -f .state ]; then . ./.state; fi\nset -a\n{}\nset +a\nexport -p > .state\n"


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks_of(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"))


TYPED = [(path, block) for path in DOCUMENTS for block in blocks_of(path) if block.language in RUN and not block.marked]
NOT_TYPED = [(path, block) for path in DOCUMENTS for block in blocks_of(path) if block.marked]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a person's terminal, beside a running service whose first account is theirs."""
    data = tmp_path_factory.mktemp("data")
    with running(data) as service:
        yield _variables(data, service.url, service.account(name="first"))


def _variables(data: Path, url: str, account: TestAccount) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANPLATE_")}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(data / "config"),
        "NO_PROXY": "127.0.0.1",
        "CLEANPLATE_URL": url,
        "CLEANPLATE_KEY": account.key,
        "CLEANPLATE_DATA_DIR": str(data),
        "CLEANPLATE_WEBHOOK_KEY": "whsec_test",
        "CLEANPLATE_LOG_LEVEL": "warning",
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """A folder for each document, with the files that they name."""
    made = {document: tmp_path_factory.mktemp(document.stem) for document in DOCUMENTS}
    for folder in made.values():
        (folder / "samples").mkdir()
        for name, kind in {"samples/marked.mp4": "marked", "picture.png": "image", "smear.png": "smear"}.items():
            (folder / name).write_bytes(file(kind)[0])
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("document", "block"), TYPED, ids=[f"{names(document)}:{block.line}" for document, block in TYPED])
def test_what_is_to_be_typed_runs(document: Path, block: Block, terminal: dict[str, str], folders: dict[Path, Path]) -> None:
    """In order: later blocks of a document find the files and variables that earlier ones left."""
    folder, script = folders[document], block.text
    if block.language == "python":
        (folder / "example.py").write_text(block.text, encoding="utf-8")
        script = "python example.py"
    command = ["bash", "-c", TERMINAL.format(script)]
    done = subprocess.run(command, cwd=folder, env=terminal, capture_output=True, text=True, timeout=BLOCK_SECONDS, check=False)
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_blocks_say_what_they_are(document: Path) -> None:
    assert {block.language for block in blocks_of(document)} <= RUN | QUOTED
    assert all(block.language in RUN for block in blocks_of(document) if block.marked)


def test_what_is_not_run_is_there() -> None:
    missing = [f"{names(path)}, line {block.line}: {word}" for path, block in NOT_TYPED for word in _missing(block)]
    assert not missing


def _missing(block: Block) -> Iterator[str]:
    """Chores, modules, options and files of ours that the block names and that do not exist."""
    for words in block.commands() if block.language == "sh" else ():
        yield from (word for word in words if _is_ours(word) and not (ROOT / word).exists())
        known = _known_options(tuple(words))
        if known is None:
            yield " ".join(words[:3])
            continue
        yield from (word for word in words if word.startswith("--") and known and word.partition("=")[0] not in known)


def _is_ours(word: str) -> bool:
    """A path that begins in one of our folders and has no placeholder."""
    return word.partition("/")[0] in {folder.name for folder in OWN_FOLDERS} and "/" in word and not re.search(r"[*$<]|[A-Z]{2}", word)


def _known_options(words: tuple[str, ...]) -> frozenset[str] | None:
    """The options of a command of ours; empty for anybody else's; None where there is no such command."""
    program = Path(words[0]).name
    if program == "make":
        return frozenset() if set(words[1:2]) <= _chores() else None
    if program in ("python", "python3") and words[1:2] == ("-m",):
        return _options_of_module(words[2])
    return _options_of_cleanplate(words[1:3]) if program == "cleanplate" else frozenset()


@cache
def _chores() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _options_of_module(name: str) -> frozenset[str] | None:
    """Those that its text names, as its `--help` would: that alone takes seconds, as torch comes with it."""
    found = find_spec(name)
    return frozenset(re.findall(r"--[a-z][a-z-]+", Path(found.origin).read_text(encoding="utf-8"))) if found and found.origin else None


def _options_of_cleanplate(words: tuple[str, ...]) -> frozenset[str] | None:
    command: Any = get_command(command_line(*words[:1]))
    for word in words:
        command = command.commands.get(word) if hasattr(command, "commands") else command
    return frozenset(option for parameter in command.params for option in parameter.opts) if command else None


@pytest.mark.parametrize("path", EVERY_MARKDOWN, ids=names)
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for link in links(path.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        if re.match(r"[a-z]+:", link):
            continue
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(link)
    assert not dead


def test_every_document_is_in_the_index() -> None:
    listed = {link.partition("#")[0] for link in links((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed


def test_every_variable_that_is_named_exists() -> None:
    known = set(re.findall(r"`(CLEANPLATE_\w+)`", settings.table())) | CLIENT_VARIABLES
    named = {name for path in EVERY_MARKDOWN for name in re.findall(r"CLEANPLATE_[A-Z0-9_]*[A-Z0-9]", path.read_text(encoding="utf-8"))}
    assert {name for name in named if not any(one == name or one.startswith(f"{name}__") for one in known)} == set()


@pytest.mark.parametrize("document", figures.documents(), ids=names)
def test_figures_are_those_of_the_result_files(document: Path, measured: tuple[dict[str, str], dict[str, str]]) -> None:
    text = document.read_text(encoding="utf-8")
    assert text == figures.filled(text, *measured), "write them anew: make docs"


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, str], dict[str, str]]:
    """The generated blocks and the single figures."""
    return figures.blocks(), figures.figures()


def test_every_generated_block_is_in_a_document(measured: tuple[dict[str, str], dict[str, str]]) -> None:
    texts = [document.read_text(encoding="utf-8") for document in figures.documents()]
    assert not [name for name in measured[0] if sum(f"<!-- {name} -->\n" in text and f"<!-- /{name} -->" in text for text in texts) != 1]


def test_the_code_map_is_that_of_the_modules() -> None:
    text = code_map.DOCUMENT.read_text(encoding="utf-8")
    assert text == code_map.written(text), "write it anew: make docs"
    assert text.count("\n| [") > 150
    assert "](../service/pipeline/run.py) | " in text


@pytest.mark.parametrize("drawing", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=names)
def test_drawings_have_a_title_two_lights_and_need_no_other_host(drawing: Path) -> None:
    text = drawing.read_text(encoding="utf-8")
    title = ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text
    assert "prefers-color-scheme: dark" in text
    assert not re.findall(r"(?:href|src|url)\W+https?:", text)
