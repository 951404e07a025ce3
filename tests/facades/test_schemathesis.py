"""Requests generated from the OpenAPI document: no internal error, and no response that the document does not describe.

`python -m tests.conformance` sends many more, to what exists.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from service.api import body_pace
from service.api.tus_headers import PIECE
from service.jobs.accounts import AccountLimits
from service.jobs.keys import Scope
from tests.conformance import conform
from tests.service_process import Service, TestAccount, file, running

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SKIPPED = r"^/(readyz|metrics)$"  # they describe the machine; tested in test_operations.py

FEW = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose jobs wait for ever, and whose synchronous requests end at once."""
    with running(tmp_path_factory.mktemp("schemathesis"), worker=False, hold_seconds="0.05", rate_read="100000/second") as service:
        yield service


@pytest.fixture(scope="module")
def account(quiet: Service) -> TestAccount:
    return quiet.account(credits=100_000)


@pytest.fixture(scope="module")
def document(quiet: Service) -> schemathesis.BaseSchema:
    schemathesis.serializer.alias(PIECE, "application/octet-stream")
    return schemathesis.openapi.from_dict(quiet.client.get("/openapi.json").json(), config=SchemathesisConfig()).exclude(path_regex=SKIPPED)


def test_responses_to_generated_requests_match_the_document(
    document: schemathesis.BaseSchema, quiet: Service, account: TestAccount, subtests: pytest.Subtests
) -> None:
    for found in document.get_all_operations():
        operation = found.ok()
        with subtests.test(operation.label):
            asked(operation, quiet, account)


def test_responses_to_an_operator_match_the_document(document: schemathesis.BaseSchema, quiet: Service, subtests: pytest.Subtests) -> None:
    account = quiet.account()
    operator = replace(account, key=quiet.core.accounts.create_key(account.account, {Scope.ADMIN}).key)
    for found in document.include(path_regex="^/v1/admin/").get_all_operations():
        operation = found.ok()
        with subtests.test(operation.label):
            asked(operation, quiet, operator)


def test_the_long_run_asks_each_operation_and_finds_what_the_document_does_not_say(quiet: Service) -> None:
    paths = quiet.client.get("/openapi.json").json()
    told = conform(quiet, paths, 60, 1, "/v1/batches", wait_seconds=0)
    assert (told.requests, told.wrong, {"200", "401", "404"} <= told.statuses.keys()) == (60, [], True)
    for path in paths["paths"].values():
        for operation in path.values():
            operation["responses"].pop("404", None)
    silent = conform(quiet, paths, 60, 1, "/v1/batches", wait_seconds=0)
    assert any("404 UndefinedStatusCode" in kind for kind in silent.kinds)


def test_answers_that_no_generated_request_gets_are_documented_too(quiet: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    account = quiet.account()
    paths = quiet.client.get("/openapi.json").json()["paths"]
    detection = quiet.client.post("/v1/jobs", headers=account.bearer, json={"source_url": quiet.video_url(), "kind": "detect"}).json()["id"]
    early = quiet.client.post("/v1/jobs", headers=account.bearer, json={"detection": detection})
    quiet.core.accounts.limit(account.account, AccountLimits(storage_bytes=0))
    full = quiet.client.post("/v1/jobs", headers=account.bearer, files={"file": ("clip.mp4", file("marked")[0])})
    assert [answer.status_code for answer in (early, full)] == [409, 507]
    assert {"409", "507"} <= paths["/v1/jobs"]["post"]["responses"].keys()
    monkeypatch.setattr(body_pace, "GRACE_SECONDS", 0.2)
    operator = quiet.core.accounts.create_key(quiet.account().account, {Scope.ADMIN}).key
    for path, operations in paths.items():
        for method, operation in operations.items():
            if path.startswith("/v1/") and "application/json" in operation.get("requestBody", {}).get("content", {}):
                key = operator if "/admin/" in path else account.key
                filled = re.sub(r"\{account_id\}", str(account.id), path).replace("{job_id}", detection)
                assert slow_body(quiet, method.upper(), filled, key) == 408, (method, path)
                assert "408" in operation["responses"], (method, path)


def slow_body(service: Service, method: str, path: str, key: str) -> int:
    """The status that a body gets of which only the first byte arrives."""
    url = httpx.URL(service.url)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 9"
    with socket.create_connection((url.host, url.port or 0), 60) as line:
        line.sendall(f"{head}\r\n\r\n{{".encode())
        return int(line.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(("path", "status"), [("/v1/jobs/", 200), ("/docs/", 404), ("/healthz/", 404), ("/api/v1/credits/", 405)])
def test_a_slash_too_many_leads_to_no_host_that_the_request_names(quiet: Service, path: str, status: int) -> None:
    answer = quiet.client.get(path, headers={"Host": "elsewhere.example", **quiet.account().bearer})
    assert answer.status_code == status
    assert "location" not in answer.headers


def asked(operation: schemathesis.APIOperation[Any, Any, Any, Any], quiet: Service, account: TestAccount) -> None:
    """Call one operation with several generated requests, most with a valid key."""

    @FEW
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        response = case.call(base_url=quiet.url, headers=account.bearer, timeout=30)
        case.validate_response(response, checks=CHECKS)

    ask()
