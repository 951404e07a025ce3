"""A minimal HTTP client that costs a few microseconds per request, so that it does not distort what it measures.

    async with connected(port) as connection:
        answer = await connection.send(REQUESTS["kie"](customer, video_url, picture_url))

A request is bytes, built before the clock starts; a connection is kept alive and carries one request at a time.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from benchmarks.orders import Customer
from service.api.aidge_sign import sign_v2

HOST = "127.0.0.1"
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


@dataclass(frozen=True)
class Answer:
    """An HTTP status and a JSON body."""

    status: int
    body: bytes

    @property
    def accepted(self) -> bool:
        """Whether the order was accepted, by the status and the code in the body."""
        body = json.loads(self.body) if 200 <= self.status < 300 else {"code": self.status}
        return str(body.get("code", 0)) in ("0", "200") and body.get("success", True) is True


class Connection:
    """A client's persistent connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: bytes) -> Answer:
        """Send a request and read the answer. Raises ConnectionError or IncompleteReadError if there is none."""
        self._writer.write(request)
        head = (await self._reader.readuntil(HEAD_END)).lower()
        length = head.partition(LENGTH)[2].partition(b"\r\n")[0]
        return Answer(int(head[9:12]), await self._reader.readexactly(int(length or 0)))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection to a local port, for the length of a block."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def _post(path: str, body: Mapping[str, Any], key: str | None = None) -> bytes:
    content = json.dumps(body).encode()
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _kie(customer: Customer, video_url: str, _picture_url: str) -> bytes:
    body = {"model": "sora-watermark-remover", "input": {"video_url": video_url}}
    return _post("/api/v1/jobs/createTask", body, customer.key)


def _aidge(customer: Customer, video_url: str, _picture_url: str) -> bytes:
    timestamp = str(time.time_ns() // 1_000_000)
    signed = {"app_key": customer.signer, "timestamp": timestamp, "sign": sign_v2(customer.secret, timestamp)}
    query = urlencode(signed | {"partner_id": "aidge", "sign_method": "sha256", "sign_ver": "v2"})
    return _post(f"/ai/video/removal?{query}", {"videoUrl": video_url, "language": "en"})


def _kaze(customer: Customer, _video_url: str, picture_url: str) -> bytes:
    return _post("/api/ext/v1/submit_watermark_removal", {"image_url": picture_url}, customer.key)


def _native(customer: Customer, video_url: str, _picture_url: str) -> bytes:
    return _post("/v1/jobs", {"source_url": video_url}, customer.key)


def _savesora(customer: Customer, _video_url: str, _picture_url: str) -> bytes:
    """A request for the credits: its orders are answered only when the job has ended, which would not measure acceptance."""
    return _post("/api/v1/credits", {"api_key": customer.key})


# By dialect, a request of a customer: it orders the video at the first address or, in dialects for images, the picture at the second.
REQUESTS: dict[str, Callable[[Customer, str, str], bytes]] = {
    "kie": _kie,
    "aidge": _aidge,
    "kaze": _kaze,
    "native": _native,
    "savesora": _savesora,
}
