"""Each command works with the extras that it needs, says in one line which one is missing, and needs no others."""

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.package.conftest import Lacking
from tests.package.installation import modules_beyond, packages_with

BASE = modules_beyond(packages_with())
SERVE = modules_beyond(packages_with("serve"))
OURS = {"cleanplate", "service", "models", "training", "benchmarks", "tests", "hatch_build"}
RUNTIME = "install cleanplate[cpu] or cleanplate[cuda]"


def one_line(text: str, said: str) -> None:
    assert text.count("\n") == 1, text
    assert text.startswith("cleanplate: ")
    assert said in text


def test_the_command_alone_brings_no_database_no_server_and_no_runtime() -> None:
    brought = packages_with()
    assert {"av", "httpx", "numpy", "typer"} <= brought
    assert not brought & {"alembic", "dbos", "fastapi", "obstore", "psycopg", "redis", "sqlalchemy", "starlette", "uvicorn"}
    assert not brought & {"onnxruntime", "onnxruntime-gpu", "torch"}


def test_the_help_works_without_any_extra(lacking: Lacking) -> None:
    done = lacking(BASE, "-m", "cleanplate", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("clean", "serve", "worker", "submit", "verify", "models", "accounts", "keys", "settings", "version"):
        assert command in done.stdout
    assert done.stdout.count("Not installed: needs the extra `serve`.") == 7
    assert done.stdout.count("Not installed: needs the extra `mcp`.") == 1


@pytest.mark.parametrize(
    "words",
    [["serve"], ["serve", "--help"], ["serve", "--no-worker"], ["worker"], ["accounts", "create", "me"], ["keys"], ["credits", "grant"]],
    ids=" ".join,
)
def test_a_command_of_the_service_names_its_extra(lacking: Lacking, words: list[str]) -> None:
    done = lacking(BASE, "-m", "cleanplate", *words)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, f"`{words[0]}` needs packages that are not installed: install cleanplate[serve]")


def test_the_server_for_agents_names_its_extra(lacking: Lacking) -> None:
    done = lacking(BASE, "-m", "cleanplate", "mcp")
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "`mcp` needs packages that are not installed: install cleanplate[mcp]")


def test_one_missing_package_of_the_service_is_enough(lacking: Lacking) -> None:
    done = lacking({"obstore"}, "-m", "cleanplate", "serve")
    assert done.returncode == 2
    one_line(done.stderr, "install cleanplate[serve]")


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        (BASE, ["clean", ROOT / "samples" / "marked.mp4", "-o", "clean.mp4"]),
        (BASE, ["models", "verify"]),
        (SERVE, ["serve"]),
    ],
    ids=["clean", "models verify", "serve"],
)
def test_what_runs_networks_names_the_runtimes(lacking: Lacking, hidden: set[str], words: list[str | Path]) -> None:
    done = lacking(hidden, "-m", "cleanplate", *words)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, RUNTIME)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["version"], 0, "cleanplate "),
        (["clean", "--help"], 0, "--output"),
        (["settings", "check"], 0, "the settings are valid"),
        (["models", "list"], 0, "inpainter.onnx"),
        (["verify", ROOT / "samples" / "marked.mp4"], 3, "no Content Credentials"),
        (["submit", "marked.mp4", "--key", "a key"], 2, "marked.mp4: no such file"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)
def test_the_other_commands_need_no_extra(lacking: Lacking, words: list[str | Path], code: int, said: str) -> None:
    done = lacking(BASE, "-m", "cleanplate", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_a_program_learns_the_same(lacking: Lacking) -> None:
    code = f"""
import cleanplate

try:
    cleanplate.detect({str(ROOT / "samples" / "marked.mp4")!r})
except cleanplate.RequestError as error:
    print(error)
cleanplate.Client("http://127.0.0.1", "a key")
"""
    done = lacking(BASE, "-c", code)
    assert done.returncode == 0, done.stderr
    assert RUNTIME in done.stdout


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (["cleanplate", "service"], ["cpu", "serve", "mcp"]),
        (["training", "models"], ["cpu", "train"]),
        (["benchmarks"], ["dev"]),
        (["tests"], ["dev"]),
    ],
    ids=["serve", "train", "benchmarks", "dev"],
)
def test_extras_bring_what_the_folders_import(folders: list[str], extras: list[str]) -> None:
    missing = modules_beyond(packages_with(*extras)) - OURS
    imported = {name for folder in folders for path in (ROOT / folder).rglob("*.py") for name in imports(path)}
    assert len(imported & {"numpy", "pytest", "torch", "fastapi", "sqlalchemy"}) >= 2
    assert not {name for name in imported if name in missing and name not in sys.stdlib_module_names}


def imports(path: Path) -> set[str]:
    """The top-level names of all imports of a file, those within functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
