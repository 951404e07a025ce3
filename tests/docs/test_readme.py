"""Every command of the README is run: here, by `test_documents.py`, or by the test that the table below names."""

import os
import re
import shlex
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.container.dockerfile import Stage, health_command, parse, parse_environment, parse_words
from tests.docs.markdown import blocks
from tests.fixture_host import eventually

README = (ROOT / "README.md").read_text(encoding="utf-8")
# First words of a command that `test_documents.py` does not run -> the test that runs it. Of `docker build` it plays the steps that need
# neither root nor the network; `make container` plays all of them.
RUN_BY = {
    "pip wheel": "tests/docs/test_readme.py::test_the_wheel_is_built_and_installed",
    "pip install": "tests/docs/test_readme.py::test_the_wheel_is_built_and_installed",
    "docker build": "tests/container/test_build.py::test_the_wheel_is_built_and_installed_from_what_the_image_copies",
    "docker run": "tests/docs/test_readme.py::test_docker_run_serves_and_tells_key_and_address",
    "docker exec": "tests/docs/test_readme.py::test_docker_run_serves_and_tells_key_and_address",
    "make demo": "tests/docs/test_readme.py::test_make_demo_cleans_the_sample",
}
START_SECONDS = 60.0
DEMO_SECONDS = 180.0
BUILD_SECONDS = 120.0


def not_typed() -> list[list[str]]:
    """The commands of the README that `test_documents.py` does not run."""
    return [words for block in blocks(README) if block.marked for words in block.commands()]


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    assert {" ".join(words[:2]) for words in not_typed()} == set(RUN_BY)
    for place in RUN_BY.values():
        path, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), place


def test_commands_are_in_blocks_and_not_in_the_text() -> None:
    """What stands in the text is a chore that exists, or is shown in a block too."""
    text = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`(make \w+|cleanplate \w+[^`]*|docker [^`]*|pip [^`]*|curl [^`]+)`", text)) <= {"make demo", "make serve"}


@pytest.mark.slow
def test_the_wheel_is_built_and_installed(tmp_path: Path) -> None:
    """Both commands, without the network: with the build's and the wheel's requirements that this environment has."""
    build, install = _only("pip wheel"), _only("pip install")
    folder = build[build.index("--wheel-dir") + 1]
    wheel, bracket, extra = install[-1].partition("[")
    assert (str(Path(wheel).parent), bracket + extra) == (folder, "[cpu]")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build[build.index(folder)] = str(tmp_path / folder)
    subprocess.run([*pip, *build[1:], "--no-build-isolation"], cwd=ROOT, capture_output=True, check=True, timeout=BUILD_SECONDS)
    assert [path.name for path in (tmp_path / folder).iterdir()] == [Path(wheel).name]
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    words = [*pip, "--python", str(python), *install[1:], "--no-deps", "--no-index"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=BUILD_SECONDS)
    assert "does not provide the extra" not in done.stderr
    assert python.with_name("cleanplate").exists()


@pytest.mark.slow
def test_make_demo_cleans_the_sample() -> None:
    """The chore as it is, in the environment of these tests instead of a fresh one."""
    result = ROOT / "demo-output" / "clean.mp4"
    result.unlink(missing_ok=True)
    here = Path(sys.prefix)
    words = ["make", f"--old-file={here}/.stamp", f"SERVE={here}", *_only("make demo")[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "called back" in done.stdout
    assert result.stat().st_size > 10_000


@pytest.mark.slow
def test_docker_run_serves_and_tells_key_and_address(tmp_path: Path) -> None:
    """What the container runs, with the image's environment and the options of the README's line, as a process of this machine."""
    image = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))[-1]
    options = _options(_only("docker run"))
    assert options["image"] == _only("docker build")[_only("docker build").index("-t") + 1]
    assert options["-p"].split(":")[-1] == image.last("EXPOSE")
    assert options["-v"].split(":")[1] == image.last("VOLUME")
    assert options["--name"] == _only("docker exec")[2]
    port = _free_port()
    environment = os.environ | _environment(image, options) | {"CLEANPLATE_PORT": port, "CLEANPLATE_DATA_DIR": str(tmp_path)}
    program, *arguments = [*parse_words(image.last("ENTRYPOINT") or "[]"), *parse_words(image.last("CMD") or "[]")]
    assert program == "cleanplate"
    with subprocess.Popen(
        [sys.executable, "-m", "service", *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            key = _promised(server, {options["-v"].split(":")[1]: str(tmp_path), "0.0.0.0:8000": f"0.0.0.0:{port}"})
            python, *rest = health_command(image.last("HEALTHCHECK") or "")
            assert python == "python"
            check = [sys.executable, *rest]
            eventually(lambda: subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0, START_SECONDS)
            answer = httpx.get(f"http://127.0.0.1:{port}/v1/account", headers={"Authorization": f"Bearer {key}"}, timeout=10)
            assert answer.json()["total_credits"] == 100
        finally:
            server.terminate()
            server.communicate(timeout=START_SECONDS)


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def _promised(server: subprocess.Popen[str], inside_to_here: dict[str, str]) -> str:
    """The key, from the file that the README reads in the container, named by the lines that the server prints, which it shows too."""
    shown = next(block.text for block in blocks(README) if "listening on" in block.text).splitlines()
    assert server.stdout is not None
    printed = [server.stdout.readline().strip() for _ in shown]
    *_, program, path = _only("docker exec")
    assert (program, shown[0].split()[-1]) == ("cat", path)
    for inside, here in inside_to_here.items():
        path, shown = path.replace(inside, here), [line.replace(inside, here) for line in shown]
    assert printed == shown
    return Path(path).read_text(encoding="ascii").strip()


def _environment(image: Stage, options: dict[str, str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for step in image.steps:
        if step.name == "ENV":
            settings |= parse_environment(step.text, settings)
    name, _, value = options["-e"].partition("=")
    return {name: value for name, value in settings.items() if name != "PATH"} | {name: value}


def _options(words: list[str]) -> dict[str, str]:
    """The options of `docker run`, and `image`: what stands after them."""
    found: dict[str, str] = {}
    rest: Iterator[str] = iter(words[2:])
    for word in rest:
        if word in ("--rm", "--init"):
            continue
        if not word.startswith("-"):
            found["image"] = word
            assert not list(rest), shlex.join(words)
        else:
            found[word] = next(rest)
    return found


def _only(start: str) -> list[str]:
    """The one command of the README that begins so."""
    (words,) = [words for words in not_typed() if " ".join(words[:2]) == start]
    return words
