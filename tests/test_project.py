"""What the project says of itself is true: the README, the chores, the decisions, the style, the lock files."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from service.version import VERSION

ROOT = Path(__file__).parent.parent
PACKAGES = ("service", "models", "training", "benchmarks")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
SKIPPED = re.compile(r"^(\.git|\.venv.*|\..*cache|\.hypothesis|__pycache__|build|dist|demo-output|.*\.egg-info)$")
TEXT = {".py", ".md", ".toml", ".lock", ".sh", ".yaml", ".yml", ".json", ".jsonl", ".tsv", ".cuda", ".txt", ""}
# Written in two halves, so that this file passes its own test.
REGISTRIES = [
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("python", "hosted"),
        ("pytorch", ".org/whl"),
        ("npm", "js.org"),
        ("crates", ".io"),
        ("docker", ".io"),
        ("ghcr", ".io"),
        ("nvcr", ".io"),
        ("quay", ".io"),
        ("anaconda", ".org"),
        ("pypi.nvidia", ".com"),
        ("proxy.golang", ".org"),
    )
]


def files(top: Path = ROOT) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not SKIPPED.match(name)]
        yield from (Path(folder) / name for name in names if name != ".git")  # in a worktree it is a file


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in files(ROOT / package) if path.suffix == ".py")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_version_is_the_latest_of_the_changelog_and_the_one_in_the_readme() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == VERSION
    assert set(re.findall(r"cleanplate-([\d.]+)-py3-none-any\.whl", README)) == {VERSION}


def test_paths_that_the_documents_name_exist() -> None:
    """Of our modules and folders, in every document but the log of what was tried, which keeps its day's names."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "training").glob("README.md")]
    path = re.compile(r"`((?:service|models|training|benchmarks|samples|docs|tests|deploy)/[\w/.]+)`")
    named = {(document, name) for document in documents for name in path.findall(document.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert not {(document.name, name) for document, name in named if not re.search("[A-Z]{2}", name) and not (ROOT / name).exists()}


def test_chores_that_the_documents_name_exist() -> None:
    chores = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        chore
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for chore in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"demo", "test", "check"} <= named <= chores


def test_options_of_the_command_are_documented() -> None:
    from service.cli import command_line

    words = [sys.executable, "-m", "service", "clean", "--help"]
    command = subprocess.run(words, cwd=ROOT, env=os.environ | {"COLUMNS": "300"}, capture_output=True, text=True, check=True)
    options = set(re.findall(r"--[a-z]+", command.stdout)) - {"--help"}
    usage = COMMAND.split("```")[1]
    assert set(re.findall(r"^    (--[a-z]+)", usage, re.MULTILINE)) | {"--output"} == options
    app = command_line()
    named = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    named |= {group.name for group in app.registered_groups if group.name}
    assert named == {
        word for line in re.findall(r"^cleanplate ([a-z| ]+?)(?:  |$| INPUT)", usage, re.MULTILINE) for word in line.split(" | ")
    }


def test_exit_codes_of_the_errors_are_documented() -> None:
    from service import errors

    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CleanplateError)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", COMMAND, re.MULTILINE)} == codes | {0, 130}


def test_decisions_are_one_page() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert decisions
    assert not [path.name for path in decisions if not re.match(r"\d{4}-[a-z0-9-]+\.md", path.name)]
    assert not [path.name for path in decisions if len(path.read_text(encoding="utf-8").splitlines()) > 40]


def test_modules_are_short() -> None:
    limits = {path: 350 if path.parent.name == "training" else 300 for path in sources()}
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in limits}
    assert not {name: lines for name, lines in lengths.items() if lines > limits[ROOT / name]}


def test_functions_fit_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {node.name}": lines
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 40
    }
    assert not long


def test_few_arrows_run_between_the_pipelines_packages() -> None:
    graph = grimp.build_graph("service")

    def room(module: str) -> str:
        return [*module.split("."), "", ""][2] if module.startswith("service.pipeline.") else ""

    imports = {(room(module), room(other)) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)}
    assert len([arrow for arrow in imports if all(arrow) and len(set(arrow)) == 2]) <= 60


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for path in sources():
        if path.name == "__init__.py":
            (only,) = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(only, ast.Expr), path


def test_no_module_is_a_drawer() -> None:
    assert not [path for path in sources() if path.stem in {"utils", "helpers", "common", "manager", "base"}]


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    banned = re.compile("|".join(map(re.escape, [*REGISTRIES, "/" + "work/", "/" + "home/"])))
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in files() if path.suffix in TEXT}
    assert not {str(path.relative_to(ROOT)): found for path, text in texts.items() if (found := banned.findall(text))}


@pytest.mark.parametrize("name", ["serve-cpu", "serve-cuda", "dev"])
def test_every_locked_package_has_its_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if entry.strip()]
    assert len(entries) > 10
    assert not [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert "://" not in text


def test_the_served_versions_are_the_tested_ones() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8"), re.MULTILINE))

    assert pins("serve-cpu") <= pins("dev")
    assert {pin.split("==")[0] for pin in pins("serve-cpu") - pins("serve-cuda")} == {"onnxruntime"}


def test_the_service_imports_no_torch() -> None:
    code = "import sys, service.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
