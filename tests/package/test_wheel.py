"""The wheel, built and installed as a stranger would: one top-level package, with the networks and without what only training needs."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from models.registry import entry
from models.spec import NETWORKS
from service.version import VERSION
from tests.conftest import ROOT
from tests.container.dockerfile import context
from tests.footage import excerpt
from tests.package.conftest import HIDE
from tests.package.installation import modules_beyond, packages_with

SAMPLE = ROOT / "samples" / "marked.mp4"
EXCERPT_SECONDS = 1.0  # enough to find the mark in
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
Installed = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow

USER_PROGRAM = """
import cleanplate

report: cleanplate.Report = cleanplate.clean("marked.mp4", "clean.mp4")
edges: list[int] = [placement.box.left for placement in report.placements]
client = cleanplate.Client("http://127.0.0.1:8000", "a key", timeout_seconds=5.0)
"""
WRONG_PROGRAM = """
import cleanplate

cleanplate.polish("marked.mp4")
edges: list[str] = [placement.box.left for placement in cleanplate.detect("marked.mp4")]
cleanplate.clean("marked.mp4", "clean.mp4", colour="red")
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the wheel and the sdist of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "--target", "wheel", "--target", "sdist")
    return folder


def build(source: Path, folder: Path, *targets: str) -> None:
    words = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *targets]
    subprocess.run(words, cwd=source, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}, capture_output=True, check=True, timeout=120)


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"cleanplate-{VERSION}.dist-info/METADATA"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """`installed("cleanplate", "version")`: runs a program of an environment in which the wheel lies, in an empty folder.

    Of the development environment it has what `pip install cleanplate[cpu]` would bring.
    """
    environment = tmp_path_factory.mktemp("venv")
    venv.create(environment, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)], check=True, timeout=120)
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (environment / SITE / "packages.pth").write_text("\n".join(packages), encoding="utf-8")  # paths alone: their own .pth are not read
    hidden = modules_beyond(packages_with("cpu"))
    (environment / SITE / "sitecustomize.py").write_text(HIDE.format(hidden=hidden), encoding="utf-8")
    folder = tmp_path_factory.mktemp("empty")
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin" / program), *map(str, words)]
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)

    return run


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_there_is_one_top_level_package(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    assert tops == {"cleanplate", f"cleanplate-{VERSION}.dist-info"}


def test_it_holds_the_networks_and_the_types_and_nothing_that_only_training_needs(wheel: Path) -> None:
    names = names_in(wheel)
    assert not [name for name in names if name.endswith(".pt") or "test" in name or "__pycache__" in name]
    files = {path.name for network in NETWORKS for path, _ in entry(network).files.values()}
    assert {Path(name).name for name in names if name.startswith("cleanplate/models/weights/")} == files
    assert {"cleanplate/py.typed", "cleanplate/models/manifest.toml", "cleanplate/service/web/index.html"} <= set(names)
    assert wheel.stat().st_size < 40 * 2**20


def test_the_sdist_makes_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if name.endswith(".pt")]
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again", "--target", "wheel")
    assert checksums(tmp_path / "again") == checksums(wheel.parent)


def test_the_containers_files_make_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What .dockerignore lets through is enough to build from."""
    for name in context(ROOT):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "src" / name)
    build(tmp_path / "src", tmp_path / "again", "--target", "wheel")
    assert checksums(tmp_path / "again") == checksums(wheel.parent)


def checksums(folder: Path) -> dict[str, int]:
    """Of the files in the one wheel of a folder."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist()}


def test_the_metadata_say_what_it_is_and_who_made_it(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("cleanplate", VERSION, "Apache-2.0")
    assert metadata["Author"] == "The Cleanplate authors"
    assert set(metadata.get_all("Provides-Extra", [])) == {"cpu", "cuda", "dev", "mcp", "serve", "train", "tracing"}
    plain = {Requirement(text).name for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text}
    assert "typer" in plain
    assert not plain & {"sqlalchemy", "fastapi", "onnxruntime", "torch"}


def test_links_in_the_description_work_elsewhere(metadata: Message) -> None:
    text = str(metadata.get_payload())
    assert "pip install" in text
    targets = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    assert not [target for target in targets if not target.startswith(("https://", "#"))]


def test_the_command_cleans_a_clip_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    excerpt(SAMPLE, source := tmp_path / "marked.mp4", EXCERPT_SECONDS)
    done = installed("cleanplate", "clean", source, "-o", tmp_path / "clean.mp4", "--report", tmp_path / "report.html", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert "mark removed" in done.stdout
    assert (tmp_path / "clean.mp4").stat().st_size > 50_000
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_help_lists_all_commands(installed: Installed) -> None:
    for done in (installed("cleanplate", "--help"), installed("python", "-m", "cleanplate", "--help")):
        assert (done.returncode, done.stderr) == (0, "")
        assert {"clean", "serve", "submit", "verify"} <= set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["version"], 0, f"cleanplate {VERSION}"),
        (["models", "verify"], 0, "inpainter"),
        (["serve"], 2, "install cleanplate[serve]"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_other_commands_do_what_they_should(installed: Installed, words: list[str], code: int, said: str) -> None:
    done = installed("cleanplate", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_a_program_imports_the_api_and_no_other_package_of_ours(installed: Installed) -> None:
    code = """
import importlib, pkgutil, sys
import cleanplate

assert "numpy" not in sys.modules
print(*cleanplate.__all__)
assert cleanplate.detect.__module__ == "cleanplate.service.library"
for name in ("service", "models"):
    assert name not in sys.modules
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{name} can be imported")
"""
    done = installed("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert {"clean", "detect", "Client", "AsyncClient", "Report"} <= set(done.stdout.split())


def test_the_service_answers_from_the_wheel(installed: Installed) -> None:
    """Its pages, its migrations and its worker's command are found under the other name."""
    code = """
import sys

sys.modules["sitecustomize"].HIDDEN.clear()  # as with the extra `serve`

from pathlib import Path
from cleanplate.service.app import create_app
from cleanplate.service.commands.serve import WORKER
from cleanplate.service.core import opened
from cleanplate.service.settings import Settings
from fastapi.testclient import TestClient

assert WORKER[-4:] == ("-m", "cleanplate.service", "worker", "--beside"), WORKER
with opened(Settings(data_dir=Path("data"))) as core, TestClient(create_app(core)) as client:
    print(client.get("/healthz").status_code, client.get("/").status_code, client.get("/docs").status_code)
"""
    done = installed("python", "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["200", "200", "200"]


def test_a_users_program_is_checked_against_the_types(installed: Installed, tmp_path: Path) -> None:
    python = installed("python", "-c", "import sys; print(sys.executable)").stdout.strip()
    good, wrong = tmp_path / "good.py", tmp_path / "wrong.py"
    good.write_text(USER_PROGRAM, encoding="utf-8")
    wrong.write_text(WRONG_PROGRAM, encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*mypy, good.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    done = subprocess.run([*mypy, wrong.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert [re.search(r"\[([a-z-]+)\]$", line)[1] for line in done.stdout.splitlines()[:-1] if "error:" in line] == [  # type: ignore[index]
        "attr-defined",
        "misc",
        "call-arg",
    ]


def test_an_editable_installation_is_the_tree_itself(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from zipfile import ZipFile
from hatchling.build import build_editable

name = build_editable(sys.argv[1])
with ZipFile(Path(sys.argv[1], name)) as archive:
    (path,) = (name for name in archive.namelist() if name.endswith(".pth"))
    print(archive.read(path).decode().strip(), *(name for name in archive.namelist() if name.endswith(".py")))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [str(ROOT)]
