"""Callbacks to a real receiver."""

import time

import pytest

from service.errors import FetchRefused, FetchUnavailable
from service.outside.guard import EgressPolicy
from service.outside.post import post, signature, signed_headers
from tests.fixture_host import Host

TASK = "task_sora-watermark-remover_1765183831860"
SIGNATURE = "56tgklLK5VWM/Yv3Zq1SAALedmhs5TSwKiorRzBZn8g="


def test_the_signature_matches_the_documented_vector() -> None:
    assert signature("whsec_test", TASK, 1765183900) == SIGNATURE
    assert signed_headers("whsec_test", TASK, 1765183900) == {"X-Webhook-Timestamp": "1765183900", "X-Webhook-Signature": SIGNATURE}


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
