"""Batches over real HTTP, with a worker: partial failure is visible, one callback, a zip of the results; and what is refused."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.api.batch_zip import Entry, zipped
from service.api.native_models import MAX_BOXES, MAX_PAIRS
from service.api.rates import DETECT, Rates
from service.jobs.batch import MAX_JOBS
from tests.facades.test_callbacks import verified
from tests.fixture_host import eventually
from tests.service_process import JOB_SECONDS, Service, TestAccount, running

JSON = "application/json"
NOWHERE = "http://127.0.0.1:9/clip.mp4"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker: what is submitted waits."""
    with running(tmp_path_factory.mktemp("batches"), worker=False, account_queue_jobs="30") as service:
        yield service


def post(service: Service, account: TestAccount, body: object, path: str = "", **headers: str) -> httpx.Response:
    return service.client.post(f"/v1/batches{path}", headers=account.bearer | headers, json=body)


def get(service: Service, account: TestAccount, path: str) -> httpx.Response:
    return service.client.get(f"/v1/batches{path}", headers=account.bearer)


def sources(count: int) -> dict[str, Any]:
    return {"sources": [{"source_url": NOWHERE, "client_reference": f"clip {number}"} for number in range(count)]}


def looks(count: int) -> dict[str, Any]:
    return sources(count) | {"kind": "detect"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:cleanplate:problem:")


def test_a_batch_from_its_order_to_its_zip(service: Service) -> None:
    account, url = service.account(credits=10), service.host.callback("/batch", 500, 200)
    order = {
        "sources": [
            {"source_url": service.video_url("marked"), "client_reference": "good / one", "metadata": {"n": "1"}},
            {"source_url": service.video_url("missing")},
            {"source_url": service.video_url("image")},
        ],
        "callback_url": url,
        "client_reference": "week 49",
        "rights": "owner",
    }
    created = post(service, account, order)
    assert (created.status_code, created.headers["location"]) == (201, f"/v1/batches/{created.json()['id']}")
    assert service.context.job_service.balance(account.id).held_credits == 3
    path = f"/{created.json()['id']}"
    eventually(lambda: get(service, account, path).json()["state"] == "ended", JOB_SECONDS)
    ended = get(service, account, path).json()
    assert (ended["counts"]["succeeded"], ended["counts"]["failed"], ended["jobs"], ended["credits_used"]) == (2, 1, 3, 2)
    good, bad, image = get(service, account, f"{path}/items").json()["data"]
    assert (good["state"], bad["state"], image["state"]) == ("succeeded", "failed", "succeeded")
    assert (good["client_reference"], good["metadata"]) == ("good / one", {"n": "1"})
    assert bad["error"]["type"] == "urn:cleanplate:problem:fetch-refused"
    answer = get(service, account, f"{path}/result")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        assert found.namelist() == ["0000_good_one.mp4", "0002_image.png", "results.json"]
        assert found.read("0000_good_one.mp4") == service.client.get(good["result_url"]).content
        told = json.loads(found.read("results.json"))
    job = service.client.get(f"/v1/jobs/{good['job_id']}", headers=account.bearer).json()
    assert (job["rights"], job["result"]["url"]) == ("owner", good["result_url"])
    assert [(row["file"], row["state"]) for row in told] == [
        ("0000_good_one.mp4", "succeeded"),
        (None, "failed"),
        ("0002_image.png", "succeeded"),
    ]
    first, second = service.host.wait_for_posts(2, "/batch", 120)
    assert verified(first) == verified(second), "the same event, as the first attempt was refused"
    event = verified(second)
    assert (event["type"], event["data"]) == ("batch.ended", ended)
    eventually(lambda: get(service, account, f"{path}/callback").json()["outcome"] == "delivered")
    again = service.client.post(f"/v1/batches{path}/callback/redeliver", headers=account.bearer)
    assert again.status_code == 202
    assert verified(service.host.wait_for_posts(3, "/batch", 120)[2]) == event


def test_a_batch_larger_than_the_accounts_room_waits_and_is_cancelled_whole(quiet: Service) -> None:
    account = quiet.account(credits=100)
    batch = post(quiet, account, sources(100)).json()
    assert batch["counts"] == {"waiting": 80, "queued": 20, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    quiet.core.batches.advance_all()
    path = f"/{batch['id']}"
    assert get(quiet, account, path).json()["counts"] | {"waiting": 70, "queued": 30} == get(quiet, account, path).json()["counts"]
    waiting = get(quiet, account, f"{path}/items?first=98").json()
    assert [(row["number"], row["job_id"], row["state"]) for row in waiting["data"]] == [(98, None, "waiting"), (99, None, "waiting")]
    assert get(quiet, account, f"{path}/items?limit=40").json()["next_first"] == 40
    assert problem(get(quiet, account, f"{path}/result")) == (409, "job-not-ended")
    assert problem(get(quiet, account, f"{path}/callback")) == (404, "callback-missing")
    cancelled = post(quiet, account, None, f"{path}/cancel").json()
    assert (cancelled["state"], cancelled["counts"]["cancelled"], cancelled["credits_used"]) == ("ended", 100, 0)
    balance = quiet.context.job_service.balance(account.id)
    assert (balance.total_credits, balance.held_credits) == (100, 0)


def test_a_thousand_sources_are_accepted_and_one_more_is_not(quiet: Service) -> None:
    account = quiet.account(credits=1000)
    assert problem(post(quiet, account, sources(1001))) == (422, "invalid-fields")
    assert problem(post(quiet, account, {"sources": []})) == (422, "invalid-fields")
    batch = post(quiet, account, sources(1000))
    assert (batch.status_code, batch.json()["jobs"]) == (201, 1000)
    assert problem(post(quiet, account, sources(1))) == (402, "insufficient-credits")


@pytest.mark.parametrize(
    "each",
    [
        {"source_url": NOWHERE, "client_reference": "clip", "metadata": {f"name{number}": "value" for number in range(MAX_PAIRS)}},
        {"source_url": f"{NOWHERE}?{'x' * 2000}", "client_reference": "clip"},
    ],
    ids=["metadata", "long addresses"],
)
def test_a_thousand_sources_may_be_long(quiet: Service, each: dict[str, Any]) -> None:
    options = {"boxes": [{"x1": 0, "y1": 0, "x2": 1, "y2": 1}] * MAX_BOXES}
    batch = post(quiet, quiet.account(credits=1000), {"sources": [each] * MAX_JOBS} | options)
    assert (batch.status_code, batch.json().get("jobs")) == (201, MAX_JOBS), batch.text


def test_the_body_of_a_batch_is_limited(quiet: Service) -> None:
    account = quiet.account()
    assert problem(post(quiet, account, sources(1) | {"name": "x" * 2**22})) == (413, "too-large")
    assert problem(post(quiet, account, {"sources": [[]] * 70_000})) == (400, "parameter-error")


def test_a_repeated_order_is_the_same_batch(quiet: Service) -> None:
    account, key = quiet.account(), {"Idempotency-Key": "week 49"}
    first, again = (post(quiet, account, sources(2), **key) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 200, "true")
    assert again.json() == first.json()
    assert problem(post(quiet, account, sources(3), **key)) == (422, "idempotency-key-reused")
    assert len(quiet.context.job_service.jobs(account.id, 10)) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sources": [{"source_url": "ftp://example.com/a"}]}, "sources.0.source_url"),
        ({"sources": [{"source_url": NOWHERE}, {"source_url": "https://www.sora.com/"}]}, "sources.1.source_url"),
        ({"sources": [{"source_url": NOWHERE, "callback_url": NOWHERE}]}, "sources.0.callback_url"),
        ({"sources": [{"source_url": NOWHERE}], "detect": False}, "detect"),
        ({"sources": [{"source_url": NOWHERE}], "source_url": NOWHERE}, "source_url"),
    ],
)
def test_a_batch_with_a_fault_says_where_and_orders_nothing(quiet: Service, body: dict[str, Any], field: str) -> None:
    account = quiet.account()
    answer = post(quiet, account, body)
    assert problem(answer) == (422, "invalid-fields")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert get(quiet, account, "").json()["data"] == []


def test_detections_count_each_towards_their_limit(quiet: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet.context.rates, "_limits", Rates({DETECT: "3/hour"})._limits)
    account, key = quiet.account(), {"Idempotency-Key": "week 49"}
    first = post(quiet, account, looks(2), **key)
    assert (first.status_code, first.headers["ratelimit"]) == (201, '"detect";r=1;t=3600')
    refused = post(quiet, account, looks(2))
    assert problem(refused) == (429, "rate-limited")
    assert (int(refused.headers["retry-after"]) > 3500, refused.headers["ratelimit"].partition(";t")[0]) == (True, '"detect";r=1')
    assert post(quiet, account, looks(1)).status_code == 201, "what is refused does not count"
    again = post(quiet, account, looks(2), **key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"]), "nor does what is repeated"


def test_more_detections_than_the_limit_are_never_accepted(quiet: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet.context.rates, "_limits", Rates({DETECT: "3/hour"})._limits)
    account = quiet.account()
    refused = post(quiet, account, looks(4))
    assert (problem(refused), "retry-after" in refused.headers) == ((422, "invalid-fields"), False)
    assert [error["field"] for error in refused.json()["errors"]] == ["sources"]
    assert post(quiet, account, looks(3)).status_code == 201


def test_detections_that_find_no_room_do_not_count(quiet: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet.context.rates, "_limits", Rates({DETECT: "3/hour"})._limits)
    account = quiet.account(credits=100)
    batch = post(quiet, account, sources(100)).json()
    quiet.core.batches.advance_all()
    refused = post(quiet, account, looks(3))
    assert (problem(refused), refused.headers["retry-after"]) == ((503, "queue-full"), "30")
    post(quiet, account, None, f"/{batch['id']}/cancel")
    assert post(quiet, account, looks(3)).status_code == 201


def test_batches_are_listed_and_belong_to_their_account(quiet: Service) -> None:
    account, other = quiet.account(), quiet.account()
    made = sorted((post(quiet, account, sources(1)).json() for _ in range(3)), key=lambda batch: batch["id"], reverse=True)
    page = get(quiet, account, "?limit=2").json()
    rest = get(quiet, account, f"?limit=2&before={page['next_before']}").json()
    assert (page["data"] + rest["data"], rest["next_before"]) == (made, None)
    for path in ("", "/items", "/result", "/callback"):
        assert problem(get(quiet, other, f"/{made[0]['id']}{path}")) == (404, "unknown-job")
    assert problem(post(quiet, other, None, f"/{made[0]['id']}/cancel")) == (404, "unknown-job")


def test_every_example_of_batches_is_true(quiet: Service) -> None:
    paths = quiet.client.get("/openapi.json").json()["paths"]
    account = quiet.account()

    def example(path: str, method: str, status: str = "200") -> Any:
        return paths[f"/v1/batches{path}"][method]["responses"][status]["content"][JSON]["example"]

    created = post(quiet, account, paths["/v1/batches"]["post"]["requestBody"]["content"][JSON]["example"])
    assert created.status_code == 201
    assert set(created.json()) == set(example("", "post", "201"))
    path = f"/{created.json()['id']}"
    assert set(get(quiet, account, path).json()) == set(example("/{batch_id}", "get"))
    assert set(get(quiet, account, f"{path}/items").json()["data"][0]) == set(example("/{batch_id}/items", "get")["data"][0])
    assert set(get(quiet, account, "").json()["data"][0]) == set(example("", "get")["data"][0])
    assert set(post(quiet, account, None, f"{path}/cancel").json()) == set(example("/{batch_id}/cancel", "post"))


def test_a_zip_is_made_in_flat_memory() -> None:
    part, parts = bytes(2**20), 40
    tracemalloc.start()
    try:
        sent = sum(len(piece) for piece in zipped(Entry(f"{number}.mp4", (part for _ in range(parts))) for number in range(2)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > 2 * parts * len(part)
    assert peak_bytes < 8 * len(part)
