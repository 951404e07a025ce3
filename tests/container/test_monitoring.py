"""Prometheus and Grafana: a real Prometheus scrapes a real service; every queried metric exists, and alerts fire when due.

`CLEANPLATE_TEST_PROMETHEUS=off` skips the tests that need its programs; otherwise they fail where those are missing, as with PostgreSQL.
"""

import json
import math
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service import errors
from service.settings import Settings
from tests.container.kustomize import build, find
from tests.container.promql import metric_names
from tests.fixture_host import eventually
from tests.service_process import Service, running

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRAPES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "cleanplate.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {panel["title"]: [target["expr"] for target in panel.get("targets", ())] for panel in PANELS}
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
SCALED = find(build(DEPLOY / "kubernetes" / "overlays" / "gpu"), "ScaledObject", "cleanplate-worker")["spec"]
SCALING = [trigger["metadata"]["query"] for trigger in SCALED["triggers"]]
PATIENCE_SECONDS = 60.0  # only a failing test waits this long
SWITCHED_OFF = os.environ.get("CLEANPLATE_TEST_PROMETHEUS") == "off"


def program(name: str) -> str:
    if SWITCHED_OFF:
        pytest.skip("CLEANPLATE_TEST_PROMETHEUS=off")
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: see .ci/servers, or set CLEANPLATE_TEST_PROMETHEUS=off to skip what needs it", pytrace=False)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Watched:
    """The service with a worker that exports metrics; `server`: a Prometheus that scraped both before their first job."""

    service: Service
    targets: dict[str, str]  # by job of Prometheus
    server: httpx.Client | None

    def work(self) -> None:
        """A job that succeeds and one that fails."""
        account = self.service.account(credits=10)
        for kind in ("marked", "broken"):
            order = {"source_url": self.service.video_url(kind)}
            answer = self.service.client.post("/v1/jobs", headers=account.bearer, json=order)
            self.service.wait(account, answer.json()["id"])
        eventually(lambda: "cleanplate_recent_failures{" in self.pages()[0])  # scrapes within a second share one result

    def answers(self, query: str) -> bool:
        """Whether Prometheus has a number for an expression, after one more request to an API."""
        assert self.server is not None
        self.service.client.get("/v1/jobs")
        return answers(self.server, query)

    def pages(self) -> list[str]:
        return [httpx.get(f"http://{target}/metrics", trust_env=False).text for target in self.targets.values()]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    port = free_port()
    with ExitStack() as stack:
        service = stack.enter_context(running(tmp_path_factory.mktemp("watched"), worker_metrics_port=str(port)))
        targets = {"cleanplate-api": f"127.0.0.1:{service.client.base_url.port}", "cleanplate-worker": f"127.0.0.1:{port}"}
        installed = shutil.which("prometheus") and not SWITCHED_OFF
        server = stack.enter_context(prometheus(tmp_path_factory.mktemp("prometheus"), targets)) if installed else None
        found = Watched(service, targets, server)
        if server is not None:  # rates need a scrape before the work and one after it
            eventually(lambda: value(server, "sum(up)") == 2, PATIENCE_SECONDS)
        found.work()
        yield found


@pytest.fixture(scope="module")
def names(watched: Watched) -> set[str]:
    """The names of all metrics that a service exports after a job."""
    families = [family for page in watched.pages() for family in text_string_to_metric_families(page)]
    return {sample.name for family in families for sample in family.samples if not sample.name.endswith("_created")}


def test_every_metric_queried_is_exported(names: set[str]) -> None:
    asked = [*(rule["expr"] for rule in ALERTS), *(query for queries in EXPRESSIONS.values() for query in queries), *SCALING]
    assert len(asked) > 40
    assert set().union(*map(metric_names, asked)) - names == set()


def test_every_exported_metric_is_documented(names: set[str]) -> None:
    written = set(re.findall(r"`(cleanplate_\w+)`", OPERATING))
    kinds = re.compile(r"_(?:bucket|count|sum|gcount|gsum)$")
    assert written == {kinds.sub("", name) for name in names if name.startswith("cleanplate_")}


def test_a_real_prometheus_answers_every_panel(watched: Watched) -> None:
    program("prometheus")
    server = watched.server
    assert server is not None
    eventually(lambda: value(server, "sum(increase(cleanplate_batches_total[5m]))") > 0, PATIENCE_SECONDS)
    eventually(lambda: value(server, 'max(cleanplate_recent_failures{kind="Truncated"})') == 1, PATIENCE_SECONDS)
    silent = {title: query for title, queries in EXPRESSIONS.items() for query in queries if not answers(server, query)}
    for query in silent.values():  # a rate is of what came between two scrapes
        eventually(partial(watched.answers, query), PATIENCE_SECONDS)
    for query in (*SCALING, *(rule["expr"] for rule in ALERTS)):
        ask(server, query)
    rules = server.get("/api/v1/rules").json()["data"]["groups"][0]["rules"]
    assert {rule["name"]: rule["health"] for rule in rules} == {rule["alert"]: "ok" for rule in ALERTS}
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"]


def ask(server: httpx.Client, query: str) -> list[float]:
    """The values of an expression, with Grafana's variable as five minutes."""
    answer = server.get("/api/v1/query", params={"query": query.replace("$__rate_interval", "5m")}).json()
    assert answer["status"] == "success", (query, answer)
    return [float(sample["value"][1]) for sample in answer["data"]["result"]]


def value(server: httpx.Client, query: str) -> float:
    return next(iter(ask(server, query)), -1.0)


def answers(server: httpx.Client, query: str) -> bool:
    return any(math.isfinite(number) for number in ask(server, query))


@contextmanager
def prometheus(folder: Path, targets: dict[str, str]) -> Iterator[httpx.Client]:
    """A real Prometheus with the configuration of deploy/, but with other targets and a short scrape interval."""
    scrapes = [
        {"job_name": scrape["job_name"], "static_configs": [{"targets": [targets[scrape["job_name"]]]}]}
        for scrape in SCRAPES["scrape_configs"]
    ]
    often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    rules = [str(DEPLOY / "prometheus" / name) for name in SCRAPES["rule_files"]]
    (folder / "prometheus.yml").write_text(json.dumps({"global": often, "rule_files": rules, "scrape_configs": scrapes}), encoding="utf-8")
    port = free_port()
    words = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("prometheus"), *words], stderr=log, stdout=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            eventually(lambda: ready(client), PATIENCE_SECONDS)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_every_alert_fires_in_its_situation() -> None:
    for words in (
        ["check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        ["test", "rules", ROOT / "tests" / "container" / "alerts_test.yml"],
    ):
        done = subprocess.run([program("promtool"), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_a_runbook() -> None:
    tried = yaml.safe_load((ROOT / "tests" / "container" / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {test["alertname"] for part in tried for test in part["alert_rule_test"] if test.get("exp_alerts")}
    quiet = {test["alertname"] for part in tried for test in part["alert_rule_test"] if not test.get("exp_alerts")}
    assert fired == quiet == {rule["alert"] for rule in ALERTS}
    headings = {heading.lower() for heading in re.findall(r"^#+ (\S+)$", OPERATING, re.MULTILINE)}
    for rule in ALERTS:
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (path, anchor) == ("docs/operating.md", rule["alert"].lower())
        assert anchor in headings
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_alert_thresholds_match_the_services_settings() -> None:
    expressions = {rule["alert"]: rule["expr"] for rule in ALERTS}
    kinds = {kind for kinds in re.findall(r'kind=~"([^"]+)"', expressions["CleanplateJobsFail"]) for kind in kinds.split("|")}
    assert kinds <= {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    max_jobs = Settings.model_fields["total_queue_jobs"].default
    assert max_jobs / 2 < float(expressions["CleanplateQueueFull"].split(">")[1].split()[0]) < max_jobs
    assert float(expressions["CleanplateDiskLow"].split("<")[1].split()[0]) > 2 * Settings.model_fields["free_disk_bytes"].default


def test_prometheus_and_grafana_use_the_addresses_in_compose() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    found = {name: scrape["port"] for job in SCRAPES["scrape_configs"] for scrape in job["dns_sd_configs"] for name in scrape["names"]}
    workers = [services[name] for name in ("worker-cpu", "worker-gpu")]
    (port,) = {int(each["environment"]["CLEANPLATE_WORKER_METRICS_PORT"]) for each in workers}
    assert found == {"api": 8000, "worker": port}
    assert all(each["networks"]["watched"]["aliases"] == ["worker"] for each in workers)
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DEPLOY / "grafana" / "dashboards" / "provider.yml").read_text(encoding="utf-8"))["providers"]
    folders = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert provider["options"]["path"] == f"{folders['./deploy/grafana']}/dashboards"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / Path(home).relative_to(folders["./deploy/grafana"])).is_file()


def test_the_dashboard_is_complete() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over each other"
    assert max(x for x, _ in cells) < 24
    sources = {target["datasource"]["uid"] for panel in PANELS for target in panel.get("targets", ())}
    assert sources == {"${datasource}"}


YAML_RULES = (
    "{extends: default, rules: {line-length: {max: 160}, document-start: disable, braces: disable, comments: {min-spaces-from-content: 1}}}"
)


def test_yaml_is_well_formatted() -> None:
    files = [
        ROOT / "compose.yaml",
        *sorted(path for path in DEPLOY.rglob("*") if path.suffix in (".yaml", ".yml")),
        *(ROOT / "tests").rglob("*.yml"),
    ]
    done = subprocess.run([program("yamllint"), "--strict", "-d", YAML_RULES, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("max(a_total)", {"a_total"}),
        ('sum by (state, b) (max by (c) (d{state=~"x|y"}))', {"d"}),
        ('histogram_quantile(0.95, sum by (le) (rate(e_bucket{route!~".*(upload).*"}[5m]))) > 1', {"e_bucket"}),
        ("changes(f[30m]) > 2 and on (job, instance) g # h", {"f", "g"}),
        ("absent(i) or j offset 1h", {"i", "j"}),
    ],
)
def test_metric_names_are_extracted(expression: str, found: set[str]) -> None:
    assert metric_names(expression) == found
