"""Health, readiness, metrics and the request log of a running server."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api import operations
from service.api.native import FACADE
from service.api.operations import JobMetricsCollector, Probes
from service.api.requests_log import RequestsLog
from service.api.unrouted import unrouted
from service.errors import ModelError
from service.metrics import DiskSpace, Meters, resident_bytes, scrape_registry
from service.version import VERSION
from tests.conftest import ROOT
from tests.workerless_server import Customer, WorkerlessServer, until, workerless_server


@dataclass
class Parts:
    """The parts that a test may break."""

    model: bool = True

    def check_model(self) -> None:
        if not self.model:
            raise ModelError("the weights in /secret/place are damaged")


@dataclass(frozen=True)
class Site:
    """A server with the native API and the operations endpoints, behind the request log."""

    server: WorkerlessServer
    client: httpx.Client
    parts: Parts
    customer: Customer
    min_free_bytes: int = field(default=0)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=self.customer.bearer | headers)

    def figure(self, name: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return next((sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()), None)


@contextmanager
def site(folder: Path, min_free_bytes: int = 0) -> Iterator[Site]:
    parts = Parts()
    with workerless_server(folder) as server:
        meters = Meters(CollectorRegistry())
        registry = scrape_registry(meters, None, JobMetricsCollector(server.context.job_service), DiskSpace(folder))
        app = FastAPI(exception_handlers={HTTPException: unrouted([])})
        app.include_router(FACADE.router(server.context))
        app.include_router(
            operations.router(server.context, Probes(parts.check_model, folder, min_free_bytes, registry, metrics_seconds=0))
        )

        @app.get("/broken", tags=["native"])
        def broken() -> Response:
            raise ZeroDivisionError

        app.add_middleware(RequestsLog, meters=meters)
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
            yield Site(server, client, parts, server.customer())


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        uvicorn_server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("operations")) as here:
        yield here


def test_health_reports_the_version(here: Site) -> None:
    answer = here.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": VERSION}


def test_ready_when_all_parts_are(here: Site) -> None:
    answer = here.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": dict.fromkeys(("database", "storage", "model", "disk"), "ok")}


def test_not_ready_names_the_part_and_no_details(tmp_path: Path) -> None:
    with site(tmp_path, min_free_bytes=2**60) as here:
        here.parts.model = False
        answer = here.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "storage": "ok", "model": "failed", "disk": "failed"}
    assert "secret" not in answer.text


def test_metrics_of_jobs_credits_and_requests(here: Site) -> None:
    customer = here.server.customer(credits=5)
    before = here.figure("cleanplate_jobs", facade="native", state="succeeded") or 0
    created = here.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": "http://example.com/clip.mp4"})
    assert here.figure("cleanplate_jobs", facade="native", state="queued") == 1
    assert here.figure("cleanplate_credits_held") == 1
    here.server.succeed(created.json()["id"])
    assert here.figure("cleanplate_jobs", facade="native", state="succeeded") == before + 1
    assert here.figure("cleanplate_jobs", facade="native", state="queued") == 0
    assert here.figure("cleanplate_queue_age_seconds") == 0
    assert (here.figure("cleanplate_credits", kind="grant", fund="paid") or 0) >= 5
    assert here.figure("cleanplate_workers") == 0
    assert here.figure("cleanplate_database_up") == 1
    labels = {"facade": "native", "route": "/v1/jobs", "method": "POST", "status": "201"}
    assert (here.figure("cleanplate_http_requests_total", **labels) or 0) >= 1
    assert (here.figure("cleanplate_http_request_seconds_count", facade="native", route="/v1/jobs") or 0) >= 1


def test_metrics_of_the_last_hour(here: Site) -> None:
    customer = here.server.customer(credits=5)
    order = {"source_url": "http://example.com/clip.mp4"}
    done, failed = (here.client.post("/v1/jobs", headers=customer.bearer, json=order).json()["id"] for _ in range(2))
    waiting = here.figure("cleanplate_queue_jobs") or 0
    assert waiting >= 2
    succeeded = here.figure("cleanplate_recent_jobs", facade="native", state="succeeded") or 0
    counted = here.figure("cleanplate_recent_job_seconds_gcount") or 0
    assert here.figure("cleanplate_recent_failures", kind="ModelError") is None
    here.server.succeed(done)
    here.server.fail(failed, ModelError("gone"))
    assert here.figure("cleanplate_queue_jobs") == waiting - 2
    assert here.figure("cleanplate_recent_jobs", facade="native", state="succeeded") == succeeded + 1
    assert here.figure("cleanplate_recent_failures", kind="ModelError") == 1
    assert here.figure("cleanplate_recent_job_seconds_gcount") == counted + 1
    assert here.figure("cleanplate_recent_job_seconds_bucket", le="3600") == counted + 1
    assert (here.figure("cleanplate_recent_wait_seconds_gsum") or 0) >= 0
    assert {here.figure(name, outcome="given_up") for name in ("cleanplate_callbacks", "cleanplate_recent_callbacks")} == {0}


def test_metrics_of_the_process_and_its_disk(here: Site) -> None:
    assert here.figure("cleanplate_version", version=VERSION) == 1
    assert (here.figure("cleanplate_memory_bytes") or 0) >= (here.figure("process_resident_memory_bytes") or 0) / 2 > 0
    assert 0 < (here.figure("cleanplate_disk_free_bytes") or 0) <= (here.figure("cleanplate_disk_bytes") or 0)


def test_the_memory_of_a_process_includes_its_children() -> None:
    asleep = "import sys; sys.stdin.read()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {asleep!r}])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as parent:
        until(lambda: Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text(encoding="ascii"))
        with subprocess.Popen([sys.executable, "-c", asleep], stdin=subprocess.PIPE) as alone:
            until(lambda: resident_bytes(parent.pid) > 1.5 * resident_bytes(alone.pid) > 2**20)
            alone.communicate()
        parent.communicate()
    assert resident_bytes(parent.pid) == 0


def test_clients_cannot_create_labels(here: Site) -> None:
    here.client.get("/v1/jobs/job_1", headers=here.customer.bearer)
    here.client.get("/wp-login.php")
    here.client.request("PROPFIND", "/coffee")
    labels = {"facade": "native", "route": "/v1/jobs/{job_id}", "status": "404"}
    assert (here.figure("cleanplate_http_requests_total", **labels) or 0) >= 1
    assert (here.figure("cleanplate_http_requests_total", facade="other", route="other", method="GET") or 0) >= 1
    assert (here.figure("cleanplate_http_requests_total", facade="other", route="other", method="other") or 0) >= 1
    assert "wp-login" not in here.client.get("/metrics").text


def test_unknown_routes_are_problems(here: Site) -> None:
    missing, wrong = here.client.get("/nowhere"), here.client.put("/v1/account")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    assert (wrong.status_code, wrong.json()["title"], wrong.headers["allow"]) == (405, "Method Not Allowed", "GET")
    assert {missing.headers["content-type"], wrong.headers["content-type"]} == {"application/problem+json"}


def test_every_request_has_an_id_and_a_log_line(here: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "service.api.requests_log"):
        given = here.get("/v1/account?api_key=secret", **{"X-Request-ID": "from-the-proxy.1"})
        made = here.get("/v1/account", **{"X-Request-ID": "not a plain one"})
        until(lambda: len(caplog.records) >= 2)
    assert given.headers["x-request-id"] == "from-the-proxy.1"
    assert len(made.headers["x-request-id"]) == 16
    logged = vars(caplog.records[0])
    assert (logged["method"], logged["path"], logged["status"], logged["facade"]) == ("GET", "/v1/account", 200, "native")
    assert "secret" not in str(logged)


def test_an_internal_error_is_counted_as_500(here: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert (
        here.client.get("/broken", headers={"Connection": "close"}).status_code == 500
    )  # the server closes the connection after it anyway
    until(lambda: here.figure("cleanplate_http_requests_total", route="/broken", status="500") == 1)
    caplog.clear()


def test_an_oversized_body_is_refused_before_it_is_sent(here: Site) -> None:
    with socket.create_connection((here.client.base_url.host, here.client.base_url.port or 0)) as line:
        line.settimeout(20)
        key = here.customer.key.encode()
        line.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer " + key + b"\r\nContent-Type: application/json\r\n")
        line.sendall(b"Content-Length: 99999999\r\n\r\n")
        answer = HTTPResponse(line)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read())["type"] == "urn:cleanplate:problem:too-large"


PROCESSES = """
import subprocess, sys
from pathlib import Path
from prometheus_client import CollectorRegistry, generate_latest
from service.metrics import Meters, scrape_registry, share_in_folder

folder = Path(sys.argv[1])
if len(sys.argv) == 2:
    share_in_folder(folder)
meters = Meters(CollectorRegistry())
meters.count_frames(10)
meters.count_batches("inpainter", 2, 5, 8)
meters.count_batches("inpainter", 3, 9, 12)
with meters.step("fetch"):
    pass
if len(sys.argv) == 2:
    subprocess.run([sys.executable, "-c", sys.stdin.read(), sys.argv[1], "child"], check=True)
    print(generate_latest(scrape_registry(meters, folder)).decode())
"""


def test_processes_that_share_a_folder_add_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESSES, str(tmp_path)]
    (tmp_path / "counter_1.db").write_bytes(b"of an earlier run")
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), input=PROCESSES, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    metrics: Counter[str] = Counter()
    for family in text_string_to_metric_families(done.stdout):
        metrics.update({sample.name: sample.value for sample in family.samples if sample.labels.get("step", "fetch") == "fetch"})
    assert metrics["cleanplate_frames_total"] == 20
    assert metrics["cleanplate_batch_windows_total"] == 18
    assert metrics["cleanplate_batch_capacity_total"] == 24
    assert metrics["cleanplate_step_seconds_count"] == 2
