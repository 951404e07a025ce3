"""Traces, with real processes and a collector on loopback: from a request through the durable queue to every step, host and log line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from benchmarks.fleet import Fleet
from benchmarks.orders import Customer
from service import tracing
from service.errors import SettingsError
from tests.conftest import ROOT
from tests.fixture_host import PATIENCE_SECONDS, Host, eventually, host
from tests.service_process import JOB_SECONDS, file, running

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
COLLECTOR = "/v1/traces"


@dataclass(frozen=True)
class Received:
    """A span as the collector got it."""

    name: str
    trace: str
    id: str
    parent: str
    process: str
    failed: str | None
    attributes: dict[str, str | int]


def received(there: Host) -> list[Received]:
    return [span for post in there.posts if post.path == COLLECTOR for span in spans_of(post.body)]


def spans_of(body: bytes) -> Iterator[Received]:
    for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
        told = {each.key: each.value.string_value for each in of_process.resource.attributes}
        assert told["service.name"] == "cleanplate"
        for span in (span for scope in of_process.scope_spans for span in scope.spans):
            about = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
            failed = str(about.get("error.type")) if span.status.code == Status.STATUS_CODE_ERROR else None
            ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
            yield Received(span.name, *ids, told["cleanplate.process"], failed, about)


def named(spans: list[Received], name: str) -> Received:
    [found] = [span for span in spans if span.name == name]
    return found


def sent(there: Host, path: str) -> str | None:
    """The trace that a request of the service named."""
    return next(asked for asked in there.asked if asked.path == path).headers["traceparent"]


def test_a_trace_leads_through_the_queue_to_every_step_and_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with host() as there:
        there.callback(COLLECTOR, 200)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.url)
        order = {"source_url": there.serve("/marked.mp4", file("marked")[0]), "callback_url": there.callback("/done", 503, 200)}
        with Fleet.running(tmp_path, log_format="json") as fleet:
            bearer = {"Authorization": f"Bearer {Customer.new(fleet.core, 'traced', 10).key}"}
            answer = fleet.client.post("/v1/jobs/", json=order, headers=bearer | {"traceparent": TRACEPARENT})
            assert answer.status_code == 201
            there.wait_for_posts(2, "/done", JOB_SECONDS)
        spans = received(there)  # all of them: what was left is sent when a process stops
        log = [json.loads(line) for line in (tmp_path / "0.log").read_text().splitlines() if line.startswith("{")]
    job_id = answer.json()["id"]
    ours = [span for span in spans if span.trace == TRACE]
    request = named(ours, "POST /v1/jobs")
    assert (request.parent, request.process, request.attributes["http.response.status_code"]) == (CALLER, "api", 201)
    steps = {name: named(ours, name) for name in ("fetch", "clean", "publish", "settle")}
    assert {span.parent for span in steps.values()} == {request.id}
    assert {span.process for span in steps.values()} == {"worker"}
    assert {span.attributes["cleanplate.job"] for span in steps.values()} == {job_id}
    assert {named(ours, name).parent for name in ("locate", "measure", "bound", "remove")} == {steps["clean"].id}
    fetched = named(ours, "GET")
    assert (fetched.parent, sent(there, "/marked.mp4")) == (steps["fetch"].id, f"00-{TRACE}-{fetched.id}-01")
    refused, taken = sorted(
        (span for span in ours if span.name == "POST"), key=lambda span: span.attributes["http.response.status_code"] == 200
    )
    assert (refused.failed, refused.attributes["http.response.status_code"], taken.failed) == ("FetchUnavailable", 503, None)
    attempts = {span.id: span.attributes["cleanplate.outcome"] for span in ours if span.name == "notify"}
    assert {refused.parent: "pending", taken.parent: "delivered"} == attempts
    assert sent(there, "/done") == f"00-{TRACE}-{refused.id}-01"
    assert {line["trace_id"] for line in log if line.get("job_id") == job_id} == {TRACE}
    assert not any(bearer["Authorization"] in str(span) or "healthz" in str(span) for span in spans)


def test_without_an_exporter_a_trace_is_passed_on_as_it_came(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        bearer, url = service.account().bearer, service.video_url("marked")
        sources = [{"source_url": f"{url}?{number}"} for number in range(2)]
        calls = {"traced": service.host.callback("/traced"), "other": service.host.callback("/other")}
        traced = bearer | {"traceparent": TRACEPARENT}
        service.client.post("/v1/batches", json={"sources": sources, "callback_url": calls["traced"]}, headers=traced).raise_for_status()
        order = {"source_url": f"{url}?2", "callback_url": calls["other"]}
        service.client.post("/v1/jobs", json=order, headers=bearer | {"traceparent": "00-of-no-trace"}).raise_for_status()
        service.host.wait_for_posts(2, patience_seconds=JOB_SECONDS)
        assert {sent(service.host, f"/marked.mp4?{number}") for number in range(2)} == {TRACEPARENT}
        assert sent(service.host, "/traced") == TRACEPARENT
        assert sent(service.host, "/marked.mp4?2") is None
        assert sent(service.host, "/other") is None


def test_a_batch_that_ends_later_is_part_of_the_trace_that_ordered_it(tmp_path: Path) -> None:
    with running(tmp_path, account_queue_jobs="1") as service:
        sources = [{"source_url": f"{service.video_url('missing')}?{number}"} for number in range(3)]
        order = {"sources": sources, "callback_url": service.host.callback("/done")}
        headers = service.account().bearer | {"traceparent": TRACEPARENT}
        service.client.post("/v1/batches", json=order, headers=headers).raise_for_status()
        service.host.wait_for_posts(1, "/done", JOB_SECONDS)
        assert {sent(service.host, f"/missing.mp4?{number}") for number in range(3)} == {TRACEPARENT}
        assert sent(service.host, "/done") == TRACEPARENT


PROCESS = """
import sys, time
from service import tracing
tracing.start("api")
with tracing.span("work"):
    pass
began = time.monotonic()
tracing.stop()
print("opentelemetry.sdk" in sys.modules, time.monotonic() - began)
"""


def process(**variables: str) -> tuple[bool, float]:
    """Whether a process with these variables loads OpenTelemetry, and how long its stop waits for the collector."""
    done = subprocess.run([sys.executable, "-c", PROCESS], env=os.environ | variables, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, seconds = done.stdout.split()
    return loaded == "True", float(seconds)


def test_without_an_exporter_nothing_is_loaded() -> None:
    assert process()[0] is False
    assert process(OTEL_SDK_DISABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")[0] is False


def test_a_collector_that_never_answers_does_not_hold_a_process() -> None:
    with host() as there:
        there.never_answer(COLLECTOR)
        loaded, seconds = process(OTEL_EXPORTER_OTLP_ENDPOINT=there.url, OTEL_EXPORTER_OTLP_TIMEOUT="60")
        eventually(lambda: there.requests(COLLECTOR) == 1, PATIENCE_SECONDS)
    assert loaded
    assert tracing.FLUSH_SECONDS <= seconds < 4 * tracing.FLUSH_SECONDS


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "ours"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_the_standard_variables_switch_it_on(variables: dict[str, str], on: bool) -> None:
    assert tracing.is_on(variables) is on


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x")],
)
def test_what_is_not_supported_is_refused_at_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        tracing.is_on({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", name: value})


@given(
    st.text(alphabet="0123456789abcdefABCDEF- \u0660", max_size=60)
    | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
)
def test_only_a_valid_trace_is_taken(header: str) -> None:
    valid = (
        [len(part) for part in header.split("-")] == [2, 32, 16, 2]
        and set(header) <= set("0123456789abcdef-")
        and not header.startswith("ff")
        and set(header.split("-")[1]) != {"0"}
        and set(header.split("-")[2]) != {"0"}
    )
    assert tracing.parsed(header) == (header if valid else None)


def test_of_a_later_version_what_is_known_is_taken() -> None:
    assert tracing.parsed(f"01-{TRACE}-{CALLER}-01-more") == f"01-{TRACE}-{CALLER}-01"
    assert tracing.parsed(f"00-{TRACE}-{CALLER}-01-more") is None
