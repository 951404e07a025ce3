"""How long a request body may take to arrive: a grace, then a least speed."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Part = TypeVar("Part")

GRACE_SECONDS: Final = 10.0
LEAST_BYTES_PER_SECOND: Final = 8 * 2**10  # after the grace; a slow mobile connection has ten times as much


@dataclass
class BodyPace:
    """How far a body is. Only the time that we wait for the client counts."""

    received_bytes: int = 0
    _waited_seconds: float = 0.0

    async def wait_for(self, part: Awaitable[Part]) -> Part:
        """The next part. Raises TimeoutError if it is later than the least speed allows."""
        began = time.monotonic()
        async with asyncio.timeout(GRACE_SECONDS + self.received_bytes / LEAST_BYTES_PER_SECOND - self._waited_seconds):
            found = await part
        self._waited_seconds += time.monotonic() - began
        return found


class BodyInTime:
    """An application whose requests' bodies must arrive in time: another is answered 408, and its connection is closed.

    For applications that read bodies themselves; the APIs read theirs with `body.py`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        pace, is_whole, is_late, has_begun = BodyPace(), False, False, False

        async def receive_in_time() -> Message:
            nonlocal is_whole, is_late
            if is_whole:
                return await receive()
            try:
                message = await pace.wait_for(receive())
            except TimeoutError:
                is_whole = is_late = True
                await respond(PlainTextResponse("the body arrives too slowly", HTTPStatus.REQUEST_TIMEOUT, {"Connection": "close"}))
                return {"type": "http.disconnect"}
            pace.received_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            return message

        async def respond(response: PlainTextResponse) -> None:
            if not has_begun:
                await response(scope, receive, send)

        async def send_unless_late(message: Message) -> None:
            nonlocal has_begun
            if not is_late:
                has_begun = True
                await send(message)

        await self._app(scope, receive_in_time, send_unless_late)
