"""Sends a callback to a remote host: one signed POST within a deadline.

Two signatures, in headers of their own: of the body, as Standard Webhooks 1.0.0 has it, and of the task's id, as kie documents it.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.errors import FetchRefused, FetchUnavailable
from service.outside.exchange import Deadline, exchange
from service.outside.guard import EgressPolicy, address_of

GONE: Final = 410
SECRET_PREFIX: Final = "whsec_"


class ReceiverGone(FetchRefused):
    """The receiver says that it wants no more callbacks."""


@dataclass(frozen=True)
class WebhookKeys:
    """The keys that sign callbacks, the newest first. While there are two, receivers may know either."""

    keys: tuple[str, ...] = ()

    def headers(self, event_id: str, task_id: str, body: bytes, now_seconds: int) -> dict[str, str]:
        """The headers by which a receiver recognises an event, and verifies that it is ours, unchanged and recent."""
        headers = {"webhook-id": event_id, "webhook-timestamp": str(now_seconds)}
        if not self.keys:
            return headers
        signatures = (f"v1,{standard_signature(key, event_id, now_seconds, body)}" for key in self.keys)
        return headers | {"webhook-signature": " ".join(signatures)} | signed_headers(self.keys[0], task_id, now_seconds)


def post(url: str, body: bytes, headers: Mapping[str, str], egress: EgressPolicy, timeout_seconds: float = 15) -> int:
    """Send JSON and return the status, which is 2xx.

    Raises FetchUnavailable if a retry may help, ReceiverGone if the receiver wants no more, FetchRefused if the guard refuses.
    Redirects are not followed and the response's body is not read.
    """
    deadline = Deadline(timeout_seconds)
    with exchange("POST", address_of(url), egress, deadline, {"Content-Type": "application/json", **headers}, body) as response:
        if response.status == GONE:
            raise ReceiverGone(f"{response.host} answered the callback with status {GONE}: it wants no more")
        if not 200 <= response.status < 300:
            raise FetchUnavailable(f"{response.host} answered the callback with status {response.status}")
        return response.status


def standard_signature(key: str, event_id: str, timestamp_seconds: int, body: bytes) -> str:
    """base64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY")). The secret is what follows `whsec_`, decoded from base64, or the key as it is."""
    signed = f"{event_id}.{timestamp_seconds}.".encode() + body
    return base64.b64encode(hmac.digest(_secret_of(key), signed, "sha256")).decode("ascii")


def _secret_of(key: str) -> bytes:
    try:
        return base64.b64decode(key.removeprefix(SECRET_PREFIX), validate=True) or key.encode()
    except ValueError:
        return key.encode()


def signature(key: str, task_id: str, timestamp_seconds: int) -> str:
    """base64(HMAC-SHA256(key, "TASK.TIMESTAMP")), as kie documents it."""
    digest = hmac.new(key.encode(), f"{task_id}.{timestamp_seconds}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def signed_headers(key: str, task_id: str, now_seconds: int) -> dict[str, str]:
    """The headers by which a receiver verifies that the callback is ours and recent."""
    return {"X-Webhook-Timestamp": str(now_seconds), "X-Webhook-Signature": signature(key, task_id, now_seconds)}
