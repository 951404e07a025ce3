"""The manifests in deploy/kubernetes agree with the service, the image, compose.yaml and each other. No cluster is used."""

import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st

from service.api.connection import CLOSE_SECONDS
from service.app import create_app
from service.core import opened
from service.outside.guard import GLOBAL_UNICAST, NAT64, SPECIAL, Address, Network, is_public
from service.settings import Settings
from service.worker import END_SECONDS
from tests.container.kustomize import Manifest, build, find
from tests.container.test_files import IMAGE, SERVICES, assert_command_exists, environment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("cpu", "gpu")
CPU, GPU = (build(FOLDER / "overlays" / name) for name in OVERLAYS)
BASE = build(FOLDER / "base")
API_VERSIONS = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "ScaledObject": "keda.sh/v1alpha1",
}
PART = "app.kubernetes.io/part-of"


def deployments(manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == "Deployment"]


def pod(name: str, manifests: list[Manifest] = BASE) -> dict[str, Any]:
    return dict(find(manifests, "Deployment", f"cleanplate-{name}")["spec"]["template"]["spec"])


def container(name: str, manifests: list[Manifest] = BASE) -> dict[str, Any]:
    (only,) = pod(name, manifests)["containers"]
    return dict(only)


def config() -> dict[str, str]:
    return dict(find(BASE, "ConfigMap", "cleanplate")["data"])


def variables(name: str, manifests: list[Manifest]) -> dict[str, str]:
    """The container's environment, except secrets."""
    return config() | {entry["name"]: entry["value"] for entry in container(name, manifests)["env"]} if name == "worker" else config()


def files() -> list[Path]:
    return sorted(FOLDER.rglob("*.yaml"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_builds_the_same_manifests(overlay: str) -> None:
    """If kubectl is installed; our own build is checked below in any case."""
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kubectl is not installed")
    built = subprocess.run([kubectl, "kustomize", FOLDER / "overlays" / overlay], capture_output=True, text=True, check=True)
    assert not built.stderr
    environment = re.sub(r"\bcleanplate-[a-z0-9]{10}\b", "cleanplate", built.stdout)  # the hash in a generated name
    assert by_name(yaml.safe_load_all(environment)) == by_name(iter(CPU if overlay == "cpu" else GPU))


def by_name(manifests: Iterator[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


def test_every_file_is_built_into_an_overlay() -> None:
    built = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in (*CPU, *GPU)}
    written = [manifest for path in files() if path.name != "kustomization.yaml" for manifest in yaml.safe_load_all(path.read_text())]
    assert {(manifest["kind"], manifest["metadata"]["name"]) for manifest in written} <= built
    assert {manifest["kind"]: manifest["apiVersion"] for manifest in (*CPU, *GPU)} == API_VERSIONS


def test_all_settings_used_exist_and_are_valid(tmp_path: Path) -> None:
    for manifests in (CPU, GPU):
        for name in ("api", "worker"):
            environment = {
                key.removeprefix("CLEANPLATE_").lower(): value for key, value in variables(name, manifests).items() if "CLEANPLATE" in key
            }
            assert set(environment) <= set(Settings.model_fields)
            settings = Settings.model_validate(environment | {"data_dir": tmp_path, "storage_url": str(tmp_path / "files")})
            with opened(settings) as core:
                assert core.settings.public_url == config()["CLEANPLATE_PUBLIC_URL"]
    fleet = SERVICES["api"]["environment"]
    assert {key for key in config() if key.startswith("AWS_")} <= set(fleet)
    assert config()["CLEANPLATE_STORAGE_URL"] == fleet["CLEANPLATE_STORAGE_URL"]


def test_images_and_commands_are_those_of_compose() -> None:
    for name, service in (("api", SERVICES["api"]), ("worker", SERVICES["worker-cpu"])):
        assert container(name)["image"] == service["image"]
        assert container(name)["args"] == service["command"]
        assert_command_exists(container(name)["args"])
    for name in ("api", "worker"):
        assert container(name, CPU)["image"] == "registry.example.com/" + SERVICES["worker-cpu"]["image"]
        assert container(name, GPU)["image"] == "registry.example.com/" + SERVICES["worker-gpu"]["image"]


def test_pods_run_as_the_images_user_without_privileges() -> None:
    user, _, group = (IMAGE.last("USER") or "").partition(":")
    for name in ("api", "worker"):
        rights = pod(name)["securityContext"]
        assert (rights["runAsNonRoot"], rights["runAsUser"], rights["runAsGroup"], rights["fsGroup"]) == (
            True,
            int(user),
            int(group),
            int(group),
        )
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod(name)["automountServiceAccountToken"] is False
        locked = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container(name)["securityContext"] == locked
        mounts = {mount["mountPath"]: mount["name"] for mount in container(name)["volumeMounts"]}
        assert set(mounts) == {environment()["CLEANPLATE_DATA_DIR"], "/tmp"}
        assert Path(config()["CLEANPLATE_DATA_DIR"]).parent == Path(environment()["CLEANPLATE_DATA_DIR"])  # closed, as the volume is not
        assert {volume["name"]: set(volume["emptyDir"]) for volume in pod(name)["volumes"]} == {
            name: {"sizeLimit"} for name in mounts.values()
        }
        assert "memory" in container(name)["resources"]["limits"]


def test_ports_match_the_programs() -> None:
    assert container("api")["ports"] == [{"name": "http", "containerPort": int(environment()["CLEANPLATE_PORT"])}]
    metrics = {entry["name"]: entry["value"] for entry in container("worker")["env"]}["CLEANPLATE_WORKER_METRICS_PORT"]
    assert container("worker")["ports"] == [{"name": "metrics", "containerPort": int(metrics)}]
    assert metrics == SERVICES["worker-cpu"]["environment"]["CLEANPLATE_WORKER_METRICS_PORT"]
    for name in ("api", "worker"):
        (port,) = container(name)["ports"]
        notes = find(BASE, "Deployment", f"cleanplate-{name}")["spec"]["template"]["metadata"]["annotations"]
        assert notes["prometheus.io/port"] == str(port["containerPort"])
        probes = [probe["httpGet"] for key, probe in container(name).items() if key.endswith("Probe")]
        assert len(probes) >= 2
        assert {probe["port"] for probe in probes} == {port["name"]}
    (service,) = find(BASE, "Service", "cleanplate-api")["spec"]["ports"]
    assert service["targetPort"] == "http"


def test_a_stopping_pod_has_enough_time() -> None:
    stop_seconds = float(config()["CLEANPLATE_STOP_SECONDS"])
    assert pod("worker")["terminationGracePeriodSeconds"] > stop_seconds + END_SECONDS
    *_, leaving_seconds = container("api")["lifecycle"]["preStop"]["exec"]["command"]
    assert pod("api")["terminationGracePeriodSeconds"] > float(leaving_seconds) + CLOSE_SECONDS


def test_selectors_match_their_pods() -> None:
    labels = {manifest["metadata"]["name"]: manifest["spec"]["template"]["metadata"]["labels"] for manifest in deployments(GPU)}
    for manifest in deployments(GPU):
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        assert selected(spec["selector"]["matchLabels"], labels) == {name}
    assert selected(find(GPU, "Service", "cleanplate-api")["spec"]["selector"], labels) == {"cleanplate-api"}
    assert selected(find(GPU, "PodDisruptionBudget", "cleanplate-api")["spec"]["selector"]["matchLabels"], labels) == {"cleanplate-api"}
    policies = {manifest["metadata"]["name"]: manifest["spec"] for manifest in GPU if manifest["kind"] == "NetworkPolicy"}
    found = {name: selected(spec["podSelector"]["matchLabels"], labels) for name, spec in policies.items()}
    assert found.pop("cleanplate-closed") == found.pop("cleanplate-out") == set(labels)
    assert found == {"cleanplate-api": {"cleanplate-api"}, "cleanplate-worker": {"cleanplate-worker"}}
    assert find(GPU, "ScaledObject", "cleanplate-worker")["spec"]["scaleTargetRef"]["name"] in labels


def selected(selector: dict[str, str], labels: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, those in labels.items() if selector.items() <= those.items()}


def test_pods_that_nothing_else_allows_are_closed() -> None:
    closed = find(BASE, "NetworkPolicy", "cleanplate-closed")["spec"]
    assert (closed["policyTypes"], "ingress" in closed, "egress" in closed) == (["Ingress", "Egress"], False, False)


def blocks() -> list[tuple[Network, list[Network]]]:
    """The networks that a pod reaches, each with its exceptions."""
    rules = find(BASE, "NetworkPolicy", "cleanplate-out")["spec"]["egress"]
    found = [to["ipBlock"] for rule in rules for to in rule["to"] if "ipBlock" in to]
    return [(ip_network(block["cidr"]), [ip_network(net) for net in block["except"]]) for block in found]


BLOCKS = blocks()


def reached(address: Address) -> bool:
    return any(address in network and not any(address in net for net in nets) for network, nets in BLOCKS)


def edges() -> Iterator[Address]:
    """The first and last address of each network that either side names, and their neighbours."""
    named = {net for network, nets in BLOCKS for net in (network, *nets)}
    for network in {*SPECIAL, NAT64, GLOBAL_UNICAST, *named}:
        for number in (int(network.network_address), int(network.broadcast_address)):
            for near in (number - 1, number, number + 1):
                if 0 <= near < 2**network.max_prefixlen:
                    yield type(network.network_address)(near)


def test_pods_reach_exactly_what_the_service_counts_as_public() -> None:
    assert [str(address) for address in edges() if reached(address) != is_public(address)] == []
    inside = "10.1.2.3 169.254.169.254 fd00:ec2::254 fe80::1 ::1 ::ffff:10.0.0.1 64:ff9b::a9fe:a9fe 2002:a00:1:: 2001:0:4136:e378::1"
    assert not any(reached(ip_address(text)) for text in inside.split())
    assert all(reached(ip_address(text)) for text in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::8.8.8.8"))
    assert all(net.subnet_of(network) for network, nets in BLOCKS for net in nets)  # or Kubernetes refuses the policy


@given(
    st.integers(0, 2**32 - 1).map(IPv4Address)
    | st.integers(2**125, 2**126 - 1).map(IPv6Address)
    | st.integers(0, 2**128 - 1).map(IPv6Address)
)
def test_any_address_is_reached_only_if_it_is_public(address: Address) -> None:
    if not (isinstance(address, IPv6Address) and address.ipv4_mapped):  # on the wire it is the IPv4 address
        assert reached(address) == is_public(address)


def test_all_routes_but_those_for_the_cluster_have_a_way_in(tmp_path: Path) -> None:
    (rule,) = find(CPU, "Ingress", "cleanplate")["spec"]["rules"]
    ways = rule["http"]["paths"]
    with opened(Settings.model_validate({"data_dir": tmp_path})) as core:
        routes = {route.path for route in iter_route_contexts(create_app(core).routes)}

    def is_let_in(path: str) -> bool:
        return any(path == way["path"] or (way["pathType"] == "Prefix" and path.startswith(way["path"] + "/")) for way in ways)

    assert {path for path in routes if not is_let_in(path)} == {"/metrics", "/readyz"}
    assert all(any(path.startswith(way["path"]) for path in routes) for way in ways)


def test_the_way_in_has_tls_a_service_behind_it_and_the_limits_of_the_proxy() -> None:
    ingress = find(GPU, "Ingress", "cleanplate")
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    assert config()["CLEANPLATE_PUBLIC_URL"] == f"https://{rule['host']}"
    ports = {port["name"] for port in find(BASE, "Service", "cleanplate-api")["spec"]["ports"]}
    backends = [way["backend"]["service"] for way in rule["http"]["paths"]]
    assert {(backend["name"], backend["port"]["name"]) for backend in backends} <= {("cleanplate-api", port) for port in ports}
    proxy = "".join((ROOT / "deploy" / "proxy" / name).read_text() for name in ("nginx.conf", "servers.conf.template"))
    notes = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    assert f"client_max_body_size {notes['proxy-body-size']};" in proxy
    assert f"limit_conn connections {notes['limit-connections']};" in proxy
    assert f"rate={notes['limit-rps']}r/s;" in proxy
    assert f"proxy_read_timeout {notes['proxy-read-timeout']}s;" in proxy
    assert float(notes["proxy-read-timeout"]) > Settings.model_fields["hold_seconds"].default


def test_a_gpu_worker_has_one_gpu_and_the_cpu_one_none() -> None:
    assert container("worker", GPU)["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in container("worker", CPU)["resources"]["limits"]
    devices = [variables("worker", manifests)["CLEANPLATE_DEVICE"] for manifests in (CPU, GPU)]
    assert devices == ["cpu", "cuda"]


def test_workers_are_scaled_by_the_queue_and_never_interrupted() -> None:
    assert "replicas" not in find(GPU, "Deployment", "cleanplate-worker")["spec"], "KEDA alone says how many"
    assert find(CPU, "Deployment", "cleanplate-worker")["spec"]["replicas"] >= 1
    scaled = find(GPU, "ScaledObject", "cleanplate-worker")["spec"]
    age, running = scaled["triggers"]
    assert [trigger["type"] for trigger in scaled["triggers"]] == ["prometheus"] * 2
    assert {trigger["metricType"] for trigger in scaled["triggers"]} == {"AverageValue"}
    assert running["metadata"]["threshold"] == config()["CLEANPLATE_WORKER_JOBS"]
    assert scaled["maxReplicaCount"] * int(config()["CLEANPLATE_WORKER_JOBS"]) <= int(config()["CLEANPLATE_ACCOUNT_JOBS"])

    def workers(age_seconds: float, jobs: int) -> int:
        asked = max(math.ceil(age_seconds / float(age["metadata"]["threshold"])), math.ceil(jobs / float(running["metadata"]["threshold"])))
        return int(min(max(asked, scaled["minReplicaCount"]), scaled["maxReplicaCount"]))

    assert [workers(seconds, jobs) for seconds, jobs in ((0, 0), (0, 8), (61, 2), (240, 4), (3600, 16))] == [1, 4, 2, 4, 8]


def test_the_manifests_contain_no_secret() -> None:
    assert not [manifest for manifest in (*CPU, *GPU) if manifest["kind"] == "Secret"]
    secret = re.compile(r"PASSWORD|SECRET|_KEY|DATABASE_URL")
    assert not [key for name in ("api", "worker") for key in variables(name, GPU) if secret.search(key)]
    assert {"secretRef": {"name": "cleanplate"}} in container("api")["envFrom"]
    assert container("api")["envFrom"] == container("worker")["envFrom"]
