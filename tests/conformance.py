"""Sends requests generated from the OpenAPI document to every endpoint: no answer may be an error, or one that it does not describe.

    python -m tests.conformance                              # 20,000 requests to a service with a worker
    python -m tests.conformance --requests 900 --seed 7 --only /v1/admin

Customers, operators and strangers ask. Half of the requests name jobs, batches, uploads, accounts and keys that exist, and then those to
aidge and savesora carry true signatures and keys.
Prints what was wrong and appends a line to results/conformance.jsonl.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Protocol

import httpx
import requests
import schemathesis
import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from benchmarks import results
from benchmarks.fleet import Fleet, within
from benchmarks.loopback_host import files
from benchmarks.machine import RESULTS, stamp
from benchmarks.orders import Customer
from service.api.aidge_sign import sign_v2
from service.core import Core
from service.jobs.keys import Scope

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
UNLIMITED = "1000000/second"  # else most requests are answered by a limit alone
SETTINGS = {
    "hold_seconds": "0.05",
    "log_format": "json",
    "account_queue_jobs": str(10**6),
    "total_queue_jobs": str(10**6),
    "account_open_uploads": str(10**6),
    "rate_wrong_keys": UNLIMITED,
    "rate_detect": UNLIMITED,
}
TIMEOUT_SECONDS = 60.0
READY_SECONDS = 300.0  # for the one job that all requests may name, on a machine that others fill
CREDITS = 10**7
LOW_ACCOUNTS = 20  # nobody's: generated account ids are mostly small, and may not ban who asks
USES = 25  # requests until what they name is made anew, as they delete it
NOWHERE = "http://127.0.0.1:1/clip.mp4"
CALLERS = ("customer", "customer", "customer", "operator", "nobody")
INTERNAL = ("500", "1100", "5001")  # what dialects answer with status 200 where something is wrong with us
KEPT = 20  # findings of a kind that are kept in full


class Target(Protocol):
    """A running service."""

    url: str
    core: Core
    client: httpx.Client


@dataclass
class Findings:
    """`wrong`: answers that the document does not describe, with their requests; `kinds`: how many of each operation."""

    requests: int = 0
    operations: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)  # by the code in a dialect's body
    kinds: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    errors_logged: int = 0

    def note(self, kind: str, message: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if self.kinds[kind] <= KEPT:
            self.wrong.append(f"{kind}: {message}")


def main(
    wanted: Annotated[int, typer.Option("--requests", min=1, help="Number of requests.")] = 20_000,
    seed_number: Annotated[int | None, typer.Option("--seed", help="Repeats a run; default: another each time.")] = None,
    only: Annotated[str, typer.Option(help="Only paths that begin like this.")] = "/",
    database: Annotated[str, typer.Option(help="URL of an empty PostgreSQL database; default: SQLite.")] = "",
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "conformance.jsonl",
) -> None:
    """Run, print and append the findings; exit with 1 if anything was wrong."""
    stamped, number = stamp(), random.randrange(2**31) if seed_number is None else seed_number
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder, Fleet.running(Path(folder), database or None, **SETTINGS) as fleet:
        findings = conform(fleet, fleet.client.get("/openapi.json").json(), wanted, number, only)
        logged = [line for part in fleet.parts for line in part.log.read_text().splitlines() if '"level": "error"' in line]
    findings.errors_logged = len(logged)
    kind = "postgresql" if database else "sqlite"
    results.append(path, {"requests": wanted, "seed": number, "only": only, "database": kind}, asdict(findings), stamped)
    typer.echo("\n".join((json.dumps(asdict(findings), indent=1), *logged[:KEPT])))
    raise typer.Exit(bool(findings.wrong or findings.errors_logged))


def conform(
    target: Target, document: dict[str, Any], wanted: int, number: int, only: str = "/", wait_seconds: float = READY_SECONDS
) -> Findings:
    """Send so many requests, equally many to each operation of the document. `wait_seconds`: for a first job to finish."""
    schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [operation for operation in operations if operation.path.startswith(only)]
    findings, caller = Findings(operations=len(operations)), Caller(target, wait_seconds)
    for position, operation in enumerate(operations):
        share = wanted * (position + 1) // len(operations) - wanted * position // len(operations)
        for part, first in enumerate(range(0, share, USES)):
            named = caller.named()
            _generate(operation, min(USES, share - first), number + 1000 * part, caller, named, findings)
    return findings


def _generate(operation: Any, examples: int, number: int, caller: "Caller", named: "Named", findings: Findings) -> None:
    """Send so many generated requests of an operation."""
    sent = count()

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(), st.sampled_from(CALLERS), st.booleans())
    def ask(case: Any, who: str, names_known: bool) -> None:
        if next(sent) < examples:
            caller.ask(case, who, named if names_known else None, findings)

    ask()


@dataclass(frozen=True)
class Named:
    """What a request may name: by parameter, ids that exist; and an operator's key."""

    ids: Mapping[str, list[Any]]
    operator_key: str


class Caller:
    """Sends requests as a customer with a finished job, as an operator, or as nobody."""

    def __init__(self, target: Target, wait_seconds: float) -> None:
        """`wait_seconds`: at most, for the job to finish."""
        self._target = target
        self._session = requests.Session()
        name = str(time.time_ns())
        for number in range(LOW_ACCOUNTS):
            target.core.accounts.create(f"low {name} {number}")
        self._customer = Customer.new(target.core, f"conformance {name}", CREDITS)
        self._bearer = {"Authorization": f"Bearer {self._customer.key}"}
        self._done = self._made("/v1/jobs", files={"file": ("clip.mp4", files()["marked.mp4"])})["id"]
        within(wait_seconds, lambda: target.client.get(f"/v1/jobs/{self._done}", headers=self._bearer).json()["finished_at"])

    def named(self) -> Named:
        """New things to name."""
        core, name = self._target.core, str(time.time_ns())
        job = self._made("/v1/jobs", json={"source_url": NOWHERE})["id"]
        batch = self._made("/v1/batches", json={"sources": [{"source_url": NOWHERE}]})["id"]
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "4"}
        begun = self._target.client.post("/v1/uploads/resumable", headers=self._bearer | tus).raise_for_status()
        account, operator = core.accounts.create(f"other {name}"), core.accounts.create(f"operator {name}")
        link = self._target.client.get(f"/v1/jobs/{self._done}/result", headers=self._bearer).headers.get("location", "")
        ids = {
            "job_id": [job, self._done],
            "batch_id": [batch],
            "subject_id": [job, batch, self._done],
            "upload_id": [begun.headers.get("location", "").rpartition("/")[2]],
            "account_id": [account.id],
            "key_id": [core.accounts.create_key(account, {Scope.SUBMIT}).id],
            "key": [link.partition("/files/")[2].partition("?")[0]],
        }
        return Named(ids, core.accounts.create_key(operator, {Scope.ADMIN}).key)

    def ask(self, case: Any, who: str, named: Named | None, findings: Findings) -> None:
        """Send a generated request and compare the answer with the document."""
        is_operators = "/v1/admin" in case.operation.path
        key = self._customer.key
        if named is not None and (who == "operator" or is_operators):
            key = named.operator_key
        headers = {} if who == "nobody" else {"Authorization": f"Bearer {key}"}
        if named is not None:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = named.ids[name][findings.requests % len(named.ids[name])]
            self._sign(case)
        findings.requests += 1
        try:
            answer = case.call(base_url=self._target.url, headers=headers, session=self._session, timeout=TIMEOUT_SECONDS)
        except Exception as error:  # of the client's library
            findings.note(f"{case.operation.label} {type(error).__name__}", f"{error} {case.as_curl_command(headers)[:500]}")
            return
        findings.statuses[str(answer.status_code)] = findings.statuses.get(str(answer.status_code), 0) + 1
        for code in _dialect_codes(answer):
            findings.answers[code] = findings.answers.get(code, 0) + 1
            if code in INTERNAL:
                findings.note(f"{case.operation.label} code {code}", f"{answer.text[:300]} {case.as_curl_command(headers)[:800]}")
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            for each in failure.exceptions if isinstance(failure, FailureGroup) else [failure]:
                kind = f"{case.operation.label} {answer.status_code} {type(each).__name__}"
                findings.note(kind, f"{str(each)[:500]} {case.as_curl_command(headers)[:800]}")

    def _sign(self, case: Any) -> None:
        """The true signature or key of the customer, where it belongs into the request itself."""
        if "/ai/video" in case.operation.path:
            timestamp = str(int(time.time() * 1000))
            sign = sign_v2(self._customer.secret, timestamp)
            true = {"app_key": self._customer.signer, "timestamp": timestamp, "sign": sign, "sign_method": "sha256", "sign_ver": "v2"}
            case.query = {**(case.query or {}), **true}
        elif case.operation.path in ("/api/v1/download", "/api/v1/credits") and isinstance(case.body, dict):
            case.body["api_key"] = self._customer.key

    def _made(self, path: str, **request: Any) -> dict[str, Any]:
        answer = self._target.client.post(path, headers=self._bearer, **request)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _dialect_codes(answer: Any) -> Iterator[str]:
    """The code in the body of an answer with status 200."""
    if answer.status_code == 200 and answer.headers.get("content-type", [""])[0].startswith("application/json"):
        body = answer.json()
        if isinstance(body, dict) and "code" in body:
            yield str(body.get("resCode", body["code"]))


if __name__ == "__main__":
    typer.run(main)
