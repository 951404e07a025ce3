"""A callback to a stranger's host: one POST, signed, in the time that is given."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from service.errors import FetchUnavailable
from service.outside.exchange import Deadline, exchange
from service.outside.guard import EgressPolicy, address_of


def post(url: str, body: bytes, headers: Mapping[str, str], egress: EgressPolicy, timeout_seconds: float = 15) -> int:
    """Send JSON and return the status, a 2xx; FetchUnavailable where another try may help, FetchRefused where the guard says no.

    Redirects are not followed, and the answer's body is not read: its status is all that counts.
    """
    deadline = Deadline(timeout_seconds)
    with exchange("POST", address_of(url), egress, deadline, {"Content-Type": "application/json", **headers}, body) as answer:
        if not 200 <= answer.status < 300:
            raise FetchUnavailable(f"{answer.host} answered the callback with status {answer.status}")
        return answer.status


def signature(key: str, task_id: str, timestamp_seconds: int) -> str:
    """base64(HMAC-SHA256(key, "TASK.TIMESTAMP")), as kie documents it."""
    digest = hmac.new(key.encode(), f"{task_id}.{timestamp_seconds}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def signed_headers(key: str, task_id: str, now_seconds: int) -> dict[str, str]:
    """The headers by which a receiver knows that the callback is ours, and how old it is."""
    return {"X-Webhook-Timestamp": str(now_seconds), "X-Webhook-Signature": signature(key, task_id, now_seconds)}
