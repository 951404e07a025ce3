"""Callbacks of the native API over real HTTP: their signature, how far they are, sending one again, and testing a receiver."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from tests.facades.dialects import Kie
from tests.fixture_host import ReceivedRequest, eventually
from tests.service_process import Service, TestAccount

SECRET = base64.b64decode("test")  # the key of the service under test is whsec_test


def verified(received: ReceivedRequest, *secrets: bytes) -> dict[str, Any]:
    """The event, after checking it as a receiver does that knows Standard Webhooks and one of these secrets."""
    event_id, timestamp = received.headers["webhook-id"], received.headers["webhook-timestamp"]
    assert abs(time.time() - int(timestamp)) < 300
    signed = f"{event_id}.{timestamp}.".encode() + received.body
    expected = ["v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode() for secret in secrets or (SECRET,)]
    assert received.headers["webhook-signature"].split() == expected
    return dict(json.loads(received.body))


def shape(value: Any) -> Any:
    """Names and types."""
    return {name: type(part).__name__ for name, part in value.items()}


def example(service: Service, path: str, method: str, status: str) -> Any:
    operation = service.client.get("/openapi.json").json()["paths"][path][method]
    return operation["responses"][status]["content"]["application/json"]["example"]


def test_a_callback_is_signed_followed_and_sent_again(service: Service) -> None:
    account = service.account()
    body = {"source_url": service.video_url(), "callback_url": service.host.callback("/followed", 200)}
    job_id = service.client.post("/v1/jobs", headers=account.bearer, json=body).json()["id"]
    (first,) = service.host.wait_for_posts(1, "/followed", 120)
    event = verified(first)
    assert (event["id"], event["data"]["id"]) == (first.headers["webhook-id"], job_id)
    path = f"/v1/jobs/{job_id}/callback"
    eventually(lambda: service.client.get(path, headers=account.bearer).json()["outcome"] == "delivered")
    found = service.client.get(path, headers=account.bearer).json()
    assert (found["callback_url"], found["attempts"]) == (body["callback_url"], 1)
    assert shape(found) == shape(example(service, "/v1/jobs/{job_id}/callback", "get", "200"))
    assert [(line["number"], line["delivered"], line["detail"]) for line in found["log"]] == [(1, True, None)]
    again = service.client.post(f"{path}/redeliver", headers=account.bearer)
    assert again.status_code == 202
    assert shape(again.json()) == shape(example(service, "/v1/jobs/{job_id}/callback/redeliver", "post", "202"))
    _, second = service.host.wait_for_posts(2, "/followed", 120)
    assert verified(second) == event
    assert second.headers["webhook-id"] == first.headers["webhook-id"]


def test_a_callback_of_kie_has_both_signatures(service: Service) -> None:
    account, url = service.account(), service.host.callback("/kie-standard")
    task_id = Kie().task(Kie().submit(service, account, "http://127.0.0.1:9/none.mp4", callBackUrl=url))
    (received,) = service.host.wait_for_posts(1, "/kie-standard", 120)
    assert verified(received)["taskId"] == task_id
    assert received.headers["X-Webhook-Signature"]


def test_a_job_without_a_callback_has_none_to_show(service: Service) -> None:
    account = service.account()
    job_id = service.client.post("/v1/jobs", headers=account.bearer, json={"source_url": service.video_url("missing")}).json()["id"]
    service.wait(account, job_id)
    for answer in (
        service.client.get(f"/v1/jobs/{job_id}/callback", headers=account.bearer),
        service.client.post(f"/v1/jobs/{job_id}/callback/redeliver", headers=account.bearer),
        service.client.get(f"/v1/jobs/{job_id}/callback", headers=service.account().bearer),
    ):
        assert answer.status_code == 404


def sent_to(service: Service, account: TestAccount, url: str) -> httpx.Response:
    return service.client.post("/v1/callbacks/test", headers=account.bearer, json={"callback_url": url})


def test_a_receiver_can_be_tested(service: Service) -> None:
    account, url = service.account(), service.host.callback("/tested", 204, 500, 410)
    good, bad, gone = (sent_to(service, account, url).json() for _ in range(3))
    assert shape(good) == shape(example(service, "/v1/callbacks/test", "post", "200"))
    assert [each["delivered"] for each in (good, bad, gone)] == [True, False, False]
    assert "500" in bad["detail"]
    received = service.host.wait_for_posts(3, "/tested")[0]
    event = verified(received)
    assert (event["type"], event["id"]) == ("test", good["event_id"])


def test_a_receiver_within_our_network_is_not_tested(service: Service) -> None:
    answer = sent_to(service, service.account(), "http://169.254.169.254/latest").json()
    assert (answer["delivered"], "not public" in answer["detail"]) == (False, True)
    assert sent_to(service, service.account(), "ftp://example.com/").status_code == 422


def test_an_account_signs_with_its_own_secret_and_changes_it(service: Service) -> None:
    account, url = service.account(), service.host.callback("/own-secret", 204)
    path = "/v1/callbacks/secret"
    assert service.client.get(path, headers=account.bearer).json() == {
        "own": False,
        "secret": None,
        "created_at": None,
        "previous_until": None,
    }
    old, new = (service.client.post(path, headers=account.bearer) for _ in range(2))
    assert (old.status_code, new.status_code, new.headers["cache-control"]) == (201, 201, "no-store")
    assert shape(new.json()) == shape(example(service, path, "post", "201"))
    shown = service.client.get(path, headers=account.bearer).json()
    assert shape(shown | {"previous_until": None}) == shape(example(service, path, "get", "200"))
    assert new.json()["secret"] not in str(shown)
    sent_to(service, account, url)
    keys = [base64.b64decode(made.json()["secret"].removeprefix("whsec_")) for made in (new, old)]
    assert verified(service.host.wait_for_posts(1, "/own-secret")[0], *keys)["type"] == "test"
    assert service.client.delete(path, headers=account.bearer).status_code == 204
    sent_to(service, account, url)
    assert verified(service.host.wait_for_posts(2, "/own-secret")[1])["type"] == "test"
