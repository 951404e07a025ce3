"""The native API over real HTTP, as clients see it; the tests do the worker's part."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from service import errors
from service.api import native_docs, native_events
from service.api.cursor import Cursor
from service.api.job_watcher import POLL_SECONDS
from service.api.native import FACADE, callback
from service.api.native_report import EXAMPLE, ReportView
from service.api.native_views import AccountView, JobPage, JobView
from service.api.rates import DETECT, Rates
from service.errors import FetchRefused, TooLong
from service.jobs import store
from service.jobs.database import now_ms
from service.jobs.job import Job, JobSpec, NewJob, State, new_id
from service.outside.post import signature
from service.timed_box import TimedBox
from tests.service_process import Service, file, serving
from tests.workerless_server import ACCOUNT_WAITS, CLEAN, PATIENCE_SECONDS, TOTAL_WAITS, Customer, WorkerlessServer, workerless_server

VIDEO = "http://example.com/clip.mp4"
MP4 = b"\x00\x00\x00\x18ftypmp42 a video"
PNG = b"\x89PNG\r\n\x1a\n a picture"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("native"), FACADE) as server:
        yield server


@pytest.fixture
def customer(server: WorkerlessServer) -> Customer:
    return server.customer(credits=10)


def create(server: WorkerlessServer, customer: Customer, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return server.client.post("/v1/jobs", headers=customer.bearer | (headers or {}), json={"source_url": VIDEO} | body)


def upload(
    server: WorkerlessServer, customer: Customer, options: str = "{}", headers: dict[str, str] | None = None, **files: bytes
) -> httpx.Response:
    parts = {name: (f"{name}.bin", io.BytesIO(data)) for name, data in files.items()}
    return server.client.post("/v1/jobs", headers=customer.bearer | (headers or {}), data={"options": options}, files=parts)


def get(server: WorkerlessServer, customer: Customer, path: str, **headers: str) -> httpx.Response:
    return server.client.get(path, headers=customer.bearer | headers)


def newest(server: WorkerlessServer, customer: Customer) -> Job:
    return server.job_of(customer)


def assert_problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:cleanplate:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


# The life of a job.


def test_a_job_from_a_url_to_its_result(server: WorkerlessServer, customer: Customer) -> None:
    created = create(server, customer)
    assert created.status_code == 201
    job = created.json()
    assert job["state"] == "queued"
    assert job["source_url"] == VIDEO
    assert created.headers["location"] == f"/v1/jobs/{job['id']}"
    assert get(server, customer, created.headers["location"]).json() == job

    server.start(job["id"])
    assert get(server, customer, f"/v1/jobs/{job['id']}").json()["state"] == "cleaning"
    assert_problem(get(server, customer, f"/v1/jobs/{job['id']}/result"), 409, "job-not-ended")

    server.succeed(job["id"])
    done = get(server, customer, f"/v1/jobs/{job['id']}").json()
    assert (done["state"], done["progress_percent"], done["credits_used"], done["error"]) == ("succeeded", 100, 1, None)
    assert server.client.get(done["result"]["url"]).content == CLEAN
    redirect = get(server, customer, f"/v1/jobs/{job['id']}/result")
    assert (redirect.status_code, redirect.headers["location"]) == (303, done["result"]["url"])
    downloaded = server.client.get(redirect.headers["location"])
    assert (downloaded.content, downloaded.headers["content-disposition"]) == (CLEAN, 'inline; filename="clip_clean.mp4"')


def test_a_failed_job_has_its_reason_and_is_refunded(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()
    server.fail(job["id"], TooLong("the video lasts 400 s, the limit is 360 s"))
    failed = get(server, customer, f"/v1/jobs/{job['id']}").json()
    assert (failed["state"], failed["credits_used"], failed["result"]) == ("failed", 0, None)
    assert failed["error"] == assert_problem(get(server, customer, f"/v1/jobs/{job['id']}/result"), 422, "too-long")
    assert get(server, customer, "/v1/account").json()["total_credits"] == 10


def test_the_account_shows_held_and_spent_credits(server: WorkerlessServer, customer: Customer) -> None:
    first, second = (create(server, customer).json()["id"] for _ in range(2))
    server.succeed(first)
    account = get(server, customer, "/v1/account").json()
    assert (account["total_credits"], account["held_credits"], account["spent_credits"]) == (8, 1, 1)
    server.client.post(f"/v1/jobs/{second}/cancel", headers=customer.bearer)
    assert get(server, customer, "/v1/account").json()["held_credits"] == 0


def test_a_job_shows_the_declared_rights(server: WorkerlessServer, customer: Customer) -> None:
    assert create(server, customer).json()["rights"] is None
    assert create(server, customer, rights="licensed").json()["rights"] == "licensed"
    uploaded = upload(server, customer, json.dumps({"rights": "owner"}), file=MP4)
    assert uploaded.json()["rights"] == "owner"
    assert newest(server, customer).rights == "owner"
    server.accounts.declare(customer.account, "licensed", None)
    assert create(server, customer).json()["rights"] == "licensed"
    assert get(server, customer, "/v1/account").json()["rights"] == "licensed"
    assert_problem(create(server, customer, rights="stolen"), 422, "invalid-fields")


def test_a_waiting_job_is_cancelled_at_once(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()
    cancelled = server.client.post(f"/v1/jobs/{job['id']}/cancel", headers=customer.bearer)
    assert cancelled.status_code == 200
    assert cancelled.json()["state"] == "cancelled"
    assert_problem(get(server, customer, f"/v1/jobs/{job['id']}/result"), 409, "job-cancelled")
    assert server.client.post(f"/v1/jobs/{job['id']}/cancel", headers=customer.bearer).json() == cancelled.json()


def test_a_running_job_is_asked_to_stop(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()
    server.start(job["id"])
    assert server.client.post(f"/v1/jobs/{job['id']}/cancel", headers=customer.bearer).json()["state"] == "cleaning"
    assert newest(server, customer).cancel_asked


# Reports.


def test_a_report_is_available_as_json_and_as_a_page(server: WorkerlessServer, customer: Customer) -> None:
    job_id = create(server, customer).json()["id"]
    assert_problem(get(server, customer, f"/v1/jobs/{job_id}/report"), 409, "job-not-ended")
    report, page = json.dumps(EXAMPLE).encode(), b"<!doctype html><title>Report</title>"
    succeed_with(server, job_id, {"report_key": (".json", report), "report_page_key": (".html", page)})
    received = get(server, customer, f"/v1/jobs/{job_id}/report")
    assert (received.status_code, received.headers["content-type"], received.content) == (200, "application/json", report)
    shown = server.client.get(get(server, customer, f"/v1/jobs/{job_id}").json()["result"]["report_page_url"])
    assert (shown.content, shown.headers["content-type"]) == (page, "text/html; charset=utf-8")
    assert shown.headers["content-security-policy"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert_problem(get(server, server.customer(), f"/v1/jobs/{job_id}/report"), 404, "unknown-job")

    server.storage.delete_under(f"jobs/{job_id}")
    assert_problem(get(server, customer, f"/v1/jobs/{job_id}/report"), 404, "report-missing")


def test_a_job_without_a_report(server: WorkerlessServer, customer: Customer) -> None:
    older, failed, cancelled = (create(server, customer).json()["id"] for _ in range(3))
    server.succeed(older)
    assert get(server, customer, f"/v1/jobs/{older}").json()["result"]["report_page_url"] is None
    assert_problem(get(server, customer, f"/v1/jobs/{older}/report"), 404, "report-missing")
    server.fail(failed, TooLong("the video lasts 400 s, the limit is 360 s"))
    assert_problem(get(server, customer, f"/v1/jobs/{failed}/report"), 422, "too-long")
    server.client.post(f"/v1/jobs/{cancelled}/cancel", headers=customer.bearer)
    assert_problem(get(server, customer, f"/v1/jobs/{cancelled}/report"), 409, "job-cancelled")


def test_what_a_result_does_not_keep_is_in_the_job(server: WorkerlessServer, customer: Customer) -> None:
    lost = {"what": "gain map (jpeg, 2482 bytes)", "reason": "it may show the mark"}
    whole, lossy = (create(server, customer).json()["id"] for _ in range(2))
    server.succeed(whole)
    result = server.succeed(lossy).result
    assert result is not None
    with server.database.write() as connection:
        store.update(connection, lossy, result=replace(result, not_kept=(lost,)).to_json())
    assert [get(server, customer, f"/v1/jobs/{job_id}").json()["result"]["not_kept"] for job_id in (whole, lossy)] == [[], [lost]]


def succeed_with(server: WorkerlessServer, job_id: str, reports: dict[str, tuple[str, bytes]]) -> None:
    """Do the worker's part, with reports: name of the result's field -> suffix and bytes."""
    result = server.succeed(job_id).result
    assert result is not None
    for name, (suffix, data) in reports.items():
        key = f"jobs/{job_id}/report{suffix}"
        server.storage.put_bytes(key, data, "")
        result = replace(result, **{name: key})
    with server.database.write() as connection:
        store.update(connection, job_id, result=result.to_json())


# Requests.


def test_options_reach_the_job(server: WorkerlessServer, customer: Customer) -> None:
    box = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4, "first_seconds": 1, "last_seconds": 2.5}
    created = create(
        server,
        customer,
        media="image",
        boxes=[box],
        keep=[box],
        reject=["3f9a1c07", "3f9a1c07"],
        mask_url="http://example.com/mask.png",
        classes=["scene_text", "overlay"],
        detect=True,
        remove_audio=True,
        callback_url="http://example.com/done",
        priority=7,
    )
    assert created.status_code == 201
    assert created.json()["callback_url"] == "http://example.com/done"
    assert newest(server, customer).spec == JobSpec(
        media="image",
        source_url=VIDEO,
        mask_url="http://example.com/mask.png",
        boxes=(TimedBox(0.1, 0.2, 0.3, 0.4, 1, 2.5),),
        keep=(TimedBox(0.1, 0.2, 0.3, 0.4, 1, 2.5),),
        reject=("3f9a1c07",),
        classes=("scene_text", "overlay"),
        detect=True,
        remove_audio=True,
    )


@pytest.mark.parametrize(("address", "media"), [("http://example.com/a.PNG?x=1", "image"), ("http://example.com/a", "video")])
def test_the_medium_is_taken_from_the_url(server: WorkerlessServer, customer: Customer, address: str, media: str) -> None:
    assert create(server, customer, source_url=address).json()["media"] == media


def test_a_preview_reaches_the_job(server: WorkerlessServer, customer: Customer) -> None:
    assert create(server, customer, preview={"seconds": 3}).status_code == 201
    assert (newest(server, customer).spec.preview_seconds, newest(server, customer).spec.preview_first_seconds) == (3, 0)
    assert create(server, customer, preview={"seconds": 0.5, "first_seconds": 12.25}).status_code == 201
    assert (newest(server, customer).spec.preview_seconds, newest(server, customer).spec.preview_first_seconds) == (0.5, 12.25)


def test_boxes_replace_detection(server: WorkerlessServer, customer: Customer) -> None:
    assert create(server, customer, boxes=[{"x1": 0, "y1": 0, "x2": 10, "y2": 10}]).status_code == 201
    assert not newest(server, customer).spec.detect


BOX = {"x1": 0, "y1": 0, "x2": 1, "y2": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source_url": None}, "source_url"),
        ({"source_url": "ftp://example.com/clip.mp4"}, "source_url"),
        ({"source_url": "clip.mp4"}, "source_url"),
        ({"source_url": "http://user:word@example.com/clip.mp4"}, "source_url"),
        ({"source_url": "http://example.com/" + "a" * 2048}, "source_url"),
        ({"source_url": "http://example.com/\x00"}, "source_url"),
        ({"mask_url": "mask.png"}, "mask_url"),
        ({"callback_url": "//example.com"}, "callback_url"),
        ({"media": "sound"}, "media"),
        ({"boxes": [BOX | {"x2": 0}]}, "boxes.0"),
        ({"boxes": [BOX, BOX | {"x1": -1}]}, "boxes.1.x1"),
        ({"boxes": [BOX | {"first_seconds": 2, "last_seconds": 1}]}, "boxes.0"),
        ({"boxes": [BOX] * 101}, "boxes"),
        ({"keep": [BOX | {"y2": 0}]}, "keep.0"),
        ({"keep": [BOX] * 101}, "keep"),
        ({"reject": ["3f9a1c0"]}, "reject.0"),
        ({"reject": ["3f9a1c07"] * 1001}, "reject"),
        ({"classes": []}, "classes"),
        ({"classes": ["text"]}, "classes.0"),
        ({"detect": "yes"}, "detect"),
        ({"detect": False}, "detect"),
        ({"priority": 0}, "priority"),
        ({"preview": 3}, "preview"),
        ({"preview": {}}, "preview.seconds"),
        ({"preview": {"seconds": 0}}, "preview.seconds"),
        ({"preview": {"seconds": 1, "first_seconds": -1}}, "preview.first_seconds"),
        ({"preview": {"seconds": 1}, "media": "image"}, "preview"),
        ({"preview": {"seconds": 1}, "kind": "detect"}, "preview"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_an_invalid_field_is_named(server: WorkerlessServer, customer: Customer, body: dict[str, Any], field: str) -> None:
    problem = assert_problem(create(server, customer, **body), 422, "invalid-fields")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert get(server, customer, "/v1/jobs").json()["data"] == []


def test_all_invalid_fields_are_reported_at_once(server: WorkerlessServer, customer: Customer) -> None:
    problem = assert_problem(create(server, customer, source_url="x", priority=0), 422, "invalid-fields")
    assert {error["field"] for error in problem["errors"]} == {"source_url", "priority"}


@pytest.mark.parametrize(
    ("content_type", "content", "status", "kind"),
    [
        ("application/json", b"{", 400, "parameter-error"),
        ("application/json", b"[]", 400, "parameter-error"),
        ("application/json", b'{"boxes":' + b"[" * 17 + b"]" * 17 + b"}", 400, "parameter-error"),
        ("application/json", b" " * (2**20 + 1), 413, "too-large"),
        ("text/plain", b"{}", 415, "unsupported-format"),
        ("multipart/form-data", b"{}", 400, "parameter-error"),
        ("multipart/form-data; boundary=x", b"--y", 400, "parameter-error"),
    ],
)
def test_a_malformed_body(server: WorkerlessServer, customer: Customer, content_type: str, content: bytes, status: int, kind: str) -> None:
    answer = server.client.post("/v1/jobs", headers=customer.bearer | {"Content-Type": content_type}, content=content)
    assert_problem(answer, status, kind)


def test_only_the_accounts_own_files_can_be_sources(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()["id"]
    server.succeed(job)
    link = get(server, customer, f"/v1/jobs/{job}").json()["result"]["url"]
    again = create(server, customer, source_url=link)
    assert again.status_code == 201
    assert again.json()["source_url"] is None
    assert newest(server, customer).spec.source_key == f"jobs/{job}/clean.mp4"
    assert_problem(create(server, server.customer(), source_url=link), 422, "media-address-invalid")


# Uploads.


def test_an_upload_and_its_mask_are_stored_with_the_suffix_of_their_type(server: WorkerlessServer, customer: Customer) -> None:
    created = upload(server, customer, json.dumps({"remove_audio": True}), file=MP4, mask=PNG)
    assert created.status_code == 201
    spec = newest(server, customer).spec
    assert (spec.media, spec.source_url, spec.remove_audio, spec.detect) == ("video", None, True, False)
    assert spec.source_key
    assert spec.mask_key
    assert spec.source_key.startswith(f"uploads/{customer.id}/")
    assert spec.source_key.endswith(".mp4")
    assert spec.mask_key.endswith(".png")
    assert server.storage.get_bytes(spec.source_key) == MP4
    assert server.storage.get_bytes(spec.mask_key) == PNG


def test_a_picture_is_recognised_by_its_bytes(server: WorkerlessServer, customer: Customer) -> None:
    assert upload(server, customer, file=PNG).json()["media"] == "image"


@pytest.mark.parametrize(
    ("options", "files", "status", "kind"),
    [
        ("{}", {"file": b"what is this"}, 415, "not-media"),
        ("{}", {"file": b"GIF89a what is this"}, 415, "unsupported-format"),
        ("{}", {"file": MP4, "mask": b"what is this"}, 415, "not-media"),
        ("{}", {"mask": PNG}, 422, "invalid-fields"),
        ("{}", {"file": MP4, "files": MP4}, 422, "invalid-fields"),
        ('{"detect": false}', {"file": MP4}, 422, "invalid-fields"),
        ('{"source_url": "http://example.com/clip.mp4"}', {"file": MP4}, 422, "invalid-fields"),
        ('{"mask_url": "http://example.com/mask.png"}', {"file": MP4, "mask": PNG}, 422, "invalid-fields"),
        ("{", {"file": MP4}, 400, "parameter-error"),
        ("{}", {"file": MP4 + bytes(2**20 + 2**16)}, 413, "too-large"),
        ("{}", {"file": MP4, "mask": PNG, "more": PNG}, 400, "parameter-error"),
    ],
)
def test_a_refused_upload_stores_nothing(
    server: WorkerlessServer, customer: Customer, options: str, files: dict[str, Any], status: int, kind: str
) -> None:
    assert_problem(upload(server, customer, options, **files), status, kind)
    assert not list(server.storage.list_under(f"uploads/{customer.id}"))


def test_an_upload_without_credits_stores_nothing(server: WorkerlessServer) -> None:
    poor = server.customer(credits=0)
    assert_problem(upload(server, poor, file=MP4), 402, "insufficient-credits")
    assert not list(server.storage.list_under(f"uploads/{poor.id}"))


# The same request again.


def test_a_repeated_request_returns_its_job(server: WorkerlessServer, customer: Customer) -> None:
    key = {"Idempotency-Key": "order 66"}
    first, again = (create(server, customer, key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert get(server, customer, "/v1/account").json()["held_credits"] == 1


def test_an_idempotency_key_belongs_to_one_request_of_one_account(server: WorkerlessServer, customer: Customer) -> None:
    key = {"Idempotency-Key": "order 66"}
    first = create(server, customer, key)
    assert_problem(create(server, customer, key, remove_audio=True), 422, "idempotency-key-reused")
    assert create(server, server.customer(), key).json()["id"] != first.json()["id"]


def test_a_repeated_upload_is_stored_once(server: WorkerlessServer, customer: Customer) -> None:
    key = {"Idempotency-Key": "order 66"}
    first, again = (upload(server, customer, headers=key, file=MP4) for _ in range(2))
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert_problem(upload(server, customer, headers=key, file=MP4 + b"!"), 422, "idempotency-key-reused")
    assert list(server.storage.list_under(f"uploads/{customer.id}")) == [newest(server, customer).spec.source_key]


def test_a_failed_request_can_be_repeated(server: WorkerlessServer, customer: Customer) -> None:
    key = {"Idempotency-Key": "order 66"}
    first = create(server, customer, key).json()["id"]
    server.fail(first, FetchRefused("the host says 404"))
    again = create(server, customer, key)
    assert again.status_code == 201
    assert again.json()["id"] != first


# Authentication.


def test_a_request_without_a_key(server: WorkerlessServer) -> None:
    answer = server.client.post("/v1/jobs", content=b"{")  # the key is checked before the parameters
    assert_problem(answer, 401, "key-missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs?limit=0", "/v1/account", "/v1/jobs/job_1", "/v1/jobs/job_1/events"])
def test_a_request_with_a_wrong_key(server: WorkerlessServer, path: str) -> None:
    answer = server.client.get(path, headers={"Authorization": "Bearer wrong"})
    assert_problem(answer, 401, "key-invalid")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_banned_and_deleted_accounts(server: WorkerlessServer, customer: Customer) -> None:
    server.accounts.set_banned(customer.account, True)
    assert_problem(create(server, customer), 403, "account-banned")
    server.accounts.delete(customer.account)
    assert_problem(create(server, customer), 401, "account-missing")


def test_a_job_is_visible_only_to_its_owner(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()["id"]
    stranger = server.customer()
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/result", "/v1/jobs/job_1", "/v1/jobs/%00"):
        assert_problem(get(server, stranger, path), 404, "unknown-job")
    assert_problem(server.client.post(f"/v1/jobs/{job}/cancel", headers=stranger.bearer), 404, "unknown-job")


def test_too_few_credits(server: WorkerlessServer) -> None:
    problem = assert_problem(create(server, server.customer(credits=0)), 402, "insufficient-credits")
    assert (problem["current_credits"], problem["required_credits"]) == (0, 1)


def test_too_many_requests(server: WorkerlessServer) -> None:
    customer = server.customer(credits=20)
    assert {create(server, customer).status_code for _ in range(20)} == {201}
    answer = create(server, customer)
    assert_problem(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 10


def test_an_estimate_says_the_price_and_what_is_known(server: WorkerlessServer, customer: Customer) -> None:
    def estimated(**body: object) -> dict[str, Any]:
        answer = server.client.post("/v1/estimate", headers=customer.bearer, json=body)
        assert answer.status_code == 200
        return dict(answer.json())

    assert estimated(media="image") == {"credits": 1, "seconds": None, "wait_seconds": None, "measured_jobs": 0}, "there is no worker"
    assert estimated(kind="detect")["credits"] == 0
    assert server.context.job_service.balance(customer.id).held_credits == 0


@pytest.mark.parametrize("body", [{"media": "sound"}, {"frames": 0}, {"frames": "many"}, {"source_url": VIDEO}])
def test_an_invalid_estimate_is_refused(server: WorkerlessServer, customer: Customer, body: dict[str, object]) -> None:
    assert_problem(server.client.post("/v1/estimate", headers=customer.bearer, json=body), 422, "invalid-fields")


def test_jobs_that_only_look_have_a_limit_of_their_own(server: WorkerlessServer) -> None:
    app = FastAPI()
    rates = Rates({DETECT: "2/hour"})
    app.include_router(FACADE.router(replace(server.context, rates=rates)))
    customer = server.customer()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.enter_context(serving(app, listener))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = stack.enter_context(httpx.Client(base_url=url, headers=customer.bearer, timeout=PATIENCE_SECONDS, trust_env=False))
        look, key = {"source_url": VIDEO, "kind": "detect"}, {"Idempotency-Key": "order 7"}
        looks = [client.post("/v1/jobs", json=look, headers=key if first else None) for first in (True, False, False)]
        repeated = client.post("/v1/jobs", json=look, headers=key)
        sent = client.post("/v1/jobs", data={"options": '{"kind": "detect"}'}, files={"file": ("a.mp4", MP4)})
        assert client.post("/v1/jobs", json={"source_url": VIDEO}).status_code == 201
    assert [answer.status_code for answer in looks] == [201, 201, 429]
    assert (repeated.status_code, repeated.json()["id"]) == (200, looks[0].json()["id"])
    assert int(looks[2].headers["retry-after"]) > 3500
    assert sent.status_code == 429
    assert list(server.storage.list_under(f"uploads/{customer.id}")) == [], "the file of a refused request is deleted"


def test_maintenance(server: WorkerlessServer, customer: Customer) -> None:
    answer = server.client.post("/closed/v1/jobs", headers=customer.bearer, json={"source_url": VIDEO})
    assert_problem(answer, 503, "maintenance")
    assert int(answer.headers["retry-after"]) > 0


# Lists.


def test_a_job_is_shown_with_what_is_stored_of_it(server: WorkerlessServer, customer: Customer) -> None:
    late, far = TimedBox(0.1, 0.1, 0.2, 0.2, 0, 90_000), TimedBox(0, 0, 70_000, 9, 1, 90_000, (1, 1, 70_001, 10))
    spec = JobSpec("video", VIDEO, boxes=(late, far), keep=(late,))  # larger than what is accepted today
    job = server.context.job_service.submit(NewJob(new_id("aidge_", now_ms()), customer.id, "aidge", spec))
    listed, found = get(server, customer, "/v1/jobs"), get(server, customer, f"/v1/jobs/{job.id}")
    assert (listed.status_code, found.status_code) == (200, 200)
    assert listed.json()["data"] == [found.json()]
    corners = dict(zip(("x1", "y1", "x2", "y2"), late.corners, strict=True))
    assert found.json()["keep"] == [corners | {"first_seconds": 0, "last_seconds": 90_000, "end": None}]
    assert found.json()["boxes"][1]["end"] == {"x1": 1, "y1": 1, "x2": 70_001, "y2": 10}


def test_pages_show_every_job_once(server: WorkerlessServer, customer: Customer) -> None:
    ids = [submit(server, customer).id for _ in range(10)]  # some in the same millisecond
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = get(server, customer, f"/v1/jobs?limit=3{cursor and f'&cursor={cursor}'}").json()
        seen += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == 10
    assert set(seen) == set(ids)


def test_the_list_contains_jobs_of_all_facades(server: WorkerlessServer, customer: Customer) -> None:
    job = submit(server, customer, "task_")
    assert [each["id"] for each in get(server, customer, "/v1/jobs").json()["data"]] == [job.id]
    assert get(server, customer, f"/v1/jobs/{job.id}").status_code == 200


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=many", "cursor=1", "cursor=1-99999", "cursor=%00"])
def test_an_invalid_cursor(server: WorkerlessServer, customer: Customer, query: str) -> None:
    problem = assert_problem(get(server, customer, f"/v1/jobs?{query}"), 422, "invalid-fields")
    assert [error["field"] for error in problem["errors"]] == [query.partition("=")[0]]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 5))
def test_a_cursor_works_among_jobs_of_the_same_millisecond(moments: list[int], limit: int) -> None:
    jobs = [job_at(number, at_ms) for number, at_ms in enumerate(sorted(moments, reverse=True))]
    seen: list[Job] = []
    place: Cursor | None = Cursor()
    while place is not None:
        before_ms, skipped = place.before_ms, place.seen
        found = [job for job in jobs if before_ms is None or job.created_ms < before_ms][skipped:]
        seen += found[:limit]
        place = Cursor.parse(str(place.after([job.created_ms for job in found[:limit]]))) if len(found) > limit else None
    assert seen == jobs


# Events.


def follow(server: WorkerlessServer, customer: Customer, job_id: str, **headers: str) -> Iterator[dict[str, str]]:
    """A client of server-sent events."""
    with server.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=customer.bearer | headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        while event := dict(line.split(": ", 1) for line in takewhile(bool, lines)):
            yield event


def test_events_report_the_states_of_a_job(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()["id"]
    events = follow(server, customer, job)
    assert json.loads(next(events)["data"])["state"] == "queued"
    assert json.loads(next(events)["data"])["progress_percent"] == 0
    server.start(job)
    assert [json.loads(next(events)["data"])["state"] for _ in range(2)] == ["fetching", "cleaning"]
    with server.database.write() as connection:
        store.update(connection, job, progress_percent=40, step="remove")
    progress = next(events)
    assert progress["event"] == "progress"
    assert json.loads(progress["data"]) == {"progress_percent": 40, "step": "remove", "eta_seconds": None}
    server.succeed(job)
    rest = list(events)
    assert [(event["id"], json.loads(event["data"])["state"]) for event in rest] == [("4", "publishing"), ("5", "succeeded")]


def test_events_resume_where_a_client_disconnected(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()["id"]
    server.start(job)
    server.fail(job, FetchRefused("the host says 404"))
    ids = [event["id"] for event in follow(server, customer, job, **{"Last-Event-ID": "2"})]
    assert ids == ["3", "4"]
    assert get(server, customer, f"/v1/jobs/{job}/events", **{"Last-Event-ID": "4"}).status_code == 204
    assert_problem(get(server, customer, f"/v1/jobs/{job}/events", **{"Last-Event-ID": "x"}), 422, "invalid-fields")


@contextmanager
def open_stream(server: WorkerlessServer, customer: Customer, job_id: str) -> Iterator[Iterator[str]]:
    """A stream that has delivered its first event; its further lines."""
    with server.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=customer.bearer) as answer:
        assert answer.status_code == 200, answer.read()
        lines = answer.iter_lines()
        assert next(lines) == "id: 1"
        yield lines


def test_streams_are_limited_by_account_and_in_total(server: WorkerlessServer, customer: Customer) -> None:
    other, job = server.customer(credits=1), create(server, customer).json()["id"]
    others = create(server, other).json()["id"]
    with ExitStack() as stack:
        for _ in range(ACCOUNT_WAITS):
            stack.enter_context(open_stream(server, customer, job))
        refused = get(server, customer, f"/v1/jobs/{job}/events")
        assert_problem(refused, 429, "rate-limited")
        assert refused.headers["retry-after"] == "10"
        for _ in range(TOTAL_WAITS - ACCOUNT_WAITS):
            stack.enter_context(open_stream(server, other, others))
        assert_problem(get(server, other, f"/v1/jobs/{others}/events"), 503, "queue-full")
        assert get(server, customer, f"/v1/jobs/{job}").status_code == 200
    server.wait_for_silence()
    with open_stream(server, customer, job):
        pass


@pytest.mark.parametrize("end", ["ban", "revoke", "delete"])
def test_a_stream_ends_soon_after_its_key_is_refused(server: WorkerlessServer, customer: Customer, end: str) -> None:
    job = create(server, customer).json()["id"]
    second_key = server.accounts.add_key(customer.account)
    with open_stream(server, customer, job) as lines, open_stream(server, replace(customer, key=second_key), job) as others:
        if end == "ban":
            server.accounts.set_banned(customer.account, True)
        elif end == "revoke":
            server.accounts.revoke_key(customer.key)
        else:
            server.accounts.delete(customer.account)
        for line in lines:  # to the end, long before the first heartbeat
            assert not line.startswith((":", "id:")), line
        if end == "revoke":
            server.start(job)
            assert "id: 2" in others, "the other key is still accepted"
    server.wait_for_silence()


def test_however_many_streams_wait_the_database_is_asked_as_often(server: WorkerlessServer, customer: Customer) -> None:
    job = create(server, customer).json()["id"]
    asked, enough = [], threading.Event()

    def count(*_: object) -> None:
        asked.append(time.monotonic())
        if len(asked) == 4:
            enough.set()

    with ExitStack() as stack:
        for _ in range(ACCOUNT_WAITS):
            next(stack.enter_context(open_stream(server, customer, job)))
        sa.event.listen(sa.Engine, "before_cursor_execute", count)
        stack.callback(sa.event.remove, sa.Engine, "before_cursor_execute", count)
        assert enough.wait(PATIENCE_SECONDS)
    assert asked[3] - asked[0] > POLL_SECONDS / 2, "two statements in each of two looks"


def test_a_silent_stream_sends_heartbeats(server: WorkerlessServer, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_events, "HEARTBEAT_SECONDS", 0.01)
    with open_stream(server, customer, create(server, customer).json()["id"]) as lines:
        assert ": still here" in lines


# Callbacks and the document.


def test_a_job_with_a_worker_from_its_file_to_its_callback(service: Service) -> None:
    account = service.account(credits=1)
    data, _ = file("marked")
    options = json.dumps({"callback_url": service.host.callback("/native-done")})
    created = service.client.post("/v1/jobs", headers=account.bearer, files={"file": ("clip", data)}, data={"options": options})
    assert created.status_code == 201
    job_id = created.json()["id"]
    with service.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=account.bearer) as answer:
        states = [json.loads(line[6:]).get("state") for line in answer.iter_lines() if line.startswith("data: ")]
    assert [state for state in states if state] == ["queued", "cleaning", "publishing", "succeeded"]
    clean = service.client.get(f"/v1/jobs/{job_id}/result", headers=account.bearer, follow_redirects=True)
    assert clean.headers["content-type"] == "video/mp4"
    assert clean.content[4:8] == b"ftyp"

    (received,) = service.host.wait_for_posts(1, "/native-done")
    event = json.loads(received.body)
    job = service.client.get(f"/v1/jobs/{job_id}", headers=account.bearer).json()
    report = ReportView.model_validate(service.client.get(f"/v1/jobs/{job_id}/report", headers=account.bearer).json())
    assert (report.files[0].mark_found, report.files[0].placements[0].matte) == (True, 0)
    page = service.client.get(job["result"]["report_page_url"])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "data:image/jpeg" in page.text
    assert event["type"] == "job.succeeded"
    assert event["data"] | {"result": None} == job | {"result": None}
    assert received.headers["X-Webhook-Signature"] == signature("whsec_test", job_id, int(received.headers["X-Webhook-Timestamp"]))


def test_a_callback_contains_the_job_and_keeps_its_id(server: WorkerlessServer, customer: Customer) -> None:
    job = server.succeed(create(server, customer).json()["id"])
    received = callback(job, server.links, 600)
    assert received.task_id == job.id
    assert received.body["type"] == "job.succeeded"
    assert received.body["created"] == (job.finished_ms or 0) // 1000
    assert received.body["data"]["id"] == job.id
    assert received.body["id"] == callback(job, server.links, 600).body["id"]
    assert received.body["id"] != callback(server.succeed(create(server, customer).json()["id"]), server.links, 600).body["id"]


def test_a_callback_of_a_failed_job_has_its_reason(server: WorkerlessServer, customer: Customer) -> None:
    job = server.fail(create(server, customer).json()["id"], errors.FetchUnavailable("the host does not answer"))
    body = callback(job, server.links, 600).body
    assert body["type"] == "job.failed"
    assert body["data"]["error"]["type"] == "urn:cleanplate:problem:fetch-unavailable"


def test_the_documents_examples_are_true(server: WorkerlessServer, customer: Customer) -> None:
    assert create(server, customer, **native_docs.NEW_JOB).status_code == 201
    for model, example in ((JobView, native_docs.JOB), (JobView, native_docs.DONE), (AccountView, native_docs.ACCOUNT)):
        assert TypeAdapter(model).validate_python(example).model_dump(mode="json") == example
    assert TypeAdapter(ReportView).validate_python(EXAMPLE).model_dump(mode="json") == EXAMPLE
    assert JobPage.model_validate({"data": [native_docs.DONE], "next_cursor": None})


def test_the_document_is_self_contained(server: WorkerlessServer) -> None:
    app = FastAPI()
    app.include_router(FACADE.router(server.context))
    document = json.dumps(app.openapi())
    assert "#/$defs" not in document
    assert all(name in app.openapi()["components"]["schemas"] for name in ("JobView", "ProblemView", "AccountView"))


def submit(server: WorkerlessServer, customer: Customer, prefix: str = "job_") -> Job:
    return server.context.job_service.submit(NewJob(new_id(prefix, 1), customer.id, "kie", JobSpec("video", VIDEO)))


def job_at(number: int, at_ms: int) -> Job:
    spec = JobSpec("video", VIDEO)
    return Job(str(number), 1, "native", State.QUEUED, spec, {}, None, 1, 0, 0, at_ms, at_ms, None, None, None, None, None)
