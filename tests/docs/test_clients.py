"""What `clients/` holds is true of the service as it is: types of its document, and recipes that are carried out against a real one."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.docs import typescript
from tests.service_process import Service, TestAccount, file, running

N8N = json.loads((ROOT / "clients" / "n8n" / "clean_video.json").read_text(encoding="utf-8"))
NODES: dict[str, dict[str, Any]] = {node["name"]: node for node in N8N["nodes"]}
COMFYUI = ROOT / "clients" / "comfyui" / "cleanplate_node" / "__init__.py"
ROUNDS = 600  # of waiting for a task; each takes as long as its request


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("clients"), rate_read="100000/10 second") as found:
        yield found


@pytest.fixture
def account(service: Service) -> TestAccount:
    return service.account(credits=3)


def test_the_types_are_those_of_the_service() -> None:
    structure = typescript.structure_now()
    head, _, types = typescript.FILE.read_text(encoding="utf-8").partition("\n")
    assert f"{head}\n" == typescript.head_of(structure), "run `make types`"
    assert set(re.findall(r'^    "(/[^"]*)": \{', types, re.MULTILINE)) == set(structure["paths"])


def test_texts_do_not_change_the_types_but_names_do() -> None:
    field = {"description": {"type": "string", "description": "as people say"}}
    kept = typescript.structure_of({"schemas": {"title": {"properties": field, "title": "Title"}}, "anyOf": [{"required": ["a"]}]})
    assert kept == {"schemas": {"title": {"properties": {"description": {"type": "string"}}}}}


def test_the_example_has_the_types_it_says() -> None:
    if (compiler := shutil.which("tsc")) is None:
        pytest.skip("tsc is not installed")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", "--lib", "es2022,dom"]
    done = subprocess.run([compiler, *options, typescript.FILE.with_name("example.ts")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def evaluated(value: Any, items: dict[str, Any], current: Any) -> Any:
    """A parameter of a node: as it is, or an expression in the words of n8n, which are JavaScript."""
    if not (isinstance(value, str) and value.startswith("=")):
        return value
    parts = re.findall(r"\{\{(.*?)\}\}(?!\})|((?:(?!\{\{).)+)", value[1:])
    text = " + ".join(f"String({code.strip()})" if code else json.dumps(plain) for code, plain in parts)
    if re.fullmatch(r"=\{\{.*\}\}", value) and len(parts) == 1:
        text = parts[0][0].strip()
    program = f"const items = {json.dumps(items)}, $json = {json.dumps(current)}; const $ = name => ({{item: {{json: items[name]}}}});"
    node = shutil.which("node") or pytest.skip("node is not installed")
    done = subprocess.run([node, "-e", f"{program} console.log(JSON.stringify({text}))"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def requested(node: dict[str, Any], items: dict[str, Any], current: Any, account: TestAccount) -> httpx.Response:
    """What an HTTP Request node asks for."""
    parameters = node["parameters"]
    pairs = parameters.get("queryParameters", {}).get("parameters", [])
    return httpx.request(
        parameters["method"],
        evaluated(parameters["url"], items, current),
        params={pair["name"]: evaluated(pair["value"], items, current) for pair in pairs} or None,
        content=evaluated(parameters["jsonBody"], items, current) if "jsonBody" in parameters else None,
        headers=({"Content-Type": "application/json"} if "jsonBody" in parameters else {})
        | (account.bearer if "genericAuthType" in parameters else {}),
        timeout=60,
        trust_env=False,
    )


def carried_out(account: TestAccount, **given: str) -> tuple[str, Any]:
    """Walk the workflow from its start, without waiting; the node at which it ends, and what that holds."""
    items: dict[str, Any] = {}
    name, current = "Start", None
    for _ in range(ROUNDS):
        node, kind, way = NODES[name], NODES[name]["type"].rpartition(".")[2], 0
        if kind == "set":
            fields = {each["name"]: each["value"] for each in node["parameters"]["assignments"]["assignments"]}
            assert set(given) == set(fields)
            current = given
        elif kind == "httpRequest":
            answer = requested(node, items, current, account)
            answer.raise_for_status()
            current = answer.content if "options" in node["parameters"] else answer.json()
        elif kind == "switch":
            way = evaluated(node["parameters"]["output"], items, current)
        elif kind == "stopAndError":
            current = evaluated(node["parameters"]["errorMessage"], items, current)
        items |= {name: current} if not isinstance(current, bytes) else {}
        following = N8N["connections"].get(name, {"main": []})["main"]
        if not following:
            return name, current
        [step] = following[way]
        name = step["node"]
    raise AssertionError(f"it still waits at {name}")


def test_the_n8n_workflow_cleans_a_video(service: Service, account: TestAccount) -> None:
    name, clean = carried_out(account, service=service.url, video_url=service.video_url("marked"))
    assert (name, clean[4:8]) == ("Download", b"ftyp")


def test_the_n8n_workflow_says_why_it_failed(service: Service, account: TestAccount) -> None:
    name, told = carried_out(account, service=service.url, video_url=service.video_url("missing"))
    assert name == "Failed"
    assert re.fullmatch(r"\d+: .*404.*", told)


def test_the_n8n_workflow_holds_no_key_and_leads_nowhere_unknown() -> None:
    assert "Bearer" not in json.dumps(N8N)
    ways = [step["node"] for outs in N8N["connections"].values() for out in outs["main"] for step in out]
    assert set(ways) | {"Start"} == set(NODES)


def test_the_comfyui_node_cleans_a_video(service: Service, account: TestAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANPLATE_URL", service.url)
    monkeypatch.setenv("CLEANPLATE_KEY", account.key)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    spec = spec_from_file_location("cleanplate_node", COMFYUI)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(module := module_from_spec(spec))
    [kind] = module.NODE_CLASS_MAPPINGS.values()
    assert set(module.NODE_DISPLAY_NAME_MAPPINGS) == set(module.NODE_CLASS_MAPPINGS)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.1)
    (clip := tmp_path / "clip.mp4").write_bytes(file("marked")[0])
    given = {name: str(clip) for name in kind.INPUT_TYPES()["required"]}
    (path,) = getattr(kind(), kind.FUNCTION)(**given)
    assert path == str(tmp_path / "clip_clean.mp4")
    assert Path(path).read_bytes()[4:8] == b"ftyp"
    (bad := tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(RuntimeError, match=r"\d+: "):
        getattr(kind(), kind.FUNCTION)(str(bad))
