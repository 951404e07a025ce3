"""Requests generated from the OpenAPI document: no internal error, and no response that the document does not describe.

`python -m tests.conformance` sends many more, to what exists.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from service.api.tus_headers import PIECE
from service.jobs.keys import Scope
from tests.conformance import conform
from tests.service_process import Service, TestAccount, running

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
