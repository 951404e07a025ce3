"""The container files agree with the project, its settings and commands, and each other. Nothing is built here."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from service.cli import command_line
from service.settings import Settings
from service.version import VERSION
from service.worker import END_SECONDS
from tests.container.dockerfile import context, health_command, ignored, parse, parse_copy, parse_environment, parse_words

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
RUNTIMES = ("cpu", "cuda")
STAGES = parse(DOCKERFILE)
BUILD, IMAGE = STAGES
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
PROFILES = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
CONTEXT = context(ROOT)
# A fixed tag and no registry host, never `latest`: tomorrow's build is the one tested today.
# `make images` adds the digest, which a registry alone can tell.
PINNED = re.compile(r"(?:[a-z0-9]+/)?[a-z0-9-]+:(?!latest\b)v?\d[\w.-]*(@sha256:[0-9a-f]{64})?")


REGISTRY = """
import hashlib, json, sys
print(json.dumps({"digest": "sha256:" + hashlib.sha256(sys.argv[-1].encode()).hexdigest()}))
"""


def environment() -> dict[str, str]:
    settings: dict[str, str] = {}
    for step in IMAGE.steps:
        if step.name == "ENV":
            settings |= parse_environment(step.text, settings)
    return settings


def ours() -> list[dict[str, Any]]:
    return [service for service in SERVICES.values() if service["image"].startswith("cleanplate:")]


def assert_command_exists(words: list[str]) -> None:
    """Whether this is a command of `cleanplate` with existing options; their values are not checked."""
    commands: Any = typer.main.get_command(command_line(words[0]))
    assert words[0] in commands.commands, words
    known = {option for parameter in commands.commands[words[0]].params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words[1:] if word.startswith("-")} <= known, words


def texts(value: object) -> Iterator[str]:
    """All strings in a YAML tree, including keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (*texts(key), *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    else:
        yield str(value)


def test_the_image_is_made_in_two_stages_of_one_base() -> None:
    assert (BUILD.name, IMAGE.name) == ("build", None)
    assert BUILD.image == IMAGE.image
    assert all(PINNED.fullmatch(stage.image) for stage in STAGES)
    copies = [parse_copy(step.text) for step in IMAGE.steps if step.name == "COPY"]
    assert [copy.stage for copy in copies] == ["build"]  # only what the first stage installed


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_only_locked_packages_are_installed(runtime: str) -> None:
    build = parse(DOCKERFILE, RUNTIME=runtime)[0]
    installs = [part for step in build.steps if step.name == "RUN" for part in step.text.split("&&") if "pip " in part]
    assert all("--require-hashes" in part or {"--no-deps", "--no-cache-dir"} <= set(part.split()) for part in installs)
    assert any(f"--requirement requirements/serve-{runtime}.lock" in part for part in installs)


def test_without_a_word_the_image_is_for_a_cpu() -> None:
    assert parse(DOCKERFILE) == parse(DOCKERFILE, RUNTIME="cpu") != parse(DOCKERFILE, RUNTIME="cuda")


def test_labels_name_version_and_commit() -> None:
    image = parse(DOCKERFILE, VERSION="1.2.3", REVISION="abc")[-1]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', image.last("LABEL") or ""))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert labels == {
        "title": "Cleanplate",
        "description": project["description"],
        "licenses": project["license"],
        "version": "1.2.3",
        "revision": "abc",
    }


def test_make_image_builds_with_the_version_in_label_and_tag(tmp_path: Path) -> None:
    (docker := tmp_path / "docker").write_text('#!/bin/sh\nfor word; do echo "$word"; done\n', encoding="utf-8")
    docker.chmod(0o755)
    path = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["make", "--silent", "image", "RUNTIME=cuda"], cwd=ROOT, env=path, capture_output=True, text=True, check=True)
    words = done.stdout.split()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert [words[place + 1] for place, word in enumerate(words) if word == "--tag"] == ["cleanplate:cuda", f"cleanplate:{VERSION}-cuda"]
    given = dict(words[place + 1].split("=") for place, word in enumerate(words) if word == "--build-arg")
    assert given == {"RUNTIME": "cuda", "VERSION": VERSION, "REVISION": commit}
    assert set(given) == set(re.findall(r"(?m)^ARG (\w+)", DOCKERFILE))


def test_the_bill_of_materials_names_what_is_installed() -> None:
    command = [sys.executable, str(ROOT / "deploy" / "sbom.py")]
    first, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == again
    told = json.loads(first)
    assert (told["bomFormat"], told["specVersion"], told["metadata"]["component"]["purl"]) == (
        "CycloneDX",
        "1.6",
        f"pkg:pypi/cleanplate@{VERSION}",
    )
    named = {part["name"]: part for part in told["components"]}
    assert len(named) == len(told["components"]) == len({part["bom-ref"] for part in told["components"]})
    locked = re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / "requirements" / "serve-cpu.lock").read_text(encoding="utf-8"))
    plain = [(name, version) for name, version in locked if name in named]
    assert {named[name]["version"] == version for name, version in plain} == {True}
    assert {"fastapi", "onnxruntime"} <= {name for name, _ in plain}
    assert named["fastapi"]["licenses"] == [{"expression": "MIT"}]


def test_linters_find_nothing(tmp_path: Path) -> None:
    """hadolint for the Dockerfile; Docker Compose's own reader for both profiles, with the example's settings."""
    bin_folder = Path(sys.executable).parent
    subprocess.run([bin_folder / "hadolint", "Dockerfile"], cwd=ROOT, check=True)
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"(?m)=$", "=x", EXAMPLE), encoding="utf-8")
    for profile in PROFILES:
        words = [bin_folder / "docker-compose", "--env-file", filled, "--profile", profile, "config", "--services"]
        read = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        assert not read.stderr
        assert set(read.stdout.split()) == {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}


def test_the_example_has_every_variable_of_the_fleet_and_no_secret() -> None:
    example = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if line and not line.startswith("#"))
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(example) == set(re.findall(r"\$\{(\w+)", text)) | {"COMPOSE_PROFILES"}
    needed = set(re.findall(r"\$\{(\w+):\?\}", text))
    secret = {name for name in example if re.search(r"PASSWORD|SECRET|_KEY", name)}
    assert {name for name in needed if not example[name]} == needed & secret
    assert not [name for name in secret if example[name]]
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert {name: example[name] for name in defaults} == defaults
    assert example["COMPOSE_PROFILES"] in PROFILES
    assert "/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_a_profile_adds_one_kind_of_worker(profile: str) -> None:
    worker = SERVICES[f"worker-{profile}"]
    assert worker["profiles"] == [profile]
    assert worker["image"] == f"cleanplate:{'cpu' if profile == 'cpu' else 'cuda'}"
    assert ("deploy" in worker) == (profile == "gpu")
    assert worker["networks"]["watched"]["aliases"] == ["worker"]  # its name for Prometheus
    assert not SERVICES["api"].get("profiles")


def test_copied_files_exist_and_the_rest_is_ignored() -> None:
    builds = [parse(DOCKERFILE, RUNTIME=runtime)[0] for runtime in RUNTIMES]
    sources = sorted(
        {source for build in builds for step in build.steps if step.name == "COPY" for source in parse_copy(step.text).sources}
    )
    held = {source: [name for name in CONTEXT if name == source or name.startswith(f"{source}/")] for source in sources}
    assert not [source for source, names in held.items() if not names]
    assert sorted(name for names in held.values() for name in names) == CONTEXT


def test_the_networks_are_copied_without_what_only_training_needs() -> None:
    manifest = tomllib.loads((ROOT / "models" / "manifest.toml").read_text(encoding="utf-8"))
    tables = [table for entry in manifest.values() for table in (entry, *(v for v in entry.values() if isinstance(v, dict)))]
    assert {f"models/{table['file']}" for table in tables} == {name for name in CONTEXT if name.startswith("models/weights/")}
    assert not [name for name in CONTEXT if "__pycache__" in name]


def test_the_image_runs_unprivileged_with_its_data_in_a_volume() -> None:
    user = IMAGE.last("USER")
    assert user is not None
    assert all(int(number) >= 1000 for number in user.split(":"))  # numeric, so that an orchestrator can verify that it is not root
    assert IMAGE.last("VOLUME") == IMAGE.last("WORKDIR") == environment()["CLEANPLATE_DATA_DIR"]
    names = [step.name for step in IMAGE.steps]
    assert "RUN" not in names[names.index("USER") :]


def test_the_image_serves_and_has_a_health_check() -> None:
    assert IMAGE.last("EXPOSE") == environment()["CLEANPLATE_PORT"]
    program, *arguments = [*parse_words(IMAGE.last("ENTRYPOINT") or ""), *parse_words(IMAGE.last("CMD") or "")]
    assert program == "cleanplate"
    assert_command_exists(arguments)
    python, option, code = health_command(IMAGE.last("HEALTHCHECK") or "")
    assert (python, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")


def test_all_settings_used_exist() -> None:
    known = {f"CLEANPLATE_{name}".upper() for name in Settings.model_fields}
    fleet = {name for service in ours() for name in service["environment"]}
    named = {name.split("__")[0] for name in {*environment(), *fleet} if name.startswith("CLEANPLATE_")}
    referred = set(re.findall(r"\$\{(CLEANPLATE_\w+)", " ".join(texts(COMPOSE))))
    assert named | referred <= known


def test_the_fleets_commands_exist() -> None:
    assert {service["command"][0] for service in ours()} == {"serve", "worker"}
    for service in ours():
        assert_command_exists(service["command"])
    assert "--no-worker" in SERVICES["api"]["command"]


def test_services_are_awaited_only_if_they_have_a_health_check() -> None:
    awaited = {name: waits["condition"] for service in SERVICES.values() for name, waits in service.get("depends_on", {}).items()}
    assert awaited == dict.fromkeys(("postgres", "s3", "proxy", "prometheus"), "service_healthy")
    assert all(
        "test" in service["healthcheck"] for service in SERVICES.values() if service is not SERVICES["api"]
    )  # it has its image's health check


def test_the_fleet_keeps_its_data_in_volumes() -> None:
    mounted = [volume.rsplit(":", 2) for service in SERVICES.values() for volume in service.get("volumes", [])]
    given = [volume for volume in mounted if volume[-1] == "ro"]  # from this machine
    kept = [volume for volume in mounted if volume[-1] != "ro"]
    assert {source for source, _ in kept} == set(COMPOSE["volumes"])
    assert all((ROOT / source).is_dir() for source, *_ in given if source.startswith("./"))
    assert [source for source, *_ in given if not source.startswith("./")] == ["${TLS_FOLDER:?}"]
    assert all(service.get("volumes") for service in SERVICES.values() if service not in ours())


def test_the_workers_health_check_uses_its_metrics_port() -> None:
    *_, program, option, code = SERVICES["worker-cpu"]["healthcheck"]["test"]
    assert (program, option) == ("python", "-c")
    compile(code, "healthcheck", "exec")
    assert SERVICES["worker-cpu"]["environment"]["CLEANPLATE_WORKER_METRICS_PORT"] in code
    assert "healthcheck" not in SERVICES["api"]  # the image's own applies


def test_the_fleet_has_enough_time_to_stop() -> None:
    stop_seconds = Settings.model_fields["stop_seconds"].default
    assert all(float(service["stop_grace_period"].removesuffix("s")) > stop_seconds + END_SECONDS for service in ours())


def test_the_fleet_agrees_on_ports_bucket_and_database() -> None:
    database, storage = (ours()[0]["environment"][name] for name in ("CLEANPLATE_DATABASE_URL", "CLEANPLATE_STORAGE_URL"))
    account = SERVICES["postgres"]["environment"]
    assert (
        database == f"postgresql+psycopg://{account['POSTGRES_USER']}:{account['POSTGRES_PASSWORD']}@postgres:5432/{account['POSTGRES_DB']}"
    )
    assert f"-bucket={storage.removeprefix('s3://')}" in SERVICES["s3"]["command"]
    servers = (ROOT / "deploy" / "proxy" / "servers.conf.template").read_text(encoding="utf-8")
    assert re.findall(r"http://(\w+):(\d+)", servers) == [("api", environment()["CLEANPLATE_PORT"]), ("s3", "8333"), ("grafana", "3000")]
    assert set(re.findall(r"\$\{(\w+)\}", servers)) == set(SERVICES["proxy"]["environment"])


def test_the_fleets_files_contain_no_secret() -> None:
    secret = re.compile(r"PASSWORD|SECRET|_KEY")
    set_here = {
        name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items() if secret.search(name)
    }
    assert "GF_SECURITY_ADMIN_PASSWORD" in set_here
    assert not {name for name, value in set_here.items() if not re.fullmatch(r"\$\{\w+:[?-]\}", value)}


def test_only_the_proxy_is_exposed_and_at_first_to_this_machine_alone() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"proxy": ["${HTTPS_ADDRESS:-127.0.0.1:443}:443", "${GRAFANA_ADDRESS:-127.0.0.1:3000}:3000"]}


def test_only_what_fetches_has_a_way_out() -> None:
    closed = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    assert set(COMPOSE["networks"]) - closed == {"outside"}
    out = {name for name, service in SERVICES.items() if set(service["networks"]) - closed}
    assert out == {"proxy", "api", "worker-cpu", "worker-gpu"}
    assert all(service["networks"] for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_memory_or_processes_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert (service["cap_drop"], service["security_opt"], service["read_only"]) == (["ALL"], ["no-new-privileges:true"], True)
    assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert ("cap_add" in service) == (name in ("postgres", "s3"))
    assert re.fullmatch(r"(\$\{\w+:-)?\d+[mg]\}?", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 2048
    assert not service.get("privileged")
    assert all("size=" in mount for mount in service.get("tmpfs", []))


def test_images_of_the_fleet_are_pinned() -> None:
    assert not [service["image"] for service in SERVICES.values() if service not in ours() and not PINNED.fullmatch(service["image"])]
    assert all(service["build"] == {"context": ".", "args": {"RUNTIME": service["image"].partition(":")[2]}} for service in ours())


def test_digests_are_written_behind_the_tags(tmp_path: Path) -> None:
    """By a copy of the script beside copies of its files, with a `docker` that knows a digest for each image."""
    (tmp_path / "deploy").mkdir()
    for name in ("compose.yaml", "Dockerfile", "deploy/pin_images.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (docker := tmp_path / "docker").write_text(f"#!{sys.executable}\n{REGISTRY}", encoding="utf-8")
    docker.chmod(0o755)
    command = [sys.executable, str(tmp_path / "deploy" / "pin_images.py")]
    path = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):  # again, with the digests there
        subprocess.run(command, env=path, check=True)
    written = yaml.safe_load((tmp_path / "compose.yaml").read_text(encoding="utf-8"))["services"]
    images = [service["image"] for service in written.values()] + [stage.image for stage in parse((tmp_path / "Dockerfile").read_text())]
    for image in images:
        tag, _, digest = image.partition("@")
        assert digest == ("" if tag.startswith("cleanplate:") else f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}")
    subprocess.run([*command, "--check"], check=True)
    docker.write_text("#!/bin/sh\necho 'no such host' >&2; exit 1\n", encoding="utf-8")
    failed = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stderr.endswith("no such host\n")) == (1, True)


def test_an_image_without_a_digest_is_named(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in ("Dockerfile", "deploy/pin_images.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "compose.yaml").write_text("services:\n  a:\n    image: some/thing:1.2\n", encoding="utf-8")
    command = [sys.executable, str(tmp_path / "deploy" / "pin_images.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "some/thing:1.2 has no digest" in done.stdout) == (1, True)


@pytest.mark.parametrize("script", [".ci/run", ".ci/servers", "tests/container/build_in_chroot.sh"])
def test_scripts_are_valid(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("service/cli.py", False),
        ("service", False),
        ("service/jobs/__pycache__/job.pyc", True),
        ("models/weights/matte.pt", True),
        ("models/weights/matte.onnx", False),
        ("requirements/serve-cuda.lock", False),
        ("requirements/serve-cpu.lock", False),
        ("requirements/dev.lock", True),
        (".env", True),
        ("services.txt", True),
    ],
)
def test_the_last_matching_pattern_decides(name: str, left_out: bool) -> None:
    patterns = ["*", "!requirements/serve-*.lock", "!service", "!models", "models/weights/*.pt", "**/__pycache__"]
    assert ignored(name, patterns) is left_out


def test_a_dockerfile_is_read_as_docker_does() -> None:
    (first, second) = parse(
        "# head\nFROM a:1 AS one\nRUN x \\\n    # between\n    && y\n\nFROM b:2\nENV P=/q:$P R=${S}\nCOPY --from=one /a b/\n"
    )
    assert (first.image, first.name, first.last("RUN")) == ("a:1", "one", "x && y")
    assert parse_environment(second.last("ENV") or "", {"P": "/p"}) == {"P": "/q:/p", "R": "${S}"}
    copied = parse_copy(second.last("COPY") or "")
    assert (copied.stage, copied.sources, copied.target) == ("one", ("/a",), "b/")
    assert [step.name for step in second.steps] == ["ENV", "COPY"]


@pytest.mark.parametrize("text", ["RUN x", "FROM a\nADD x y", "FROM a AS", "FROM a\nONBUILD RUN x"])
def test_unsupported_syntax_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"stands before|no instruction|not understood"):
        parse(text)
