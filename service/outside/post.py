"""Sends a callback to a remote host: one signed POST within a deadline."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from service.errors import FetchUnavailable
from service.outside.exchange import Deadline, exchange
from service.outside.guard import EgressPolicy, address_of


def post(url: str, body: bytes, headers: Mapping[str, str], egress: EgressPolicy, timeout_seconds: float = 15) -> int:
    """Send JSON and return the status, which is 2xx. Raises FetchUnavailable if a retry may help, FetchRefused if the guard refuses.

    Redirects are not followed and the response's body is not read.
    """
    deadline = Deadline(timeout_seconds)
    with exchange("POST", address_of(url), egress, deadline, {"Content-Type": "application/json", **headers}, body) as response:
        if not 200 <= response.status < 300:
            raise FetchUnavailable(f"{response.host} answered the callback with status {response.status}")
        return response.status


def signature(key: str, task_id: str, timestamp_seconds: int) -> str:
    """base64(HMAC-SHA256(key, "TASK.TIMESTAMP")), as kie documents it."""
    digest = hmac.new(key.encode(), f"{task_id}.{timestamp_seconds}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def signed_headers(key: str, task_id: str, now_seconds: int) -> dict[str, str]:
    """The headers by which a receiver verifies that the callback is ours and recent."""
    return {"X-Webhook-Timestamp": str(now_seconds), "X-Webhook-Signature": signature(key, task_id, now_seconds)}
