"""HTTP at the price of a few microseconds, so that whoever measures does not take the time of what is measured.

    async with connected(port) as connection:
        answer = await connection.ask(ASK["kie"](customer, video_url, picture_url))

A request is bytes, made before the clock starts; a connection is kept alive and carries one at a time.
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
    """A status and a body of JSON."""

    status: int
    body: bytes

    @property
    def accepted(self) -> bool:
        """Whether its dialect says that all went well: by the status alone, or by a code in the body."""
        told = json.loads(self.body) if 200 <= self.status < 300 else {"code": self.status}
        return str(told.get("code", 0)) in ("0", "200") and told.get("success", True) is True


class Connection:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> Answer:
        """Send a request, and wait for the whole answer; ConnectionError or IncompleteReadError when there is none."""
        self._writer.write(request)
        head = (await self._reader.readuntil(HEAD_END)).lower()
        length = head.partition(LENGTH)[2].partition(b"\r\n")[0]
        return Answer(int(head[9:12]), await self._reader.readexactly(int(length or 0)))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection to a port of this machine, for the length of a block."""
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
    """Its order is answered when the job has ended, which says nothing about us: its question for credits stands in."""
    return _post("/api/v1/credits", {"api_key": customer.key})


# One request of a customer, by dialect: it orders what is at the first address or, if the dialect is one for images, at the second.
ASK: dict[str, Callable[[Customer, str, str], bytes]] = {
    "kie": _kie,
    "aidge": _aidge,
    "kaze": _kaze,
    "native": _native,
    "savesora": _savesora,
}
