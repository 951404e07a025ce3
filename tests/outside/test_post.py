"""Callbacks to a real receiver."""

import base64
import hashlib
import hmac
import time

import pytest

from service.errors import FetchRefused, FetchUnavailable
from service.outside.guard import EgressPolicy
from service.outside.post import ReceiverGone, WebhookKeys, post, signature, signed_headers
from tests.fixture_host import Host

TASK = "task_sora-watermark-remover_1765183831860"
SIGNATURE = "56tgklLK5VWM/Yv3Zq1SAALedmhs5TSwKiorRzBZn8g="


def test_the_signature_matches_the_documented_vector() -> None:
    assert signature("whsec_test", TASK, 1765183900) == SIGNATURE
    assert signed_headers("whsec_test", TASK, 1765183900) == {"X-Webhook-Timestamp": "1765183900", "X-Webhook-Signature": SIGNATURE}


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("whsec_c2VjcmV0IG9mIHRoaXMgdGVzdA==", b"secret of this test"),
        ("c2VjcmV0", b"secret"),
        ("not base64!", b"not base64!"),
        ("whsec_", b"whsec_"),
    ],
)
def test_the_body_is_signed_as_standard_webhooks_say(key: str, secret: bytes) -> None:
    body = '{"type":"job.succeeded","data":{"note":"请"}}'.encode()
    headers = WebhookKeys((key,)).headers("evt_1", TASK, body, 1765183900)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1765183900")
    expected = base64.b64encode(hmac.new(secret, b"evt_1.1765183900." + body, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_while_keys_change_both_sign() -> None:
    old, new = WebhookKeys(("b2xk",)), WebhookKeys(("bmV3",))
    both = WebhookKeys(("bmV3", "b2xk")).headers("evt_1", TASK, b"{}", 1)
    assert both["webhook-signature"].split() == [each.headers("evt_1", TASK, b"{}", 1)["webhook-signature"] for each in (new, old)]
    assert both["X-Webhook-Signature"] == signature("bmV3", TASK, 1), "the vendor's header has room for one"


def test_without_a_key_there_is_no_signature() -> None:
    assert WebhookKeys().headers("evt_1", TASK, b"{}", 1) == {"webhook-id": "evt_1", "webhook-timestamp": "1"}


def test_a_receiver_may_want_no_more(there: Host, egress: EgressPolicy) -> None:
    with pytest.raises(ReceiverGone):
        post(there.callback("/done", 410), b"{}", {}, egress)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_receiver_gets_the_body_and_the_headers(there: Host, egress: EgressPolicy, status: int) -> None:
    url = there.callback("/done", status)
    assert post(url, b'{"code":200}', signed_headers("whsec_test", TASK, 1765183900), egress) == status
    (received,) = there.wait_for_posts(1, "/done")
    assert received.body == b'{"code":200}'
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["X-Webhook-Signature"] == SIGNATURE


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_any_other_status_is_retryable(there: Host, egress: EgressPolicy, status: int) -> None:
    url = there.callback("/done", status, 200)
    with pytest.raises(FetchUnavailable) as error:
        post(url, b"{}", {}, egress)
    assert str(status) in str(error.value)
    assert post(url, b"{}", {}, egress) == 200
    assert len(there.posts) == 2


def test_redirects_are_not_followed(there: Host, egress: EgressPolicy) -> None:
    there.callback("/done")
    with pytest.raises(FetchUnavailable):
        post(there.redirect("/moved", "/done", 307), b"{}", {}, egress)
    assert [asked.path for asked in there.posts] == ["/moved"]


def test_a_silent_receiver_times_out(there: Host, egress: EgressPolicy) -> None:
    began = time.monotonic()
    for url in (there.never_answer("/silent"), there.trickle("/trickle", b"HTTP/1.1 200 OK\r\nX: ")):
        with pytest.raises(FetchUnavailable):
            post(url, b"{}", {}, egress, timeout_seconds=0.3)
    assert time.monotonic() - began < 5
    assert len(there.posts) == 2


def test_an_endless_response_is_not_read(there: Host, egress: EgressPolicy) -> None:
    began = time.monotonic()
    assert post(there.trickle("/done"), b"{}", {}, egress) == 200
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/done", "http://localhost:{port}/done", "file:///etc/passwd", "http://169.254.169.254/"]
)
def test_callbacks_are_guarded_too(there: Host, url: str) -> None:
    there.callback("/done")
    with pytest.raises(FetchRefused):
        post(url.format(port=there.port), b"{}", {}, EgressPolicy())
    assert not there.asked


def test_a_header_that_would_end_the_line_is_refused(there: Host, egress: EgressPolicy) -> None:
    with pytest.raises(FetchRefused):
        post(there.callback("/done"), b"{}", {"X-Name": "a\r\nX-Other: b"}, egress)
    assert not there.asked
