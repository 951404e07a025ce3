"""The load benchmark: its client on a real socket, its arithmetic, and a small round of each measurement on real processes."""

import asyncio
import json
import random
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from benchmarks import drain, idle, latency, load, results
from benchmarks.latency import INTERVAL_SECONDS, Exchange, closed, exchanged, paced, summary
from benchmarks.loopback_host import loopback_host
from benchmarks.orders import Customer
from benchmarks.wire import REQUESTS, Answer, connected
from service.jobs.job import Job, JobSpec, State

CUSTOMER = Customer(1, "cp_key", "app", b"secret")
OK = Answer(200, b'{"code": 200, "msg": "success"}')


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a host that echoes POST requests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        echoed = json.dumps({"path": self.path, "key": self.headers.get("Authorization"), "body": json.loads(body)}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(echoed)))
        self.end_headers()
        self.wfile.write(echoed)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def test_one_connection_carries_requests_of_every_dialect(echo: int) -> None:
    async def send_all() -> dict[str, Answer]:
        async with connected(echo) as connection:
            return {
                name: await connection.send(request(CUSTOMER, "http://example.com/a.mp4", "http://example.com/a.png"))
                for name, request in REQUESTS.items()
            }

    answers = asyncio.run(send_all())
    echoed = {name: json.loads(answer.body) for name, answer in answers.items()}
    assert {answer.status for answer in answers.values()} == {201}
    assert echoed["native"] == {"path": "/v1/jobs", "key": "Bearer cp_key", "body": {"source_url": "http://example.com/a.mp4"}}
    assert echoed["kaze"]["body"] == {"image_url": "http://example.com/a.png"}
    assert "app_key=app&" in echoed["aidge"]["path"]


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (OK, True),
        (Answer(201, b'{"id": "job_1"}'), True),
        (Answer(200, b'{"code": 0, "message": "success"}'), True),
        (Answer(200, b'{"code": "0", "success": true, "resCode": 200}'), True),
        (Answer(200, b'{"code": "501", "success": false, "resCode": 501}'), False),
        (Answer(200, b'{"code": 402, "msg": "no"}'), False),
        (Answer(429, b'{"code": 429}'), False),
        (Answer(500, b"oh"), False),
    ],
)
def test_acceptance_is_recognised_in_each_dialect(answer: Answer, accepted: bool) -> None:
    assert answer.accepted is accepted


def test_a_paced_client_orders_once_in_each_interval() -> None:
    moments = list(paced(100.0, 10.0, random.Random(1)))
    assert [int((moment - 100) / INTERVAL_SECONDS) for moment in moments] == list(range(20))


def test_a_late_request_counts_from_when_it_was_due(echo: int) -> None:
    due = latency.clock() - 5
    [late] = asyncio.run(exchanged(echo, lambda: REQUESTS["native"](CUSTOMER, "http://example.com/", ""), iter([due])))
    assert late.ended - late.began > 5


def test_a_closed_client_orders_until_the_end(echo: int) -> None:
    start = latency.clock()
    made = asyncio.run(exchanged(echo, lambda: REQUESTS["native"](CUSTOMER, "http://example.com/", ""), closed(start, 0.1)))
    assert made
    assert all(one.began < start + 0.1 for one in made)
    assert all(before.ended <= after.began for before, after in pairwise(made))


def test_latencies_in_milliseconds_and_cpu_time_per_request() -> None:
    exchanges = [Exchange(number / 10, number / 10 + 0.001 * number, OK) for number in range(100)]
    found = summary([*exchanges, Exchange(9.95, 10.0, Answer(500, b""))], 0.5, 1.25, 0.1)
    assert (found.requests, found.refused, found.seconds) == (101, 1, 10.0)
    assert (found.p50_ms, found.most_ms) == (50.0, 99.0)
    assert found.p95_ms == pytest.approx(95, abs=1)
    assert found.api_cpu_ms == pytest.approx(1000 * 0.5 * 10 / 101, abs=0.1)


def job(account_id: int, started_ms: int, state: State = State.SUCCEEDED) -> Job:
    return Job(
        id=f"job_{account_id}_{started_ms}",
        account_id=account_id,
        facade="kie",
        state=state,
        spec=JobSpec("video", source_url="http://example.com/"),
        request={},
        callback_url=None,
        price_credits=1,
        progress_percent=100,
        attempts=1,
        cancel_asked=False,
        created_ms=0,
        updated_ms=0,
        started_ms=started_ms,
        finished_ms=started_ms + 1000,
        failure=None,
        result=None,
        post=None,
    )


def test_a_fair_and_an_unfair_queue_are_distinguished() -> None:
    """Account 1 has eight jobs queued before the two of account 2; one job runs per second."""
    in_turns = [job(1, 0), job(2, 1000), job(1, 2000), job(2, 3000), *(job(1, 1000 * second) for second in range(4, 10))]
    in_order = [*(job(1, 1000 * second) for second in range(8)), job(2, 8000), job(2, 9000)]
    fair, unfair = drain.summary(in_turns, 1, 10, 0), drain.summary(in_order, 1, 10, 0)
    assert (fair.lost, fair.per_second, fair.begun_at_turn, unfair.begun_at_turn) == (0, 1.0, 2, 9)
    assert fair.wait_small_seconds == 2 < fair.wait_big_seconds
    assert unfair.wait_small_seconds == 8.5 > unfair.wait_big_seconds
    assert (fair.worst_wait, fair.best_wait) == (1, 1)
    assert (unfair.worst_wait, unfair.best_wait) == (4.25, 0.68)  # 8.5 seconds in place of 2, and 3.5 in place of 5.125


def test_failed_and_missing_jobs_are_lost() -> None:
    found = drain.summary([job(1, 0), job(2, 0), job(2, 5, State.FAILED)], 1, 4, 0)
    assert (found.jobs, found.lost) == (4, 2)


@pytest.mark.slow
def test_a_small_queue_with_a_worker_that_cleans_nothing() -> None:
    with loopback_host() as host, load.fresh(None, stubbed=True, **drain.STUBBED_SETTINGS) as fleet:
        drained = drain.measure(fleet, host, "kie", accounts=3, jobs=9, stubbed=True)
    assert (drained.jobs, drained.lost, drained.charged_wrong) == (9, 0, 0)
    assert drained.worst_wait > 0


@pytest.mark.slow
def test_a_small_queue_and_a_few_orders_on_real_processes() -> None:
    with loopback_host() as host, load.fresh(None, **drain.SETTINGS) as fleet:
        drained = drain.measure(fleet, host, "kaze", accounts=2, jobs=4)
        orders = latency.measure(fleet, host, "kaze", "paced", clients=2, seconds=1)
    assert (drained.jobs, drained.lost, drained.charged_wrong) == (4, 0, 0)
    assert (orders.requests > 0, orders.refused) == (True, 0)
    assert orders.api_cpu_ms > 0


@pytest.mark.slow
def test_an_idle_service_is_measured_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "REST_SECONDS", 0.0)
    load.main(only="idle", path=tmp_path / "load.jsonl")
    found = {record["case"]["start"]: record["figures"] for record in results.read(tmp_path / "load.jsonl")}
    assert set(found) == {"cold", "warm"}
    assert all(0 < figures["ready_seconds"] <= figures["worker_seconds"] for figures in found.values())
    assert all(figures["processes"] == 2 and figures["memory_bytes"] > 50 * 2**20 for figures in found.values())
