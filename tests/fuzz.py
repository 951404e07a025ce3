"""Sends generated requests to every endpoint: none may be answered with an internal error, and none after more than a second.

    python -m tests.fuzz                        # 20,000 requests: half from the OpenAPI document, half of arbitrary bytes
    python -m tests.fuzz --requests 500 --seed 7

Prints what was wrong and appends a line to results/fuzz.jsonl. A slow request is sent again: only one that is slow each time counts, as the
machine may have been busy. The log counts too: an unexpected error that a dialect renders with status 200 is an error there.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import schemathesis
import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from benchmarks import results
from benchmarks.fleet import Fleet
from benchmarks.machine import RESULTS, stamp
from benchmarks.orders import Customer

SLOW_SECONDS = 1.0
TRIES = 3  # of a slow request
TIMEOUT_SECONDS = 60.0
CREDITS = 10**6
SETTINGS = {"hold_seconds": "0.05", "log_format": "json", "account_queue_jobs": str(10**6), "total_queue_jobs": str(10**6)}
BODY_BYTES = 4096
KINDS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "image/png", "")
WORDS = (
    "api_key",
    "video_url",
    "taskId",
    "task_id",
    "paramJson",
    "image_base64",
    "fileUrl",
    "uploadPath",
    "options",
    "file",
    "sign",
    "cursor",
)


@dataclass
class Findings:
    """`statuses`: answers by status. `broken`: those of 500 and more, and requests without an answer. `slow`: over a second, each time."""

    requests: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    errors_logged: int = 0
    slowest_seconds: float = 0.0

    def count(self, status: str) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


def main(
    requests: Annotated[int, typer.Option(min=2, help="Number of requests.")] = 20_000,
    seed_number: Annotated[int | None, typer.Option("--seed", help="Repeats a run; default: another each time.")] = None,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "fuzz.jsonl",
) -> None:
    """Run, print and append the findings; exit with 1 if anything was wrong."""
    stamped, number = stamp(), random.randrange(2**31) if seed_number is None else seed_number
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, Fleet.running(Path(folder), **SETTINGS) as fleet:
        findings = fuzz(fleet, requests, number)
    results.append(path, {"requests": requests, "seed": number}, asdict(findings), stamped)
    typer.echo(json.dumps(asdict(findings), indent=1))
    raise typer.Exit(bool(findings.broken or findings.slow or findings.errors_logged))


def fuzz(fleet: Fleet, requests: int, number: int) -> Findings:
    """Send so many requests, with the key of an account that has credits or with none."""
    findings = Findings()
    customer = Customer.new(fleet.core, "fuzz", CREDITS)
    document = fleet.client.get("/openapi.json").json()
    schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document, config=SchemathesisConfig()).get_all_operations()]
    each = max(1, requests // 2 // len(operations))
    for operation in operations:
        _generate(each, number, operation.as_strategy(), lambda case: _call(case, fleet, customer, findings))
    paths = sorted(document["paths"])
    _generate(requests - each * len(operations), number, raw_requests(paths, customer.key), lambda raw: _send(raw, fleet, findings))
    findings.errors_logged = sum('"level": "error"' in line for part in fleet.parts for line in part.log.read_text().splitlines())
    return findings


def _generate(examples: int, number: int, strategy: st.SearchStrategy[Any], use: Callable[[Any], None]) -> None:
    """Call `use` with so many examples."""

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(example: Any) -> None:
        use(example)

    run()


@dataclass(frozen=True)
class Raw:
    """A request of arbitrary parts."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


def raw_requests(paths: list[str], key: str) -> st.SearchStrategy[Raw]:
    """Requests for known paths, nearly known and arbitrary ones, with arbitrary queries, headers and bodies."""
    text = st.text(max_size=60)
    name = st.sampled_from(WORDS) | text
    known = st.sampled_from(paths).map(lambda path: path.replace("{job_id}", "job_1").replace("{key}", "jobs/1/clean.mp4"))
    path = known | st.builds(lambda start, end: f"{start}/{end}", known, text) | text.map(lambda end: f"/{end}")
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | text,
        lambda inner: st.lists(inner) | st.dictionaries(name, inner),
        max_leaves=20,
    )
    json_body = st.dictionaries(name, json_value, max_size=8).map(lambda body: json.dumps(body).encode())
    part = st.builds(
        lambda field_name, value: f'--b\r\nContent-Disposition: form-data; name="{field_name}"\r\n\r\n{value}\r\n'.encode(errors="replace"),
        name,
        text,
    )
    form = st.lists(part, max_size=4).map(lambda parts: b"".join(parts) + b"--b--\r\n")
    header_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    headers = st.fixed_dictionaries(
        {"Content-Type": st.sampled_from(KINDS)},
        optional={
            "Authorization": st.sampled_from([f"Bearer {key}", key, "Bearer "]) | header_value,
            "Idempotency-Key": header_value,
            "Last-Event-ID": header_value,
            "Range": header_value,
            "X-Request-ID": header_value,
            "Accept": header_value,
        },
    )
    return st.builds(
        Raw,
        method=st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        path=path,
        query=st.lists(st.tuples(name, text), max_size=5),
        headers=headers,
        body=st.binary(max_size=BODY_BYTES) | json_body | form,
    )


def _call(case: Any, fleet: Fleet, customer: Customer, findings: Findings) -> None:
    """Send a case that the document describes."""
    headers = {"Authorization": f"Bearer {customer.key}"}
    judge(
        lambda: case.call(base_url=fleet.url, headers=headers, timeout=TIMEOUT_SECONDS).status_code,
        lambda: case.as_curl_command(headers),
        findings,
    )


def _send(raw: Raw, fleet: Fleet, findings: Findings) -> None:
    """Send a request of arbitrary parts."""

    def status() -> int:
        with fleet.client.stream(
            raw.method,
            raw.path,
            params=raw.query,
            headers=raw.headers,
            content=raw.body,
            timeout=TIMEOUT_SECONDS,
        ) as answer:
            return answer.status_code

    judge(status, lambda: str(raw)[:500], findings)


def judge(status_of: Callable[[], int], description: Callable[[], str], findings: Findings) -> None:
    """Send a request, again while it is slow, and note what was wrong."""
    findings.requests += 1
    times = []
    for _ in range(TRIES):
        began = time.monotonic()
        try:
            status = str(status_of())
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):  # this client cannot send it
            findings.count("unsent")
            return
        except Exception as error:  # of either client's library
            status = type(error).__name__
        times.append(time.monotonic() - began)
        if times[-1] <= SLOW_SECONDS:
            break
    findings.count(status)
    findings.slowest_seconds = round(max(findings.slowest_seconds, min(times)), 3)
    if not status.isdecimal() or int(status) >= 500:
        findings.broken.append(f"{status} {description()}")
    if min(times) > SLOW_SECONDS:
        findings.slow.append(f"{min(times):.2f} s {description()}")


if __name__ == "__main__":
    typer.run(main)
