"""Runs a Dockerfile's steps in Debian root folders and tests the result: `docker build` and `docker run` without Docker.

    python -m tests.container.replay BASE WORK [--cuda]

BASE holds what stands for the base image; WORK gets a folder a stage. Needs root, for chroot and mounts of its own; nothing stays
mounted, and every process ends with it. `build_in_chroot.sh` makes BASE and calls this. Where it differs from Docker: no layers, the
network is the machine's, and the machine's certificates and pip settings hold inside, so that a mirror behind them is found.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.container.dockerfile import Copy, Stage, context, health_command, parse, parse_copy, parse_environment, parse_words

PROJECT: Final = Path(__file__).parents[2]
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MACHINE_FILES: Final = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
SHARED_MEMORY: Final = "64m"  # what Docker sets in a container
INSIDE: Final = f"""
mount --types proc proc "$0/proc"
mount --types tmpfs --options size={SHARED_MEMORY} shm "$0/dev/shm"
exec "$@"
"""
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0


@dataclass
class Container:
    """A root folder that stands for a container, and the state that the instructions so far have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    folder: str = "/"
    user: str = "0:0"

    def words(self, command: Sequence[str], **variables: str) -> list[str]:
        """The command line that runs this command in namespaces, below the root, as the user, with only this environment."""
        uid, _, gid = self.user.partition(":")
        inside = ["chroot", f"--userspec={uid}:{gid or uid}", "--groups=", str(self.root), "/usr/bin/env", "--ignore-environment"]
        settings = [f"{name}={value}" for name, value in (_machine_settings() | self.environment | variables).items()]
        there = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', self.folder, *command]
        namespaces = ["unshare", "--mount", "--pid", "--fork"]
        return [*namespaces, "/bin/sh", "-ec", INSIDE, str(self.root), *inside, *settings, *there]

    def run(self, command: Sequence[str], **variables: str) -> None:
        subprocess.run(self.words(command, **variables), check=True)

    def path(self, name: str) -> Path:
        """The path on this machine of a path in the container; relative paths start at the working folder."""
        return self.root / os.path.normpath(os.path.join(self.folder, name)).lstrip("/")


def build(stages: Sequence[Stage], base: Path, work: Path) -> Container:
    """Run all stages, each in a fresh copy of the base; the last one is the image."""
    made: dict[str, Container] = {}
    for number, stage in enumerate(stages):
        container = Container(work / (stage.name or str(number)))
        subprocess.run(["cp", "--archive", base, container.root], check=True)
        for name in MACHINE_FILES:
            with suppress(FileNotFoundError):
                shutil.copy(name, container.root / name.lstrip("/"))
        made[stage.name or str(number)] = container
        for step in stage.steps:
            _print(f"{step.name} {step.text}")
            _play(step.name, step.text, container, made)
    return container


def _play(name: str, text: str, container: Container, made: dict[str, Container]) -> None:
    match name:
        case "RUN":
            container.run(parse_words(text))
        case "COPY":
            _copy(parse_copy(text), container, made)
        case "ENV":
            container.environment |= parse_environment(text, container.environment)
        case "WORKDIR":
            container.path(text).mkdir(parents=True, exist_ok=True)
            container.folder = text
        case "USER":
            container.user = text


def _copy(copy: Copy, container: Container, made: dict[str, Container]) -> None:
    """Copy as Docker does: a folder's contents into the target; a file to it or, if it ends in a slash, into it."""
    for source in copy.sources:
        target = container.path(copy.target)
        if copy.stage:
            shutil.copytree(made[copy.stage].path(source), target, symlinks=True, dirs_exist_ok=True)
            continue
        for name in [name for name in context(PROJECT) if name == source or name.startswith(f"{source}/")]:
            below = name.removeprefix(source).lstrip("/") or (Path(name).name if copy.target.endswith("/") else "")
            (target / below).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, target / below)


def try_out(image: Container, stage: Stage) -> None:
    """Try the image as a new user would; as its user, and without a GPU if there is none."""
    entry = parse_words(stage.last("ENTRYPOINT") or "[]")
    _print("version")
    image.run([*entry, "version"])
    _print("clean, with the networks inside")
    shutil.copyfile(PROJECT / "samples" / "marked.mp4", image.root / "tmp" / "marked.mp4")
    image.run([*entry, "clean", "/tmp/marked.mp4", "--output", "clean.mp4"])
    _print("serve, until its health check says yes")
    _serve(image, [*entry, *parse_words(stage.last("CMD") or "[]")], health_command(stage.last("HEALTHCHECK") or ""))


def _serve(image: Container, command: list[str], health: list[str]) -> None:
    """Start the server on a free port, wait for the image's own health check, and stop it as `docker stop` does."""
    port = str(_free_port())
    with subprocess.Popen(image.words(command, CLEANPLATE_PORT=port)) as server:
        try:
            _wait_for_health(server, image.words(health, CLEANPLATE_PORT=port))
            os.kill(_first_process(server), signal.SIGTERM)
            if code := server.wait(STOP_SECONDS):
                sys.exit(f"the server ended with {code}")
        finally:
            if server.poll() is None:
                os.kill(_first_process(server), signal.SIGKILL)


def _wait_for_health(server: subprocess.Popen[bytes], check: list[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        if time.monotonic() > deadline:
            sys.exit(f"not healthy after {START_SECONDS:.0f} seconds")


def _first_process(server: subprocess.Popen[bytes]) -> int:
    """The first process of the container's namespace, a child of `unshare`: Docker signals it, and all others end with it."""
    return int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="utf-8"))


def _machine_settings() -> dict[str, str]:
    """The variables with which this machine reaches packages through a proxy or mirror."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _print(line: str) -> None:
    print(f"==> {line}", flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", type=Path, help="folder with a Debian and a Python, in place of the base image")
    parser.add_argument("work", type=Path, help="folder for the stages")
    parser.add_argument("--cuda", action="store_true", help="install the packages of CUDA, which are gigabytes")
    arguments = parser.parse_args()
    stages = parse((PROJECT / "Dockerfile").read_text(encoding="utf-8"), RUNTIME="cuda" if arguments.cuda else "cpu")
    image = build(stages, arguments.base.resolve(), arguments.work.resolve())
    try_out(image, stages[-1])


if __name__ == "__main__":
    main()
